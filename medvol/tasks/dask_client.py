# SPDX-License-Identifier: Apache-2.0
"""Work on Dask's workers: of a cluster that is there, or of one that is started for it.

Dask is the extra `medvol[cohort]`; it is imported when a client is opened.
"""

import asyncio
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import require

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

CONNECT_S = 10.0  # that a scheduler may take to answer
EXTRA = "medvol[cohort]"
# of workers started here, whose tasks only wait for processes that they started: by default Dask
# looks 50 and 100 times a second at what its own threads do, a twentieth of a core for each worker
AT_EASE = {
    "distributed.worker.daemon": False,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}


@contextmanager
def open_client(
    where: int | str, *, resources: Mapping[str, float] | None = None, allowed_failures: int = 3
) -> Iterator["Client"]:
    """A client of a Dask cluster, which is not made the default of this process.

    A number starts so many worker processes of one thread each on this machine, which listen to
    this user's programs alone and end with the block. A worker that dies is started again, and
    what it did is done again.

    Args:
        where: number of workers, 1 or more; or a scheduler's address, such as
            "tcp://10.0.0.5:8786"; or the file that it wrote (`dask scheduler --scheduler-file`).
        resources: name to amount that each worker started here has.
        allowed_failures: times that a task may lose its worker before it fails with
            `distributed.KilledWorker`; of workers started here.

    Raises:
        ImportError: Dask is not installed.
        ValueError: no worker is asked for, no scheduler answers, or its workers have another
            medvol.
    """
    require("distributed", feature="work on Dask's workers", install=EXTRA)
    from distributed import Client

    if not isinstance(where, int):
        client = _connected(where)
        with client:
            check_workers(client)
            yield client
        return
    if where < 1:
        raise ValueError(f"the number of Dask's workers is {where}; give 1 or more")
    cluster = _local(where, dict(resources or {}), allowed_failures)
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


def _local(workers: int, resources: Mapping[str, float], allowed_failures: int) -> "LocalCluster":
    import dask
    from distributed import LocalCluster

    # of a worker that is gone the user reads elsewhere
    with dask.config.set(AT_EASE):
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0,
            dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL, security=True,
            resources=dict(resources), scheduler_kwargs={"allowed_failures": allowed_failures},
        )  # fmt: skip


def _connected(where: str) -> "Client":
    from distributed import Client

    try:
        address = _in_file(where) if where.endswith(".json") else where
        asyncio.run(asyncio.wait_for(_ask(address), CONNECT_S))
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # a time that ran out is an OSError
        reason = str(error) or "no answer"
        raise ValueError(
            f"no Dask scheduler answers at {where} ({reason}); start one with `dask scheduler`, or "
            "give a number of workers"
        ) from error


async def _ask(address: str) -> None:
    """Whether a scheduler is there, which `Client` would find out too late or never."""
    from distributed.comm import get_address_host_port, normalize_address
    from distributed.core import rpc

    host, port = get_address_host_port(normalize_address(address))
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    async with rpc(address) as scheduler:
        await scheduler.identity()


def _in_file(path: str) -> str:
    """The address in a file that a scheduler wrote."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("address"), str):
        raise ValueError("not the file of a scheduler")
    return content["address"]


def check_workers(client: "Client") -> None:
    """Refuse workers that would not do as this process does.

    Args:
        client: of a cluster that somebody else started.

    Raises:
        ValueError: one cannot import medvol, or has another version of it.
    """
    for worker, found in client.run(medvol_here, on_error="return").items():
        if found != __version__:
            version = found if isinstance(found, str) else f"none ({found})"
            raise ValueError(
                f"Dask's worker {worker} has medvol {version}, here it is {__version__}; install "
                "the same on all machines"
            )


def medvol_here() -> str:
    """The version of medvol in the process that calls this."""
    return __version__


def forget_settings() -> None:
    """Take back what Dask sets for its workers, before a child of this process has it too.

    `MALLOC_TRIM_THRESHOLD_` makes glibc give all large memory back at once and ask for it again: a
    network took four times as long. The threads of a child are set by medvol.
    """
    import dask

    for name, value in dask.config.get("distributed.nanny.pre-spawn-environ", {}).items():
        if os.environ.get(name) == str(value):
            del os.environ[name]
