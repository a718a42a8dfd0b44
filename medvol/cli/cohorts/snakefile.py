# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort snakefile`: where the workflow lies with which Snakemake does a cohort."""

import argparse
from importlib.resources import files
from typing import Any


def add_parser(commands: Any) -> None:
    """Add `snakefile` to the commands of `cohort`."""
    parser = commands.add_parser(
        "snakefile",
        help="where the workflow for Snakemake lies",
        description="Print the path of a Snakefile that has a job for each case of a cohort that "
        'was begun: snakemake --snakefile "$(medvol cohort snakefile)" --config out=OUT -j 4 '
        "--keep-going. What else Snakemake needs, such as an executor, stands in its profiles.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print it."""
    print(files("medvol.cohort") / "Snakefile")
    return 0
