# SPDX-License-Identifier: Apache-2.0
"""The promises of a cohort, each tried and judged."""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import psutil

from medvol.cohort.ledger import DONE, QUARANTINED

from . import cohort_drive
from .cohort_faults import away, full, shut, small_disk
from .cohort_kills import Killer
from .cohort_real import same, speed
from .cohort_site import Site
from .cohort_stage import Judged, Stage, wait
from .words import parser_of

UNFINISHED = 300.0  # seconds, after which a run that should have ended is given up
FAULT_S = 60.0
MOST_BESIDE_MS, MOST_BYTES = 5.0, 500_000_000
MIB = 1 << 20


def main(text: str | None) -> int:
    """Try what the command line asks for."""
    parser = parser_of(text)
    commands = parser.add_subparsers(dest="promise", required=True)
    cohort_drive.add_parser(commands)
    for name, promise in PROMISES.items():
        own = commands.add_parser(name)
        own.add_argument("--folder", type=Path, help="for all that is made (default: temporary)")
        own.add_argument("--units", type=int, default=500 if name == "kills" else 60)
        own.add_argument("--seconds", type=float, default=0.2, help="of the stub for a case")
        own.add_argument("--workers", type=int, default=2)
        own.add_argument("--limit", type=float, default=10.0, help="seconds for a case, of poison")
        own.add_argument("--kills", type=int, default=200)
        own.add_argument("--fault", type=float, default=FAULT_S, help="seconds that a fault lasts")
        own.add_argument("--seed", type=int, default=0)
        own.add_argument("--driver", choices=("dask", "address", "serial"), default="dask")
        own.set_defaults(run=promise)
    args = parser.parse_args()
    if args.promise == cohort_drive.NAME:
        return cohort_drive.run(args)
    with tempfile.TemporaryDirectory() as made:
        args.folder = (args.folder or Path(made)) / args.promise
        began = time.monotonic()
        kept = args.run(args)
        word = "kept" if kept else "NOT KEPT"
        print(f"{args.promise}: {word}, {time.monotonic() - began:.0f} s", flush=True)
        return 0 if kept else 1


def kills(args: argparse.Namespace) -> bool:
    """Nothing lost, nothing twice, whatever is killed."""
    stage = _begun(args, _alike(args))
    with Site(stage, args) as site:
        killer = Killer(stage.out, stage.log, site.there, seed=args.seed)
        while site.tend() and killer.kills.total() < args.kills:
            killer.strike()
        site.finish()
    print(f"kills: {dict(killer.kills)}; starts: {dict(site.starts)}")
    found = _judged(stage)
    enough = killer.kills.total() >= args.kills
    return enough and _is_whole(found) and found.states == {DONE: args.units}


def poison(args: argparse.Namespace) -> bool:
    """Three cases go wrong, each in a way of its own; all others are done."""
    cases = _alike(args)
    wrong = dict(zip(sorted(cases)[5:], ("crash", "hang", "eat"), strict=False))
    cases |= {name: {"do": what} for name, what in wrong.items()}
    stage = _begun(args, cases, time_limit_s=args.limit)
    code = wait([stage.drive(*_words(args), "--memory", "400")], UNFINISHED)
    states = stage.states()
    for name, what in wrong.items():
        said = states[name]
        print(f"{what}: {said.state}, tries {said.tries}, {said.code}, {said.reason} "
              f"signal {said.signal or 'none'}, peak {said.peak_bytes >> 20} MiB")  # fmt: skip
    found = _judged(stage)
    given_up = all(states[name].state == QUARANTINED and states[name].tries <= 2 for name in wrong)
    return code == [2] and given_up and found.states[DONE] == args.units - len(wrong)


def disk(args: argparse.Namespace) -> bool:
    """The disk is full for a while."""
    with small_disk(args.folder, megabytes=16):
        return _through(args, lambda stage: full(stage.out.parent))


