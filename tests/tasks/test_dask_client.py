# SPDX-License-Identifier: Apache-2.0
"""Dask's workers: started here, of a scheduler that is there, and of none."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from medvol.tasks import dask_client
from medvol.tasks.dask_client import check_workers, forget_settings, medvol_here, open_client

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with a worker, both within this process."""
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield str(cluster.scheduler_address)


def die_once(mark: str) -> int:
    """Kill the worker's process at the first call, and say the process at the second."""
    if not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def test_workers_started_here_do_again_what_a_killed_one_did(tmp_path: Path) -> None:
    with open_client(1, resources={"memory": 5}) as client:
        (worker,) = client.scheduler_info()["workers"].values()
        assert (worker["nthreads"], worker["resources"]) == (1, {"memory": 5})
        pid = client.submit(die_once, str(tmp_path / "mark")).result(timeout=30)
        assert (tmp_path / "mark").exists()
        assert pid != os.getpid()
        assert client.scheduler.address.startswith("tls://")


def test_a_scheduler_that_is_there(scheduler: str, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": scheduler}))
    for where in (scheduler, str(file)):
        with open_client(where) as client:
            assert client.submit(pow, 3, 4).result(timeout=10) == 81


def test_workers_with_another_medvol_are_refused(
    scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "medvol_here", lambda: "0.0.9")
    with (
        pytest.raises(ValueError, match=r"has medvol 0\.0\.9, here it is"),
        open_client(scheduler),
    ):
        pass
    monkeypatch.setattr(dask_client, "medvol_here", lambda: 1 / 0)
    with (
        distributed.Client(scheduler, set_as_default=False) as client,
        pytest.raises(ValueError, match=r"has medvol none \(division by zero\)"),
    ):
        check_workers(client)
    assert medvol_here()


def test_where_nobody_answers_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_client, "CONNECT_S", 0.2)
    (tmp_path / "other.json").write_text("[]")
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0)) as mute:
        closed.bind(("127.0.0.1", 0))
        for where, why in {
            f"tcp://127.0.0.1:{closed.getsockname()[1]}": "Connect call failed",
            f"127.0.0.1:{mute.getsockname()[1]}": "no answer",
            "nonsense://x": "unknown address scheme",
            str(tmp_path / "none.json"): "No such file",
            str(tmp_path / "other.json"): "not the file of a scheduler",
        }.items():
            said = f"no Dask scheduler answers at .*{why}"
            with pytest.raises(ValueError, match=said), open_client(where):
                pass
    with pytest.raises(ValueError, match="give 1 or more"), open_client(0):
        pass


def test_a_child_has_no_settings_of_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MALLOC_TRIM_THRESHOLD_": "65536", "MKL_NUM_THREADS": "3"}.items():
        monkeypatch.setenv(name, value)
    forget_settings()
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ
    assert os.environ["MKL_NUM_THREADS"] == "3"  # which is not what Dask sets
