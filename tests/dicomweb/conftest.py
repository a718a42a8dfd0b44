# SPDX-License-Identifier: Apache-2.0
"""An archive for all tests of this folder, empty for each of them."""

from collections.abc import Iterator

import pytest
from orthanc import Orthanc, orthanc


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@pytest.fixture
def archive(running: Orthanc, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orthanc]:
    for name in ("USER", "PASSWORD", "TOKEN", "CA", "PLAIN_HTTP", "FILE"):
        monkeypatch.delenv(f"MEDVOL_DICOMWEB_{name}", raising=False)
    yield running
    running.clear()
