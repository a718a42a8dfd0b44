# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort retry`: begin cases anew that were refused or failed."""

import argparse
from typing import Any

from ...codes import ERROR_CODES
from ...errors import printable
from ...text import counted
from .status import add_out


def add_parser(commands: Any) -> None:
    """Add `retry` to the commands of `cohort`."""
    parser = commands.add_parser(
        "retry",
        help="begin cases anew that were refused or failed",
        description="Forget why cases are not done, once that is mended; `medvol cohort run` does "
        "them then. What is done stays, but for cases whose results were taken away.",
    )
    add_out(parser)
    parser.add_argument(
        "--code", nargs="+", default=[], metavar="CODE", choices=[*ERROR_CODES],
        help="only those with these codes, such as E_PATH",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say how many are begun anew.

    Raises:
        InputError: as for `cohort.retry.retry`.
    """
    from ...cohort.retry import retry

    found = retry(args.out, args.code)
    print(printable(f"{counted(len(found), 'case')} begun anew; medvol cohort run {args.out}"))
    return 0
