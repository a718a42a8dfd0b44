# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort plan`: find the cases in a tree of folders once, and write them into a table."""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, printable
from ...text import counted

if TYPE_CHECKING:
    from ...cohort.plan import Unit
    from ...cohort.planning import Made

SHOWN = 8  # kinds of what was left out, in a line


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `plan` to the commands of `medvol cohort`."""
    parser = own.add_parser(
        "plan",
        help="find the cases in a folder and all folders in it, and write a table of them",
        description="Search a folder, and all folders in it, for the images that bundles take, "
        "read the headers of DICOM files up to their pixels, and write a plan: a table with a line "
        "for each case and bundle. What was read is kept beside the plan, in .PLAN.part: after a "
        "stop the same command goes on, and later it reads only where something changed.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="that is searched")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("plan.csv"), metavar="PLAN",
        help=".csv, or .parquet with medvol[cohort] (default: plan.csv)",
    )  # fmt: skip
    parser.add_argument(
        "--bundle", nargs="+", action="extend", default=[], metavar="BUNDLE",
        help="whose images are looked for (default: volumes, in lines that name no bundle)",
    )  # fmt: skip
    parser.add_argument(
        "--all-series", action="store_true",
        help="every series of a DICOM study is a case (default: that which suits a chest CT best)",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=_pattern, metavar="PATTERN",
        help="regular expression: only images are cases whose path below FOLDER matches",
    )  # fmt: skip
    parser.add_argument(
        "--patient-from", type=_pattern, metavar="PATTERN",
        help="regular expression: what matches in an image's path below FOLDER is its patient, or "
        "of that the part in brackets",
    )  # fmt: skip
    parser.add_argument(
        "--group-from", type=_pattern, metavar="PATTERN",
        help="the same for the group that a case is compared within, such as a site",
    )  # fmt: skip
    parser.add_argument(
        "--groups", type=Path, metavar="TABLE",
        help="CSV with columns group and case, path or patient, as the plan has them",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=min(8, os.cpu_count() or 1), metavar="N",
        help="processes that read headers (default: as many as cores, at most 8)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _pattern(text: str) -> re.Pattern[str]:
    """A regular expression; argparse prints what is wrong with it."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error


def run(args: argparse.Namespace) -> int:
    """Write the plan of a folder, and say what is in it and what is not.

    Raises:
        ValueError: fewer than 1 worker.
        InputError: E_EMPTY, there is no case in it.
    """
    from tqdm import tqdm

    from ...bundle.spec import read_spec
    from ...cohort.plan import is_parquet, write_plan
    from ...cohort.planning import Paths, kept_beside, make_plan, with_groups
    from ...tasks.task import task_of

    if args.workers < 1:
        raise ValueError(f"--workers is {args.workers}; give 1 or more")
    is_parquet(args.output)  # another suffix is refused before the work
    readers = [task_of(read_spec(bundle)) for bundle in dict.fromkeys(args.bundle)]
    with tqdm(unit=" files", disable=not sys.stderr.isatty(), leave=False) as bar:
        made = make_plan(
            args.folder, kept_beside(args.output), readers,
            every_series=args.all_series,
            paths=Paths(args.only, args.patient_from, args.group_from),
            workers=args.workers, heard=bar.update,
        )  # fmt: skip
    for line in left_out(made):
        print(printable(line), file=sys.stderr)
    if not made.units:
        reason = "no case is in it, nor in a folder in it."
        raise InputError("E_EMPTY", args.folder, reason, "Give the folder of the images.")
    units = made.units if args.groups is None else with_groups(made.units, args.groups)
    write_plan(args.output, units)
    print(printable(f"{args.output}: {summary(units)}"))
    return 0


def summary(units: "Sequence[Unit]") -> str:
    """What a plan holds, in words."""
    images = {(unit.path, unit.series): unit.size_bytes for unit in units}
    of = [f" {preposition} {counted(number, name)}"
          for preposition, name in (("of", "patient"), ("in", "group"))
          if (number := len({getattr(unit, name) for unit in units} - {""}))]  # fmt: skip
    size = f"{sum(images.values()) / 1e9:.3g} GB"
    return f"{counted(len(images), 'image')}{''.join(of)}, {size}; {counted(len(units), 'line')}"


def left_out(made: "Made") -> list[str]:
    """What a plan has no lines for, in words: a line for files, and one for each bundle."""
    lines = [f"passed by: {_listed(made.files)}"] if made.files else []
    for bundle, others in made.others.items():
        if others:
            lines.append(f"no case{f' of {bundle}' if bundle else ''}: {_listed(others)}")
    return lines


def _listed(counts: Counter[str]) -> str:
    """How many of which kinds, the most first.

    Example:
        >>> _listed(Counter({"mask": 1200, ".json": 3}))
        '1,200 mask, 3 .json'
    """
    words = [f"{number:,} {kind}" for kind, number in counts.most_common()]
    more = [f"{len(words) - SHOWN} more kinds"] if len(words) > SHOWN else []
    return ", ".join(words[:SHOWN] + more)
