# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle pack`: a bundle as one file for another lab."""

import argparse
import json
from pathlib import Path

from ...errors import printable
from ..options import add_bundle, add_time_limit

MB = 1e6


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `pack` to the commands of `medvol bundle`."""
    pack = own.add_parser(
        "pack",
        help="make one file of a bundle for another lab",
        description="Write a bundle as one .zip that runs with MONAI alone: configs, weights (also "
        "as .safetensors), documents and licences, the parts of medvol that the configs name, a "
        "phantom with the bundle's answer, a bill of materials and a manifest with the SHA-256 of "
        "every file. What `check` finds wrong is refused. The same bundle gives the same bytes.",
    )
    add_bundle(pack)
    pack.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the .zip to write"
    )
    pack.add_argument("--json", action="store_true", help="print one object instead")
    add_time_limit(pack, "the check of the bundle")
    pack.set_defaults(run=pack_one)


def pack_one(args: argparse.Namespace) -> int:
    """Pack a bundle, and print what the file holds, its size and its digest."""
    from ...bundle.find import find_bundle
    from ...sharing.pack import pack

    made = pack(find_bundle(args.bundle), args.output, seconds=args.time_limit)
    if args.json:
        print(json.dumps(made.to_json(), indent=2))
        return 0
    manifest = made.manifest
    lines = [
        f"{made.path}: {manifest.name} {manifest.version}, {len(manifest.files)} files, "
        f"{made.size / MB:.1f} MB",
        f"digest {manifest.digest}",
        f"medvol: {made.carried} of its files under scripts/medvol"
        if made.carried
        else "medvol: nothing to add; the configs name no part of an installed one",
        "golden case: a phantom and the bundle's answer"
        if made.golden
        else "golden case: none, there is no phantom of such images",
    ]
    lines += [f"left out: {path}" for path in made.left_out]
    print("\n".join(map(printable, lines)))
    return 0
