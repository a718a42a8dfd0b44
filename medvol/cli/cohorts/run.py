# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort run`: predict the cases of a plan, or go on with them."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, printable
from ...outputs.registry import GROUPS, OUTPUTS
from ..answering import add_answering, asked_of
from ..options import (
    add_device,
    add_dicom,
    add_engine,
    add_time_limit,
    add_trust,
    engine_of,
)
from ..trust import LATER, introduce
from .who import add_who, check_installed, driver_of, threads_of

if TYPE_CHECKING:
    from ...cohort.frozen import Asked, Frozen
    from ...cohort.plan import Unit

PATIENCE_MIN = 60.0


def add_parser(commands: Any) -> None:
    """Add `run` to the commands of `cohort`."""
    parser = commands.add_parser(
        "run",
        help="predict the cases of a plan, or go on with them",
        description="Predict each case of a plan with its bundle, once. What decides about an "
        "answer is fixed when a cohort is first run. The same command, or with OUT in place of "
        "the plan, goes on after a stop; several of them share the work.",
    )
    parser.add_argument(
        "plan", type=Path, metavar="PLAN|FOLDER|OUT",
        help="table of cases, .csv or .parquet; or folder of images; or output folder of a cohort "
        "that was begun",
    )  # fmt: skip
    parser.add_argument(
        "--bundle", nargs="+", default=[], dest="bundles", metavar="BUNDLE",
        help="names or folders; cases of the plan without a bundle are predicted with each",
    )  # fmt: skip
    parser.add_argument(
        "--output", "-o", type=Path, metavar="OUT", help="folder for results and the ledger"
    )
    add_trust(parser)
    who = add_who(parser)
    who.add_argument(
        "--part", type=_part, metavar="I/N", help="only one of N parts of the plan, for job arrays"
    )
    who.add_argument("--case", nargs="+", metavar="BUNDLE/CASE", help="only these")
    add_device(parser)
    add_engine(parser)
    add_time_limit(parser, "work on a case")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_MIN, metavar="MINUTES",
        help="that a full disk, an output folder that is gone or an archive is waited for "
        f"(default {PATIENCE_MIN:g})",
    )  # fmt: skip
    add_answering(parser)
    parser.add_argument(
        "--format", nargs="+", metavar="FORMAT",
        choices=[*(name for name, x in OUTPUTS.items() if not x.together), *GROUPS],
        help="write only these of each case, as for medvol predict",
    )  # fmt: skip
    add_dicom(parser)
    parser.add_argument(
        "--no-first-ten", action="store_true", help="do not begin with ten cases of all sizes"
    )
    parser.add_argument("--quiet", action="store_true", help="no bar, and nothing but faults")
    parser.set_defaults(run=run, failed=1, **{LATER: True})  # what it could not begin is left


