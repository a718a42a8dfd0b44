# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle`: gathers its commands, which lie in `bundles`."""

import argparse

from .bundles import check, keys, look, make, pack, remove

GROUPS = (look, make, check, pack, keys, remove)  # in the order of the help


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` and its own commands to the command line."""
    parser = commands.add_parser(
        "bundle",
        help="list, explain, make, check and build bundles",
        description="Look at bundles and make new ones. A bundle is named by its folder, or by its "
        "name when it came with medvol or lies in the folder MEDVOL_BUNDLES.",
    )
    own = parser.add_subparsers(dest="bundle_command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_parser(own)
