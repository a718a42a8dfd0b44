# SPDX-License-Identifier: Apache-2.0
"""A cohort of phantoms with a network, run by each driver: the masks, and how two workers scale."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from medvol.cohort.frozen import PLAN
from medvol.cohort.ledger import DONE, Ledger
from medvol.cohort.plan import Unit, read_plan, write_plan
from medvol.files import sha256_of

from .reference import reference
from .volumes import volume

BUNDLE = "reference-4-coarse-random"  # whose masks change with every digit of a score
SAME_SHAPES = ("64x64x64", "80x72x64", "96x64x48", "72x72x80", "64x96x56", "88x64x64")
SPEED_SHAPE = "256x256x74"
MASK = "segmentation.nii.gz"
LEAST_EFFICIENCY = 0.9
MEDVOL = (sys.executable, "-m", "medvol")


def same(args: argparse.Namespace) -> bool:
    """Whether all drivers give the same masks."""
    data = args.folder / "data"
    plan = _plan(args.folder, [data / f"{name}.nii.gz" for name in _made(SAME_SHAPES, data)])
    found = {}
    for name in ("serial", "workers", "address", "parts", "snakemake"):
        if name == "snakemake" and shutil.which(name) is None:
            print("snakemake: is not installed, left out")
            continue
        out = args.folder / name
        _run_by(name, plan, out, reference(data, BUNDLE))
        keys = [unit.key for unit in read_plan(out / PLAN)]
        found[name] = [sha256_of(out / key / MASK) for key in keys]
        print(f"{name}: {' '.join(digest[:10] for digest in found[name])}", flush=True)
    return len({*map(tuple, found.values())}) == 1


def speed(args: argparse.Namespace) -> bool:
    """Whether two workers of one thread do nearly twice as much as one that has one core.

    One that has both reads the next case on the other, so that two cannot be twice as fast as it.
    """
    data = args.folder / "data"
    (name,) = _made([SPEED_SHAPE], data)
    plan = _plan(args.folder, [data / f"{name}.nii.gz"] * args.units)
    ways = {"one on one core": (("taskset", "-c", "0"), 1), "one": ((), 1), "two": ((), 2)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for way in [*ways, *reversed(ways)]:
        confined, workers = ways[way]
        out = args.folder / f"out{sum(map(len, seconds.values()))}"
        words = ("--workers", str(workers))
        _ended(_started(plan, out, reference(data, BUNDLE), *words, before=confined))
        seconds[way].append(_at_work_s(out))
        print(f"{way}: {seconds[way][-1]:.2f} s a case; load {os.getloadavg()[0]:.1f}", flush=True)
    two = sum(seconds.pop("two"))
    for way, taken in seconds.items():
        print(f"efficiency of two workers, against {way}: {sum(taken) / two / 2:.3f}")
    return sum(seconds["one on one core"]) / two / 2 >= LEAST_EFFICIENCY


def _at_work_s(out: Path) -> float:
    """Seconds a case of a worker that has begun: those that the ledger has, divided among them."""
    ledger = Ledger(out)
    ledger.refresh()
    ends: dict[int, list[float]] = {}
    for state in ledger.states.values():
        if state.state == DONE:
            moment = time.mktime(time.strptime(state.time[:19], "%Y-%m-%dT%H:%M:%S"))
            ends.setdefault(state.pid, []).append(moment + float(state.time[19:23]))
    rate = sum((len(x) - 1) / (max(x) - min(x)) for x in ends.values() if len(x) > 1)
    return 1 / rate


def _made(shapes: Sequence[str], data: Path) -> list[str]:
    for shape in shapes:
        volume(shape, data)
    return [*shapes]


def _plan(folder: Path, paths: Sequence[Path]) -> Path:
    units = [
        Unit(f"case{number:03d}", str(path.absolute()), "", size_bytes=path.stat().st_size)
        for number, path in enumerate(paths)
    ]
    write_plan(folder / "plan.csv", units)
    return folder / "plan.csv"


def _run_by(name: str, plan: Path, out: Path, bundle: Path) -> None:
    """Run a cohort by one of the drivers."""
    if name == "serial":
        _medvol(plan, out, bundle)
    elif name == "workers":
        _medvol(plan, out, bundle, "--workers", "2")
    elif name == "address":
        with _scheduler(out.with_suffix(".json")) as file:
            _medvol(plan, out, bundle, "--dask", str(file))
    elif name == "parts":
        both = [_started(plan, out, bundle, "--part", f"{number}/2") for number in (1, 2)]
        for process in both:
            _ended(process)
    else:
        first = f"{bundle.name}/case000"
        _medvol(plan, out, bundle, "--case", first)
        own = [*MEDVOL, "cohort", "snakefile"]
        workflow = subprocess.run(own, capture_output=True, text=True, check=True).stdout.strip()
        words = ["snakemake", "--snakefile", workflow, "-j", "2", "--keep-going", "--quiet", "all",
                 "--directory", str(out.parent), "--config", f"out={out.absolute()}",
                 f"medvol={' '.join(MEDVOL)}"]  # fmt: skip
        subprocess.run(words, check=True)


@contextmanager
def _scheduler(file: Path) -> Iterator[Path]:
    """A Dask scheduler with two workers; the file names it."""
    cli = [sys.executable, "-m"]
    end = ["--no-dashboard", "--scheduler-file", str(file)]
    with ExitStack() as ending:
        for words in (["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"],
                      ["distributed.cli.dask_worker", "--nworkers", "2", "--nthreads", "1",
                       "--memory-limit", "0"]):  # fmt: skip
            process = subprocess.Popen([*cli, *words, *end], stderr=subprocess.DEVNULL)
            ending.callback(process.wait)
            ending.callback(process.terminate)
            while not file.exists():
                time.sleep(0.1)
        yield file


def _medvol(plan: Path, out: Path, bundle: Path, *words: str) -> None:
    _ended(_started(plan, out, bundle, *words))


def _started(
    plan: Path, out: Path, bundle: Path, *words: str, before: Sequence[str] = ()
) -> "subprocess.Popen[bytes]":
    usual = ["--bundle", str(bundle), "--device", "cpu", "--threads", "1", "--format", "nii",
             "--no-first-ten", "--quiet", "-o", str(out)]  # fmt: skip
    return subprocess.Popen([*before, *MEDVOL, "cohort", "run", str(plan), *usual, *words])


def _ended(process: "subprocess.Popen[bytes]") -> None:
    if code := process.wait():
        raise subprocess.CalledProcessError(code, process.args)
