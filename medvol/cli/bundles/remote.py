# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle push`, `pull` and `versions`: a shared folder or the Hugging Face hub as store."""

import argparse
import json
import tempfile
from pathlib import Path

from ...errors import printable, printable_lines
from .receive import add_receiving, report

PLACE = "a shared folder, or hf:ORGANISATION/NAME on the Hugging Face hub"


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `push`, `pull` and `versions` to the commands of `medvol bundle`."""
    push = own.add_parser(
        "push",
        help="put a packed bundle into a store",
        description="Copy a packed bundle into a shared folder, or upload it to the Hugging Face "
        "hub. It is whole there or not at all, and a version that is there is never replaced by "
        "another content.",
    )
    push.add_argument(
        "bundle", help="packed bundle, a .zip; or one's name or folder, which is packed"
    )
    push.add_argument("--to", dest="place", required=True, metavar="PLACE", help=PLACE)
    push.add_argument(
        "--trust-this-bundle", dest="accept", action="store_true",
        help="pack a name or folder although it carries code",
    )  # fmt: skip
    push.set_defaults(run=push_one)

    pull = own.add_parser(
        "pull",
        help="receive a bundle from a store",
        description="Take a bundle from a shared folder or the Hugging Face hub, and receive it "
        "with all checks of `medvol bundle receive`.",
    )
    pull.add_argument("bundle", metavar="NAME[@VERSION]", help="of a name alone the newest version")
    pull.add_argument("--from", dest="place", required=True, metavar="PLACE", help=PLACE)
    add_receiving(pull)
    pull.set_defaults(run=pull_one)

    every = own.add_parser(
        "versions",
        help="the versions of a bundle in a store",
        description="Print a line for each version of a bundle in a store, the oldest first.",
    )
    every.add_argument("bundle", metavar="NAME", help="of the bundle")
    every.add_argument("--from", dest="place", required=True, metavar="PLACE", help=PLACE)
    every.add_argument("--json", action="store_true", help="print a list of objects instead")
    every.set_defaults(run=list_versions)


def push_one(args: argparse.Namespace) -> int:
    """Put a packed bundle into a store, and say where it is."""
    from ...bundle.find import find_bundle
    from ...bundle.permission import permit_or_accept
    from ...sharing.pack import pack
    from ...sharing.remote import push

    path = Path(args.bundle)
    with tempfile.TemporaryDirectory(prefix="medvol-") as scratch:
        if path.suffix.lower() != ".zip":
            folder = find_bundle(args.bundle)
            permit_or_accept(folder, trust=args.accept)
            path = pack(folder, Path(scratch, f"{folder.name}.zip")).path
        row = push(path, args.place)
    print(printable(f"{row.name} {row.version} ({row.short}) -> {row.place}"))
    return 0


def pull_one(args: argparse.Namespace) -> int:
    """Receive a bundle from a store, try it, and say what came of both."""
    from ...sharing.remote import pull

    received = pull(args.bundle, args.place, accepted=args.accept, signed_by=args.signed_by)
    return report(received, args)


def list_versions(args: argparse.Namespace) -> int:
    """Print the versions of a bundle in a store."""
    from ...sharing.remote import versions
    from ...text import aligned

    rows = versions(args.bundle, args.place)
    if args.json:
        said = [{"name": x.name, "version": x.version, "digest": x.short, "place": x.place}
                for x in rows]  # fmt: skip
        print(json.dumps(said, indent=2))
    elif rows:
        print(printable_lines(aligned([[x.version, x.short, x.place] for x in rows])))
    else:
        print(printable(f"{args.place} has no bundle named {args.bundle}"))
    return 0