def _part(text: str) -> tuple[int, int]:
    """Number and count of parts; argparse prints what is wrong with another word."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no part; give such as 3/20")
    return int(found[1]), int(found[2])


def run(args: argparse.Namespace) -> int:
    """Do what is to be done: 0 where all is, 2 where anything was refused, 1 where something is
    left.

    Raises:
        InputError: the plan or a bundle cannot be used; E_OUTPUT, the folder is of another plan.
        ValueError: an option that makes no sense.
    """
    from ...cohort.bar import Bar
    from ...cohort.exemplars import exemplars
    from ...cohort.run import Run, tidy
    from ...cohort.status import exit_status
    from ...cohort.worker import Session

    if args.workers < 1 or args.patience < 0:
        raise ValueError("--workers and --patience count up; give 1 or more, and minutes")
    check_installed(args)
    out = _out(args)
    units = _units(args, out)
    fixed = _frozen(args, out, units)
    own, first = _own(args, units), () if _is_one_of_many(args) else exemplars(units)
    session = Session(str(out), patience_s=60 * args.patience)
    bar = Bar(len(own), shown=sys.stderr.isatty() and not args.quiet, quiet=args.quiet)
    work = Run(out, own, args.workers, bar)
    try:
        with driver_of(args, session, work, fixed.threads) as driver:
            work.workers = max(1, driver.workers)
            counts = work(driver, first=() if args.no_first_ten else first)
    finally:
        bar.close()
        _say(args, _summary(work.counts(), out))
    if not _is_one_of_many(args):
        with suppress(InputError):  # what is done is done
            tidy(out)
    return exit_status(counts)


def _frozen(args: argparse.Namespace, out: Path, units: "Sequence[Unit]") -> "Frozen":
    """What all workers have in common; of its bundles it is said who made them.

    Raises:
        InputError: as for `frozen.freeze`.
    """
    from ...cohort import frozen

    folder = os.path.abspath(args.plan) if _is_images(args.plan) else ""
    cores = _cores()
    fixed = frozen.freeze(out, units, _asked(args), threads=threads_of(args, cores), folder=folder)
    is_here = not (args.dask or args.slurm or args.cluster)
    if is_here and args.workers * fixed.threads > cores:
        _say(args, f"{args.workers} x {fixed.threads} threads are more than the {cores} cores here;"
                   f" how many a worker has was fixed when {out} was begun")  # fmt: skip
    for spec in frozen.specs_of([bundle.given for bundle in fixed.bundles.values()]):
        introduce(spec.folder, trust=args.trust, quiet=args.quiet)
    return fixed


def _out(args: argparse.Namespace) -> Path:
    """The output folder: as given, or that of a cohort that goes on.

    Raises:
        ValueError: neither.
    """
    from ...cohort import frozen

    if args.output is not None:
        return Path(args.output)
    if not (args.plan / frozen.NAME).exists():
        raise ValueError("a cohort that begins needs a folder for results; give --output")
    return Path(args.plan)


def _units(args: argparse.Namespace, out: Path) -> "Sequence[Unit]":
    """The units of the plan, or of the images in a folder.

    Raises:
        InputError: it cannot be read; E_BUNDLE, no bundle was given for a folder; E_OUTPUT, as for
            `_begun_units`.
    """
    from ...cohort import frozen
    from ...cohort.plan import read_plan

    if (args.plan / frozen.NAME).exists():
        return read_plan(args.plan / frozen.PLAN)
    if _is_images(args.plan):
        return _begun_units(args, out) or _found_units(args, out)
    names = [spec.name for spec in frozen.specs_of(args.bundles)]
    return read_plan(args.plan, names, remark=partial(_say, args))


def _is_images(plan: Path) -> bool:
    """Whether what is given is a folder of images, and no output folder."""
    from ...cohort import frozen

    return plan.is_dir() and not (plan / frozen.NAME).exists()


def _begun_units(args: argparse.Namespace, out: Path) -> "Sequence[Unit]":
    """The units of the images in a folder, where the cohort was begun with it; else none.

    Raises:
        InputError: E_OUTPUT, it was begun with something else.
    """
    from ...cohort import frozen
    from ...cohort.plan import read_plan

    if not (out / frozen.NAME).exists():
        return ()
    fixed = frozen.read(out)
    if fixed.folder != os.path.abspath(args.plan):
        reason = f"it was begun with {fixed.folder or 'a plan'}."
        raise InputError("E_OUTPUT", out, reason, "Choose another output folder for these images.")
    _say(args, f"the plan in {out}, made {fixed.made}, is used; new images need another folder")
    return read_plan(out / frozen.PLAN)


def _found_units(args: argparse.Namespace, out: Path) -> "Sequence[Unit]":
    """The units of the images in a folder, which one command at a time searches.

    Raises:
        InputError: as for `_units`; E_EMPTY, there are none.
    """
    from ...cohort import frozen
    from ...cohort.planning import kept_beside, make_plan
    from ...files import locked
    from ...tasks.task import task_of

    if not (specs := frozen.specs_of(args.bundles)):
        raise InputError("E_BUNDLE", args.plan, "no bundle was given.", "Give --bundle NAME.")
    kept = kept_beside(out / frozen.PLAN)
    with locked(kept):
        if units := _begun_units(args, out):  # by another command, meanwhile
            return units
        made = make_plan(args.plan, kept, [*map(task_of, specs)], workers=min(8, _cores()))
    if not made.units:
        reason = "no case is in it, nor in a folder in it."
        raise InputError("E_EMPTY", args.plan, reason, "Give the folder of the images.")
    return made.units


def _own(args: argparse.Namespace, units: "Sequence[Unit]") -> "Sequence[Unit]":
    """The units that this command does.

    Raises:
        InputError: E_PLAN, one that was named is not in the plan.
    """
    from ...cohort.run import part_of

    if args.part:
        return part_of(units, *args.part)
    if args.case:
        known = {unit.key: unit for unit in units}
        if missing := [key for key in args.case if key not in known]:
            reason = f"it has no case {missing[0]}."
            raise InputError("E_PLAN", args.plan, reason, "Give names such as BUNDLE/CASE.")
        return [known[key] for key in args.case]
    return units


def _is_one_of_many(args: argparse.Namespace) -> bool:
    """Whether other commands do the rest of the plan."""
    return bool(args.part or args.case)


def _asked(args: argparse.Namespace) -> "Asked":
    from ...cohort.frozen import Asked

    bundles = [os.path.abspath(x) if os.path.isdir(x) else x for x in args.bundles]
    return Asked(bundles, args.format, asked_of(args), args.device, engine_of(args).asked,
                 args.time_limit)  # fmt: skip


def _say(args: argparse.Namespace, line: str) -> None:
    if not args.quiet:
        print(printable(f"medvol: {line}"), file=sys.stderr)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _summary(counts: Any, out: Path) -> str:
    words = ", ".join(f"{number:,} {state}" for state, number in counts.items())
    return f"{words}; more: medvol cohort status {out}"
