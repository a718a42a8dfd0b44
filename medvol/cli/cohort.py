# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort`: gathers its commands, which lie in `cohorts`."""

import argparse

from .cohorts import plan, report, retry, run, snakefile, status, verify

GROUPS = (plan, run, status, retry, report, verify, snakefile)  # in the order of the help


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `cohort` and its own commands to the command line."""
    parser = commands.add_parser(
        "cohort",
        help="thousands of cases, on one machine or many, with nothing lost",
        description="Predict the cases of a plan with one or several bundles, on one machine or "
        "many that share a folder. What is done is done once: the same command goes on after any "
        "stop, and may run on several machines at the same time.",
    )
    own = parser.add_subparsers(dest="cohort_command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_parser(own)
