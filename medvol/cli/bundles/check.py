# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle check`: what is wrong with a bundle."""

import argparse
import json
from pathlib import Path

from ...errors import printable
from ..options import add_time_limit


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `check` to the commands of `medvol bundle`."""
    check = own.add_parser(
        "check",
        help="look for what is wrong with a bundle",
        description="Check a bundle's layout, metadata, ids, components, labels, licences, weights "
        "and network, and run one phantom through it, in a process of its own. Nothing of a bundle "
        "is run that carries code which nobody has accepted: it is read only, as with --no-run. "
        "Exit status 1 when something is wrong.",
    )
    check.add_argument("bundle", help="name or folder")
    check.add_argument(
        "--trust-this-bundle", dest="accept", action="store_true",
        help="run it although it carries code",
    )  # fmt: skip
    check.add_argument("--json", action="store_true", help="print a list of objects instead")
    check.add_argument(
        "--no-run", dest="run_it", action="store_false", help="read the files; run nothing of it"
    )
    add_time_limit(check, "the bundle's code")
    check.set_defaults(run=check_one)


def check_one(args: argparse.Namespace) -> int:
    """Print what is found in a bundle, a line each, or that nothing is."""
    from ...bundle.find import find_bundle
    from ...bundle.permission import permit_or_accept
    from ...sharing.check import check_apart, check_bundle

    folder = Path(args.bundle)
    if not folder.is_dir():  # a folder without metadata is checked too, so it is not looked for
        folder = find_bundle(args.bundle)
    if args.accept:
        permit_or_accept(folder, trust=True)
    if args.run_it:
        found = check_apart(folder, seconds=args.time_limit)
    else:
        found = check_bundle(folder, run=False)
    if args.json:
        print(json.dumps([finding._asdict() for finding in found], indent=2))
    else:
        said = [str(finding) for finding in found] or [f"{folder}: nothing is wrong"]
        print("\n".join(map(printable, said)))
    return int(any(finding.level == "error" for finding in found))
