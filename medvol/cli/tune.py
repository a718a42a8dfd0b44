# SPDX-License-Identifier: Apache-2.0
"""`medvol tune`: search for the settings with which a bundle trains best."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import require
from .options import (
    add_bundle,
    add_dask,
    add_data,
    add_output,
    add_training_options,
    check_jobs,
    start_over,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from ..search.tuning import Tuning

DEFAULT_TRIALS = 20


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tune` to the command line."""
    parser = commands.add_parser(
        "tune",
        help="search for the settings with which a bundle trains best",
        description="Train a bundle many times with settings out of a search space, and write "
        "those of the best validation as a config: best.json. The same command goes on with a "
        "study that was stopped; given twice at a time, both work on it.",
    )
    add_bundle(parser)
    parser.add_argument("--space", required=True, type=Path, help="search space, .json")
    add_data(parser, required=False, default="that of the config")
    add_output(parser, "for the study")
    parser.add_argument(
        "--trials", type=int, help=f"in all (default {DEFAULT_TRIALS}, or all of a grid)"
    )
    parser.add_argument("--sampler", default="tpe", choices=["tpe", "random", "grid"])
    parser.add_argument(
        "--pruner", default="median", choices=["median", "halving", "none"],
        help="when a trial that does badly ends early",
    )  # fmt: skip
    parser.add_argument("--warmup", type=int, default=0, metavar="EPOCHS", help="without pruning")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")
    add_training_options(parser, one="a trial", many="trials")
    add_dask(parser, many="trials")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the trials that are missing, then write what they say."""
    require("optuna", feature="medvol tune", install="medvol[tune]")
    from ..search.on_dask import trials_on

    search = _search(args)
    try:
        with trials_on(args.dask, args.jobs) as (train, jobs):
            search.run(
                jobs=jobs, train=train, say=lambda trial: print(line(search, trial), flush=True)
            )
        return _report(search)
    finally:
        search.close()


def _search(args: argparse.Namespace) -> "Tuning":
    from ..search.ids import check_ids, parse_settings
    from ..search.starts import find_weights
    from ..search.training import prepare
    from ..search.tuning import Strategy, Tuning, grid, read_space

    check_jobs(args)
    space, settings = read_space(args.space), parse_settings(args.settings)
    if both := sorted(set(space) & set(settings)):
        raise ValueError(f"{both[0]} is searched and given by --set; choose one")
    training = prepare(
        args.bundle, data=args.data, settings=settings, overlays=args.overlays,
        limits=(args.budget, args.patience), weights=find_weights(args.weights, args.bundle),
    )  # fmt: skip
    check_ids(training.config(), space)
    trials = len(grid(space)) if args.sampler == "grid" else DEFAULT_TRIALS
    trials = trials if args.trials is None else args.trials
    strategy = Strategy(trials, args.sampler, args.pruner, args.warmup, args.seed)
    if args.fresh:
        start_over(args.output)
    return Tuning(training, space, args.output, strategy)


def line(search: "Tuning", trial: "FrozenTrial") -> str:
    """One trial in words."""
    kept = trial.user_attrs
    values = "  ".join(f"{name}={_short(value)}" for name, value in search.values(trial).items())
    if trial.state.name == "FAIL":
        return f"trial {trial.number}: failed, {kept.get('reason')}  {values}"
    how = "ended early" if trial.state.name == "PRUNED" else kept["stopped"]
    figure = f"{search.training.metric} {trial.value:.4f}"
    return (f"trial {trial.number}: {figure}  {kept['epochs']} epochs, {kept['seconds']:.0f} s, "
            f"{how}  {values}")  # fmt: skip


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _report(search: "Tuning") -> int:
    """Pictures and last lines; status 0, 1 when some trials failed, 2 when no trial is whole."""
    from ..owned import filling
    from ..report.plots import draw_history, draw_importance
    from ..search.tuning import OVERLAY, importance

    trials, best = search.trials, search.best
    count = Counter(trial.state.name for trial in trials)
    if best is None:
        log = search.folder_of(trials[-1])
        print(f"medvol tune: no trial has a figure; {count['FAIL']} of {len(trials)} failed. "
              f"The log of the last is in {log}", file=sys.stderr)  # fmt: skip
        return 2
    with filling(search.folder) as scratch:
        draw_history(scratch / "history.png", search.study, metric=search.training.metric)
        if importance(search):
            draw_importance(scratch / "importance.png", search.study)
    print(f"{len(trials)} trials: {count['COMPLETE']} trained, {count['PRUNED']} ended early, "
          f"{count['FAIL']} failed")  # fmt: skip
    print(f"best {line(search, best)}\nconfig {search.folder / OVERLAY}")
    return 1 if count["FAIL"] else 0
