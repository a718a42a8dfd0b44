# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort`: gathers its commands, which lie in `cohorts`."""

import argparse

from .cohorts import plan

GROUPS = (plan,)  # in the order of the help


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `cohort` and its own commands to the command line."""
    parser = commands.add_parser(
        "cohort",
        help="predict thousands of cases, on one machine or many",
        description="Plan a cohort: find its cases, and say which is predicted with which bundle.",
    )
    own = parser.add_subparsers(dest="cohort_command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_parser(own)
