# SPDX-License-Identifier: Apache-2.0
"""Processes of a bundle: started with MONAI, several at a time, one alone in a folder."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..bundle.config import literal
from .launched import BUNDLE, PATH, main

BOOT = (
    f"import json, os, sys; sys.path[:] = json.loads(os.environ['{PATH}']); "
    f"from {main.__module__} import main; main()"
)
# -P: nothing of the current folder; and no logging.conf, which the bundle may bring
PROGRAM = (sys.executable, "-P", "-c", BOOT, "run", "--logging_file", "False")
# for the processes that it starts too; and no bytecode beside a bundle's scripts, which would
# change its digest
CLEAN = {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
# else ranks that are started again find what those that died had told each other, and wait for them
FRESH_STORE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
RANKS = (sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--no_python")
RESTARTS = 3  # of all ranks, when one of them has died
LOG = "log.txt"
LOCK = ".lock"
END_S = 10.0  # for a process to end when it is asked to


def cpus() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of(jobs: int) -> int:
    """Threads for each of several processes: OMP_NUM_THREADS where it is set, else their share."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() else max(1, cpus() // jobs)


def start_bundle(
    bundle: Path,
    configs: Sequence[str | Path],
    settings: Mapping[str, Any],
    *,
    threads: int,
    ranks: int = 1,
    watched: bool = False,
) -> "subprocess.Popen[bytes]":
    """Start what `launched` runs; its output is added to `log.txt` in its `output_dir`.

    Several ranks are started by torchrun, which starts all of them again when one has died.

    Args:
        bundle: its folder.
        configs: from the lowest to the one laid over all; a name is one of the bundle's configs,
            a path is a path.
        settings: id to value, laid over the configs; `output_dir` must be among them.
        threads: for torch, in each process.
        ranks: processes that train together.
        watched: Ctrl-C is for the process that watches over it, and does not reach it.
    """
    files = [str(bundle / "configs" / c) if isinstance(c, str) else str(c) for c in configs]
    folder = Path(settings["output_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    together = (*RANKS, f"--nproc_per_node={ranks}", f"--max_restarts={RESTARTS}")
    command = [*together, *PROGRAM] if ranks > 1 else [*PROGRAM]
    for name, value in {"config_file": files, "bundle_root": bundle, **settings}.items():
        command += [f"--{name}", as_word(value)]
    with open(folder / LOG, "a", encoding="utf-8") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=watched,
            env={**os.environ, **CLEAN, **FRESH_STORE, "OMP_NUM_THREADS": str(threads),
                 PATH: json.dumps(sys.path), BUNDLE: str(bundle)},
        )  # fmt: skip


def as_word(value: Any) -> str:
    """A value as a word that python-fire, and then MONAI, read as that value.

    Unquoted, fire takes 1e5 for a number, a,b for two texts, and cuts scans#2 to scans.

    Example:
        >>> as_word("1e5"), as_word(Path("a,b")), as_word([1, "x"]), as_word(None)
        ("'1e5'", "'a,b'", "[1, 'x']", 'None')
    """
    return repr(literal(str(value) if isinstance(value, Path) else value))


def run_bundle(
    bundle: Path, configs: Sequence[str | Path], settings: Mapping[str, Any], *, threads: int
) -> None:
    """`start_bundle`, and wait for its end.

    Args:
        bundle, configs, settings, threads: as for `start_bundle`.

    Raises:
        subprocess.CalledProcessError: it failed; the log says why.
    """
    with start_bundle(bundle, configs, settings, threads=threads) as process:
        try:
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status:
        raise subprocess.CalledProcessError(status, process.args)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, and make it when it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def side_by_side(works: Iterable[Callable[[threading.Event], None]], jobs: int) -> None:
    """Run pieces of work in threads, so many at a time.

    Args:
        works: each is given an event; when it is set the work ends as soon as it can.
        jobs: how many at a time.

    Raises:
        BaseException: what the first of them raised, Ctrl-C too; those that wait are not begun.
    """
    halt = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for done in as_completed([pool.submit(work, halt) for work in works]):
                done.result()
        except BaseException:
            halt.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def alone(folder: Path) -> FileLock:
    """A lock on a folder, which is made; `with alone(folder):` waits until it is free.

    The lock is the operating system's: it ends with the process that holds it, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / LOCK, thread_local=False)


def claim(folder: Path) -> FileLock | None:
    """Lock a folder until `release()`; None when somebody has it, in this process or another."""
    lock = alone(folder)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
