# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort verify`: are the results there, and do they come out again?"""

import argparse
import sys
from typing import Any

from ...errors import printable
from ...text import counted
from .status import add_out

SHARE = 0.01


def add_parser(commands: Any) -> None:
    """Add `verify` to the commands of `cohort`."""
    parser = commands.add_parser(
        "verify",
        help="look whether results are there and come out again",
        description="Look whether the results of all cases that are done are there, compute some "
        "of them again at random, and compare the files.",
    )
    add_out(parser)
    parser.add_argument(
        "--share", type=_share, default=SHARE, metavar="SHARE",
        help=f"of the cases that are computed again, 0 to 1 (default {SHARE:g})",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="by which they are chosen (default 0)")
    parser.add_argument(
        "--files",
        action="store_true",
        help="compare the contents of all files with their checksums",
    )
    parser.set_defaults(run=run)


def _share(text: str) -> float:
    """A share; argparse prints what is wrong with another word."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; give 0 to 1")
    return value


def run(args: argparse.Namespace) -> int:
    """Print what is wrong: 0 where nothing is, else 2.

    Raises:
        InputError: as for `cohort.verify.compared_again`.
    """
    from tqdm import tqdm

    from ...cohort import frozen
    from ...cohort.verify import compared_again, done_units, fault_of, sample

    fixed, done = frozen.read(args.out), done_units(args.out)
    some = sample([unit for unit, _ in done], args.share, args.seed)
    faults = []
    shown = sys.stderr.isatty()
    with tqdm(total=len(done) + len(some), unit="case", leave=False, disable=not shown) as bar:
        for unit, state in done:
            faults += (
                [fault] if (fault := fault_of(args.out, unit, state, files=args.files)) else []
            )
            bar.update()
        wrong = {fault.key for fault in faults}
        again = [unit for unit in some if unit.key not in wrong]
        faults += compared_again(args.out, fixed, again, heard=bar.update)
    for fault in faults:
        print(printable(f"{fault.key}: {fault.what}"))
    if faults:
        print(
            printable(f"take away the folders of these cases, then: medvol cohort retry {args.out}")
        )
    said = f"{counted(len(done), 'case')} looked at, {len(again)} computed again"
    print(f"{said}: {counted(len(faults), 'fault') if faults else 'no fault'}")
    return 2 if faults else 0
