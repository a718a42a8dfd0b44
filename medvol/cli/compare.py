# SPDX-License-Identifier: Apache-2.0
"""`medvol compare`: train architectures beside each other, and name the best by validation."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import require
from .options import (
    add_dask,
    add_data,
    add_output,
    add_training_options,
    add_trust,
    check_jobs,
    start_over,
)

if TYPE_CHECKING:
    from ..report.leaderboard import Row
    from ..search.comparison import Comparison, Contest


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `compare` to the command line."""
    parser = commands.add_parser(
        "compare",
        help="train architectures beside each other",
        description="Train every entry of a comparison on the same split, each within its time, "
        "and write a leaderboard with what each costs. Validation names the winner; the test part "
        "is not touched without --test. The same command goes on with what was stopped and tries "
        "again what failed; given twice at a time, both work on it.",
    )
    parser.add_argument(
        "entries",
        type=Path,
        metavar="COMPARISON",
        help="comparison, .json, or the name of a shipped one",
    )
    parser.add_argument("--bundle", help="name or folder, in place of the comparison's")
    add_trust(parser)
    add_data(parser, required=False, default="the comparison's")
    add_output(parser, required=False)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these entries alone")
    parser.add_argument(
        "--test", action="store_true", help="at the end measure the winner, and it alone"
    )
    parser.add_argument("--list", action="store_true", help="print the entries and train nothing")
    add_training_options(parser, one="an entry", many="entries")
    add_dask(parser, many="entries")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train the entries that are missing, then say which is best."""
    require("optuna", feature="medvol compare", install="medvol[tune]")
    contest = _contest(args)
    if args.list:
        for name, values in contest.entries.items():
            print(name, " ".join(f"{key}={value}" for key, value in values.items()))
        return 0
    from ..search.on_dask import trials_on

    comparison = _comparison(args, contest)
    metric = comparison.training.metric
    try:
        with trials_on(args.dask, args.jobs) as (train, jobs):
            comparison.run(
                jobs=jobs, train=train,
                say=lambda trial: print(line(comparison.row(trial), metric), flush=True),
            )  # fmt: skip
        return _report(args, contest, comparison)
    finally:
        comparison.close()


def _contest(args: argparse.Namespace) -> "Contest":
    from ..search.comparison import only, read_contest

    contest = read_contest(args.entries)
    return only(contest, args.only) if args.only else contest


def _comparison(args: argparse.Namespace, contest: "Contest") -> "Comparison":
    from ..search.comparison import Comparison
    from ..search.ids import check_ids, parse_settings
    from ..search.starts import find_weights
    from ..search.training import prepare

    check_jobs(args)
    if args.output is None:
        raise ValueError("give --output, a folder for the results")
    bundle = args.bundle or contest.bundle
    if bundle is None:
        raise ValueError(f"{contest.path} names no bundle; give --bundle")
    settings = {**contest.settings, **parse_settings(args.settings)}
    entries = contest.entries.items()
    if both := next((key for _, values in entries for key in values if key in settings), None):
        raise ValueError(f"{both} is a setting of all entries and of one of them; choose one")
    training = prepare(
        bundle, data=args.data or contest.data, settings=settings,
        overlays=(*contest.overlays, *args.overlays), weights=find_weights(args.weights, bundle),
        limits=(args.budget or contest.budget_s, args.patience or contest.patience),
    )  # fmt: skip
    check_ids(training.config(), {key for _, values in entries for key in values if "#" not in key})
    if args.fresh:
        start_over(args.output)
    return Comparison(training, contest.entries, args.output)


def line(row: "Row", metric: str) -> str:
    """One entry in words."""
    if row.value is None:
        return f"{row.name}: failed, {row.reason}"
    size = "" if row.parameters is None else f"{row.parameters:,} parameters, "
    return (f"{row.name}: {metric} {row.value:.4f} in epoch {row.best_epoch} of {row.epochs}, "
            f"{size}{row.seconds:.0f} s, ended by {row.stopped}")  # fmt: skip


def _report(args: argparse.Namespace, contest: "Contest", comparison: "Comparison") -> int:
    """Last lines; status 0, 1 when some entries failed or are not done, 2 when all failed."""
    from ..search.comparison import OVERLAY, TABLE
    from ..search.trial import BEST

    rows, winner = comparison.rows, comparison.winner
    missing = len(comparison.entries) - len(rows)
    failed = sum(row.value is None for row in rows)
    if missing:
        print(f"{missing} entries are trained by another process")
    if winner is None:
        print(f"medvol compare: no entry has a figure; {failed} failed", file=sys.stderr)
        return 2
    print(f"{len(rows)} entries, {failed} failed\nleaderboard {comparison.folder / TABLE}")
    print(f"{'best so far' if missing else 'winner'} {line(winner, comparison.training.metric)}")
    print(f"config {comparison.folder / OVERLAY}")
    print(f"weights {comparison.folder_of_entry(winner.name) / BEST}")
    if args.test and not missing:
        try:
            print(f"test {comparison.test(contest.test)}")
        except subprocess.CalledProcessError:
            log = comparison.folder / "test" / "log.txt"
            print(f"medvol compare: the test failed; see {log}", file=sys.stderr)
            return 1
    return 1 if failed or missing else 0
