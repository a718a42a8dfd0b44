# SPDX-License-Identifier: Apache-2.0
"""A bundle run by MONAI, or a command of medvol, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-m", "monai.bundle", "run")
LOG = "log.txt"


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
    keep_open: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start `python -m monai.bundle run`; its output is added to `log.txt` in its `output_dir`.

    Args:
        bundle: its folder.
        configs: from the lowest to the one laid over all; a name is one of the bundle's configs,
            a path is a path.
        settings: id to value, laid over the configs; `output_dir` must be among them.
        threads: for torch.
        keep_open: file descriptors that the process inherits.
    """
    files = [str(bundle / "configs" / c) if isinstance(c, str) else str(c) for c in configs]
    folder = Path(settings["output_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    command = [*PROGRAM, "--config_file", str(files), "--bundle_root", str(bundle)]
    for name, value in settings.items():
        command += [f"--{name}", str(value)]
    with open(folder / LOG, "a", encoding="utf-8") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=keep_open,
            start_new_session=bool(keep_open),  # Ctrl-C is for who watches over it
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )  # fmt: skip


def run_bundle(
    bundle: Path, configs: Sequence[str | Path], settings: Mapping[str, Any], *, threads: int
) -> None:
    """`start_bundle`, and wait for its end.

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


def run_medvol(*words: object) -> None:
    """`medvol WORDS` with its output on the terminal.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    subprocess.run([sys.executable, "-m", "medvol", *map(str, words)], check=True)
