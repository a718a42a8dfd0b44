# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle`: build the configs of bundles from their sources."""

import argparse
from pathlib import Path


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` to the command line."""
    parser = commands.add_parser("bundle", help="build bundles from their sources")
    own = parser.add_subparsers(dest="bundle_command", required=True, metavar="COMMAND")
    build = own.add_parser(
        "build",
        help="build a bundle's configs from its source",
        description="Write configs/*.json as source.json and the parts that it names give them. "
        "What was changed in configs/ by hand is lost; change the source instead.",
    )
    build.add_argument(
        "bundles", nargs="*", metavar="BUNDLE", help="name or folder; default: all with a source"
    )
    build.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 when a config differs"
    )
    build.set_defaults(run=build_configs)


def build_configs(args: argparse.Namespace) -> int:
    """Build the bundles named, or all that have a source; print each file that differs."""
    from ..bundle.build import SOURCE, build_bundle, stale_files
    from ..bundle.find import all_bundles, find_bundle

    folders = [find_bundle(name) for name in args.bundles] or [
        folder for folder in all_bundles().values() if (folder / SOURCE).is_file()
    ]
    differ: list[Path] = []
    for folder in folders:
        differ += stale_files(folder) if args.check else build_bundle(folder)
    for path in differ:
        print(f"{path} {'differs from its source' if args.check else 'written'}")
    return int(args.check and bool(differ))
