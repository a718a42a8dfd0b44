# SPDX-License-Identifier: Apache-2.0
"""Settings of the whole test suite: strict configs, few threads, where real data lies."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from child_work import InlineChild

os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session", autouse=True)
def work_inline() -> Iterator[None]:
    """Commands work in this process, not in a `Child`, which takes seconds to load torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvol.engine.child.Child", InlineChild)
        yield


@pytest.fixture(scope="session", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests make medvol remember of bundles does not reach the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public images named by MEDVOL_TEST_DATA; the test skips without it."""
    folder = os.environ.get("MEDVOL_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MEDVOL_TEST_DATA names no folder of real images")
    return Path(folder)
