# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle`: gathers its commands, which lie in `bundles`."""

import argparse

from .bundles import (
    backends,
    check,
    export,
    inspect,
    keys,
    look,
    make,
    pack,
    receive,
    remote,
    remove,
)

# in the order of the help
GROUPS = (look, make, check, inspect, pack, keys, receive, remove, remote, export, backends)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` and its own commands to the command line."""
    parser = commands.add_parser(
        "bundle",
        help="list, explain, make, check, share and receive bundles",
        description="Look at bundles, make new ones, give them away and receive them. A bundle is "
        "named by its folder, or by its name when it came with medvol, was received or lies in the "
        "folder MEDVOL_BUNDLES.",
    )
    own = parser.add_subparsers(dest="bundle_command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_parser(own)
