# SPDX-License-Identifier: Apache-2.0
"""A tiny bundle and an archive for all tests of this folder; the archive is empty for each."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from orthanc import Orthanc, orthanc
from tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@pytest.fixture
def archive(
    running: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Orthanc]:  # fmt: skip
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield running
    running.clear()
    assert [*scratch.iterdir()] == []  # nothing of a patient stays
