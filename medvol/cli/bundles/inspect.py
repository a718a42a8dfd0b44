# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle inspect`: what a bundle from elsewhere is and would do."""

import argparse
import json


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `inspect` to the commands of `medvol bundle`."""
    parser = own.add_parser(
        "inspect",
        help="say what a bundle from elsewhere would do; nothing of it is run",
        description="Print where a bundle comes from, who signed it, whether it is whole, its "
        "licences, and what each of its parts would do: level A is declarative, B carries code of "
        "its own or calls that are not known, C asks for what medvol never runs. Nothing of the "
        "bundle is run. Exit status 1 when it is of level C, altered, or its signature is broken "
        "or withdrawn.",
    )
    parser.add_argument("bundle", help="name, NAME@VERSION, folder or .zip of a bundle")
    parser.add_argument(
        "--all", action="store_true", help="list the parts of level A and the files too"
    )
    parser.add_argument("--json", action="store_true", help="print one object with all there is")
    parser.set_defaults(run=inspect_one)


def inspect_one(args: argparse.Namespace) -> int:
    """Print what is known of a bundle."""
    from ...sharing.inspect import inspect

    found = inspect(args.bundle)
    if args.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print("\n".join(found.lines(every=args.all)))
    return int(found.refused)
