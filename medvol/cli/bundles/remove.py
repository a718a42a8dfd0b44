# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle remove` and `clean`: take away what was received, and what was left of it."""

import argparse

from ...errors import printable


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `remove` and `clean` to the commands of `medvol bundle`."""
    one = own.add_parser(
        "remove",
        help="take away a received bundle",
        description="Take away a bundle that was received, never one of your own or a shipped one. "
        "That it was there is remembered: older and altered ones of its name stay refused.",
    )
    one.add_argument("bundle", metavar="NAME[@VERSION]", help="default: all versions of the name")
    one.add_argument(
        "--forget", action="store_true",
        help="forget the name too, so that any version of it may be received",
    )  # fmt: skip
    one.set_defaults(run=remove_one)

    rest = own.add_parser(
        "clean",
        help="take away what killed runs left, and old versions",
        description="Take away what processes that were killed left in quarantine, among the "
        "received bundles and among temporary files.",
    )
    rest.add_argument(
        "--old", action="store_true", help="also received bundles of which a newer one is there"
    )
    rest.set_defaults(run=clean_up)


def remove_one(args: argparse.Namespace) -> int:
    """Remove a bundle, and say what went."""
    from ...sharing.remove import remove

    gone = remove(args.bundle, forget=args.forget)
    for one in gone:
        print(printable(str(one)))
    if args.forget:
        print(printable(f"{args.bundle} is forgotten: any version of it may be received"))
    return 0


def clean_up(args: argparse.Namespace) -> int:
    """Clean, and say what went and how much it was."""
    from ...sharing.remove import clean

    gone = clean(old=args.old)
    for one in gone:
        print(printable(str(one)))
    print(f"{sum(one.size for one in gone) / 1e6:.1f} MB freed" if gone else "nothing to clean")
    return 0
