# SPDX-License-Identifier: Apache-2.0
"""`medvol train`: train a bundle by its recipe, and measure it on held-out cases."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import add_bundle, add_data, add_output, add_training_options, check_jobs, start_over

if TYPE_CHECKING:
    from ..search.order import Order


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `train` to the command line."""
    parser = commands.add_parser(
        "train",
        help="train a bundle, and measure it on held-out cases",
        description="Train a bundle by its recipe and write weights, curves and figures into a "
        "folder. With --name the training ends with a bundle of your own, for the labels or "
        "classes of your data. The same command goes on with a run that was stopped. A bundle is "
        "changed with --install alone.",
    )
    add_bundle(parser)
    add_data(parser)
    add_output(parser, "for the run (default runs/BUNDLE, or runs/NEW)", required=False)
    folds = parser.add_mutually_exclusive_group()
    folds.add_argument(
        "--fold", type=int, metavar="N", help="train once, and measure the cases of fold N"
    )
    folds.add_argument(
        "--folds", type=int, metavar="K",
        help="cross-validate over the folds 0 to K-1 of the datalist, then train on all cases",
    )  # fmt: skip
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="these trainings of the recipe alone"
    )
    end = parser.add_mutually_exclusive_group()
    end.add_argument(
        "--name", metavar="NEW", help="of the bundle, or its folder, that is made at the end"
    )
    end.add_argument(
        "--install", action="store_true", help="at the end put the weights into the bundle"
    )
    parser.add_argument(
        "--accept-changes", action="store_true",
        help="go on with a run that was started with other settings",
    )  # fmt: skip
    add_training_options(parser, one="a training", many="folds")
    parser.add_argument(
        "--nproc", type=int, metavar="N",
        help="processes that share the batches of a training, one a GPU where there are some; the "
        "same as torchrun --nproc_per_node N -m medvol train (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--auto", action="store_true",
        help="settings that follow from the data, as `medvol data inspect` proposes them",
    )  # fmt: skip
    parser.add_argument(
        "--strategy", metavar="NAME",
        help="how to go on from weights. head-first: the head alone for an epoch, then everything, "
        "the first layers slowest; all-slowly: everything at a tenth of the rate; head-only "
        "(default: head-first)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train what is missing, measure it, and say where everything lies."""
    from ..bundle.new import new_folder
    from ..search.auto import with_auto
    from ..search.epoch_bar import epoch_bar
    from ..search.own_bundle import check_use, draft, finish
    from ..search.ranks import ranks_of_torchrun
    from ..search.results import SUMMARY, install, summarise
    from ..search.run import Run

    rank, ranks = ranks_of_torchrun() or (0, args.nproc or 1)
    if rank:
        return 0  # the first starts the processes of each training
    order = _order(args)
    if args.install:
        order.check_install()
    folder = args.output or Path("runs") / Path(args.name or args.bundle).name
    if args.fresh:
        if args.name:
            new_folder(args.name)  # refused before the run that made it is set aside
        start_over(folder)
    if args.auto:
        order = with_auto(order, folder)
        for setting in order.auto:
            _say(f"auto: {setting.id} {setting.value}, {setting.reason}")
    own = draft(order, args.name, folder) if args.name else None
    made = Run(own.order if own else order, folder, jobs=args.jobs, ranks=ranks, say=_say)
    if own or args.install:
        check_use(own.order.bundle if own else order.bundle, made)
    with epoch_bar(made):
        chosen = made.run()
    summary = summarise(made, chosen)
    written = install(made) if args.install else []
    for line in figures(summary):
        print(line)
    print(f"summary {made.folder / SUMMARY}")
    for path in written:
        print(f"installed {path}")
    if own:
        print(f"bundle {finish(own, made, summary)}")
        print(f"Use it: medvol predict IMAGE --bundle {args.name} --output results")
    return 0


def _say(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line)  # above a bar, where there is one
    sys.stdout.flush()


def _order(args: argparse.Namespace) -> "Order":
    from ..bundle.find import find_bundle
    from ..search.ids import parse_settings
    from ..search.order import Order
    from ..search.run import ALL
    from ..search.starts import SCRATCH, find_start, usual_start

    check_jobs(args)
    bundle = find_bundle(args.bundle)
    start = args.weights or usual_start(bundle, own=bool(args.name))
    if args.folds is not None and args.folds < 2:
        raise ValueError(f"--folds is {args.folds}; give 2 or more")
    if args.install and args.auto and start == SCRATCH:
        raise ValueError(
            "--auto chooses spacing, window or image size, which the bundle that --install changes "
            "would not have; give --name, or --from weights"
        )
    one = args.fold is not None and args.fold != ALL
    return Order(
        bundle=bundle,
        data=args.data,
        folds=(args.fold,) if one else tuple(range(args.folds or 0)),
        final=not one,
        settings=parse_settings(args.settings),
        weights=find_start(start, bundle),
        strategy=args.strategy,
        overlays=tuple(args.overlays),
        limits=(args.budget, args.patience),
        only=tuple(args.only),
        accept_changes=args.accept_changes,
    )


def figures(summary: dict[str, Any], name: str = "") -> list[str]:
    """The figures of a summary as lines: names joined, a value, its interval in brackets.

    Example:
        >>> figures({"folds": 2, "held_out": {"model": {"mean": {"lesion": 0.51234}}}})
        ['folds: 2', 'held_out model mean lesion: 0.512']
    """
    lines = []
    for key, value in summary.items():
        path = f"{name} {key}".strip()
        if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
            lines.append(
                f"{path}: {value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
            )
        elif isinstance(value, dict):
            lines += figures(value, path)
        elif isinstance(value, list):
            lines += [line for row in value for line in _row(row)]
        else:
            lines.append(f"{path}: {value:.3f}" if isinstance(value, float) else f"{path}: {value}")
    return lines


def _row(row: dict[str, Any]) -> list[str]:
    return [
        "  ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    ]
