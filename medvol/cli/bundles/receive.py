# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle receive`: a packed bundle of another lab is looked at, installed and tried."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, printable
from ..options import add_time_limit

if TYPE_CHECKING:
    from ...sharing.golden import GoldenResult
    from ...sharing.receive import Received


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `receive` to the commands of `medvol bundle`."""
    receive = own.add_parser(
        "receive",
        help="install a packed bundle of another lab",
        description="Unpack a bundle in quarantine, compare every file with its manifest, look at "
        "its signature and its level, and install it under its name, version and digest. Of level "
        "A it is installed; of level B, or with a signature of a key that is not trusted, it needs "
        "--accept; level C is refused, and so is an older or altered version of a known name. "
        "Nothing of it runs before. Then its golden case runs here, and is compared with the "
        "answer where it was packed: exit status 1 when they differ.",
    )
    receive.add_argument("file", type=Path, help="packed bundle, a .zip")
    add_receiving(receive)
    receive.set_defaults(run=receive_one)


def add_receiving(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that receives a bundle and calls `report`.

    Args:
        parser: of the command.
    """
    parser.add_argument(
        "--accept", metavar="DIGEST",
        help="trust the bundle of this digest, 64 digits, as `medvol bundle inspect` prints it",
    )  # fmt: skip
    parser.add_argument(
        "--signed-by", metavar="NAME", help="refuse it unless this trusted key signed it"
    )
    parser.add_argument("--json", action="store_true", help="print an object instead")
    add_time_limit(parser, "the golden case")


def receive_one(args: argparse.Namespace) -> int:
    """Receive a bundle, try it, and say what came of both."""
    from ...sharing.receive import receive

    return report(receive(args.file, accepted=args.accept, signed_by=args.signed_by), args)


def report(received: "Received", args: argparse.Namespace) -> int:
    """Try a bundle that was received, and say what came of it; the exit status.

    Args:
        received: that is installed now.
        args: with what `add_receiving` has added.
    """
    from ...sharing.receive import agrees, try_golden

    if not args.json:
        print("\n".join(map(printable, _lines(received))))
    result: GoldenResult | InputError | None
    try:
        result = try_golden(received.bundle, seconds=args.time_limit)
    except InputError as error:
        result = error
    good = result is None or (not isinstance(result, InputError) and agrees(result))
    if args.json:
        print(json.dumps(_object(received, result, good), indent=2))
    else:
        print(printable(_said(received, result, good)))
    return int(not good)


def _lines(received: "Received") -> list[str]:
    """What was received, from whom, and by which name it is known."""
    from ...bundle.find import all_bundles

    bundle, signer = received.bundle, received.signer
    word = "was there already, unchanged" if received.before else "received"
    by = f"signed by {signer}" if signer else "signed by nobody"
    accepted = ", accepted by its digest" if bundle.accepted else ""
    lines = [f"{bundle.name} {bundle.version} {word}: level {bundle.level}, {by}{accepted}"]
    lines.append(f"digest {bundle.digest}")
    meant = all_bundles()[bundle.name]
    if meant != bundle.folder:
        lines.append(f"{bundle.name} alone names {meant}; name this one {bundle.title}")
    return lines


def _said(received: "Received", result: "GoldenResult | InputError | None", good: bool) -> str:
    bundle = received.bundle
    if result is None:
        return "golden case: there is none, so nobody knows whether it runs here as it should"
    if isinstance(result, InputError):
        said = f"golden case: it does not run here: {result}"
    else:
        said = f"golden case: {'as where it was packed, ' if good else ''}{result}"
    if not good:
        said += " It does not run here as it did where it was packed. Do not rely on its answers; "
        said += f"take it away with: medvol bundle remove {bundle.title}"
    return said


def _object(
    received: "Received", result: "GoldenResult | InputError | None", good: bool
) -> dict[str, Any]:
    bundle = received.bundle
    golden = result.as_json() if isinstance(result, InputError) else result and result.to_json()
    return {
        "name": bundle.name, "version": bundle.version, "digest": bundle.digest,
        "level": bundle.level, "signer": bundle.signer, "key": bundle.key,
        "accepted": bundle.accepted, "folder": str(bundle.folder), "before": received.before,
        "golden": golden, "agrees": good,
    }  # fmt: skip
