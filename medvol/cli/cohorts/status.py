# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort status`: how far a cohort is, and why cases were refused."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...codes import ERROR_CODES
from ...errors import printable

if TYPE_CHECKING:
    from ...cohort.status import Status


def add_parser(commands: Any) -> None:
    """Add `status` to the commands of `cohort`."""
    parser = commands.add_parser(
        "status",
        help="how far a cohort is",
        description="Count the cases of a cohort by their states, each once for every bundle, and "
        "say who works on it.",
    )
    add_out(parser)
    parser.add_argument("--json", action="store_true", help="print one object instead")
    parser.set_defaults(run=run)


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add the folder of a cohort, which comes first."""
    parser.add_argument("out", type=Path, metavar="OUT", help="output folder of the cohort")


def run(args: argparse.Namespace) -> int:
    """Print how far it is; 0 where all is done, else as `medvol cohort run` would end.

    Raises:
        InputError: E_PATH, E_FORMAT, E_PLAN: as for `status_of`.
    """
    from ...cohort.status import exit_status, status_of

    found = status_of(args.out)
    if args.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        print("\n".join(map(printable, _lines(found, args.out))))
    return exit_status(found.counts)


def _lines(found: "Status", out: Path) -> list[str]:
    counts = ", ".join(f"{n:,} {state}" for state, n in found.counts.items() if n)
    lines = [f"{found.counts.total():,} cases: {counts}"]
    if found.rate:
        left = "" if found.left_s is None else f", {found.left_s / 3600:.1f} h left"
        lines.append(f"{found.rate:,.1f} cases an hour{left}")
    lines += [f"at work: {x.host} {x.pid}, a sign {x.age_s:.0f} s ago" for x in found.workers]
    for (code, state), number in sorted(found.why.items()):
        remedy = found.remedies[code, state] or ERROR_CODES[code].remedy
        lines.append(f"{number:,} {state} {code}: {remedy}")
    if found.why:
        lines.append(f"why each: {out / 'logs'}; once that is mended: medvol cohort retry {out}")
    if found.bad_lines:
        lines.append(f"{found.bad_lines} damaged lines of the ledger are passed by")
    return lines
