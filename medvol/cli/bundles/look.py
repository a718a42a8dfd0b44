# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle list` and `explain`: which bundles there are, and what one is."""

import argparse
import json

from ...errors import printable_lines
from ..options import add_bundle


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `list` and `explain` to the commands of `medvol bundle`."""
    every = own.add_parser(
        "list",
        help="all bundles: images, labels, figures",
        description="Print a line for each bundle with a name: version, images, labels or classes, "
        "and figures that were measured on images that it was not trained on.",
    )
    every.add_argument("--json", action="store_true", help="print one object with all there is")
    every.set_defaults(run=list_bundles)

    one = own.add_parser(
        "explain",
        help="say what a bundle is",
        description="Print a bundle's task, labels, chain with its steps, network, inferer, "
        "training, figures and licence.",
    )
    add_bundle(one)
    one.set_defaults(run=explain_bundle)


def list_bundles(args: argparse.Namespace) -> int:
    """Print what each bundle is, and where one's own lie."""
    from ...bundle.find import user_folder
    from ...bundle.listing import HEADS, listed
    from ...text import aligned

    bundles = listed()
    if args.json:
        rows = [bundle.to_json() for bundle in bundles]
        print(json.dumps({"own_folder": str(user_folder()), "bundles": rows}, indent=2))
    else:
        print(printable_lines(aligned([HEADS, *(bundle.line() for bundle in bundles)])))
        print(f"\nYour own bundles lie in {user_folder()}")
    return 0


def explain_bundle(args: argparse.Namespace) -> int:
    """Print what a bundle is."""
    from ...bundle.find import find_bundle
    from ...sharing.explained import explained

    print(printable_lines(explained(find_bundle(args.bundle))))
    return 0
