# SPDX-License-Identifier: Apache-2.0
"""Settings of the whole test suite: strict configs, few threads, real data, an archive."""

import gc
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from child_work import InlineChild
from orthanc import Orthanc, orthanc
from warm_python import warm_python

from medvol.engine.free_cores import Clocks

os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage while tests are collected: all stays, and to look at it takes a third."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def work_inline() -> Iterator[None]:
    """Commands work in this process, not in a `Child`, which takes seconds to load torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvol.engine.child.Child", InlineChild)
        yield


@pytest.fixture(scope="session")
def forked_python() -> Iterator[str]:
    """A program in place of `sys.executable` where it is not the start of a process that counts."""
    with tempfile.TemporaryDirectory(prefix="warm") as folder, warm_python(Path(folder)) as program:
        yield program


@pytest.fixture(scope="session", autouse=True)
def no_other_load() -> Iterator[None]:
    """Threads do not depend on what else runs beside the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvol.engine.free_cores.MOMENT_S", 1e-3)
        patch.setattr("medvol.engine.free_cores.clocks", _nothing_runs)
        yield


def _nothing_runs() -> Clocks:
    return Clocks(time.perf_counter(), 0.0, 0.0, os.cpu_count() or 1)


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


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An archive; the tests that use it skip where there is no Orthanc."""
    with orthanc(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@pytest.fixture
def archive(
    running: Orthanc, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Orthanc]:
    """The archive, empty and asked without credentials; what a test fetched has to be gone."""
    for name in ("USER", "PASSWORD", "TOKEN", "CA", "PLAIN_HTTP", "FILE"):
        monkeypatch.delenv(f"MEDVOL_DICOMWEB_{name}", raising=False)
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield running
    running.clear()
    assert [*scratch.iterdir()] == []  # nothing of a patient stays