def ledger(args: argparse.Namespace) -> bool:
    """Nothing can be appended to the ledger for a while."""
    return _through(args, lambda stage: shut(stage.out / "ledger"))


def gone(args: argparse.Namespace) -> bool:
    """The output folder is away for a while."""
    return _through(args, lambda stage: away(stage.out), files_go=True)


def two(args: argparse.Namespace) -> bool:
    """Two drivers are started on one output."""
    stage = _begun(args, _alike(args))
    codes = wait([stage.drive(*_words(args)), stage.drive(*_words(args))], UNFINISHED)
    found = _judged(stage)
    shares = Counter(state.pid for state in stage.states().values())
    print(f"exit codes {codes}; cases of each worker: {sorted(shares.values())}")
    return codes == [0, 0] and _is_whole(found) and found.states == {DONE: args.units}


def scale(args: argparse.Namespace) -> bool:
    """Many short cases: what each costs beside its work, and the memory of the driver."""
    stage = _begun(args, _alike(args))
    before, began = os.times(), time.monotonic()
    driver = stage.drive(*_words(args), noted=False)
    most = 0
    while driver.poll() is None:
        with suppress(psutil.Error):
            most = max(most, psutil.Process(driver.pid).memory_info().rss)
        time.sleep(0.5)
    wall, after = time.monotonic() - began, os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    workers = 1 if args.driver == "serial" else args.workers
    beside_ms = 1000 * (wall * workers / args.units - args.seconds)
    done = stage.number_done()
    print(f"{done} of {args.units} done by {workers} in {wall:.1f} s: {beside_ms:.2f} ms a case "
          f"beside its {1000 * args.seconds:g}, {1000 * used / args.units:.2f} ms of processors; "
          f"driver {most / MIB:.0f} MiB")  # fmt: skip
    return done == args.units and beside_ms <= MOST_BESIDE_MS and most <= MOST_BYTES


PROMISES: dict[str, Callable[[argparse.Namespace], bool]] = {
    "kills": kills, "poison": poison, "disk": disk, "ledger": ledger, "away": gone, "two": two,
    "scale": scale, "same": same, "speed": speed,
}  # fmt: skip


def _through(
    args: argparse.Namespace, fault: Callable[[Stage], AbstractContextManager[object]], *,
    files_go: bool = False,
) -> bool:  # fmt: skip
    """Whether a cohort comes through what goes wrong a third of its way."""
    stage = _begun(args, _alike(args))
    process = stage.drive(*_words(args))
    until = time.monotonic() + UNFINISHED
    while stage.number_done() < args.units // 3 and time.monotonic() < until:
        time.sleep(0.1)
    with fault(stage) as appeared:
        before = stage.number_computed()
        time.sleep(args.fault)
        running, meanwhile = process.poll() is None, stage.number_computed() - before
    print(
        f"waited: {running}; cases begun meanwhile: {meanwhile}; appeared: {appeared or 'nothing'}"
    )
    codes = wait([process], UNFINISHED)
    found = _judged(stage)
    if files_go:  # what was being written is not there any more, and is done again
        found = found._replace(again=[], left=[])
    return running and codes == [0] and _is_whole(found) and found.states == {DONE: args.units}


def _begun(
    args: argparse.Namespace, cases: Mapping[str, Mapping[str, object]], **asked: float
) -> Stage:  # fmt: skip
    stage = Stage(args.folder, cases)
    stage.freeze(**asked)
    return stage


def _alike(args: argparse.Namespace) -> dict[str, dict[str, object]]:
    return {f"case{number:06d}": {"seconds": args.seconds} for number in range(args.units)}


def _words(args: argparse.Namespace) -> list[str]:
    return [] if args.driver == "serial" else ["--workers", str(args.workers)]


def _judged(stage: Stage) -> Judged:
    """What came of it, printed."""
    found = stage.judged()
    print(json.dumps(found._asdict()), flush=True)
    return found


def _is_whole(found: Judged) -> bool:
    return not (found.lost or found.twice or found.again or found.half or found.left)
