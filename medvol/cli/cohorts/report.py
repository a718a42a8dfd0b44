# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort report`: one table and pages over all cases of a cohort."""

import argparse
import json
from pathlib import Path


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report` to the commands of `medvol cohort`."""
    parser = own.add_parser(
        "report",
        help="write one table and pages over all cases",
        description="Write OUT/report: a table of all cases, a page with counts, distributions, "
        "outliers, refusals and all cases, and a page on which a human reviews a sample. It may be "
        "written while the cohort is at work, and again at any time.",
    )
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the cohort")
    parser.add_argument(
        "--review", type=Path, nargs="+", default=[], metavar="FILE",
        help="review.csv that the page of the review saved: what it says goes into table and pages",
    )  # fmt: skip
    parser.add_argument(
        "--against", type=Path, metavar="OUT2",
        help="also a page and a table of what changed since this other run",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one object with all files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report, and say where it is."""
    from ...cohort.report.write import PAGE, write_report

    files = write_report(args.output, reviews=args.review, against=args.against)
    if args.json:
        print(json.dumps({"files": {name: str(path) for name, path in files.items()}}, indent=2))
    else:
        others = ", ".join(name for name in files if name != PAGE)
        print(f"{files[PAGE]}, and beside it {others}")
    return 0
