# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle export`: a bundle's network as TorchScript, ONNX or OpenVINO."""

import argparse
import json
from pathlib import Path

from ...errors import printable
from ..options import add_time_limit, add_trust

FORMATS = ("torchscript", "onnx", "openvino")


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `export` to the commands of `medvol bundle`."""
    parser = own.add_parser(
        "export",
        help="write a bundle's network as TorchScript, ONNX or OpenVINO",
        description="Write a bundle's network with its weights, and its gate where it has one, in "
        "a format that runs without its Python code. Each file is compared with the network that "
        "it was made from, on a phantom. A JSON beside them says what goes in, what comes out, "
        "what prepares the image, and by how much the scores differ. ONNX and OpenVINO need: pip "
        "install 'medvol[export]'.",
    )
    parser.add_argument("bundle", help="name, NAME@VERSION, folder or .zip of a bundle")
    parser.add_argument("--to", required=True, choices=FORMATS, help="the format")
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="folder, or file with the suffix .ts, .onnx or .xml",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one object instead")
    add_trust(parser)
    add_time_limit(parser, "the export")
    parser.set_defaults(run=export_one)


def export_one(args: argparse.Namespace) -> int:
    """Export a bundle, and say what was written and how equal it is."""
    from ...bundle.find import find_bundle
    from ...sharing.export import export

    made = export(find_bundle(args.bundle), args.output, to=args.to, seconds=args.time_limit)
    if args.json:
        print(json.dumps(made.to_json(), indent=2))
        return 0
    for path in (*made.files, made.record):
        print(printable(f"{path} written"))
    print(
        f"scores differ by at most {made.difference:.1e} of the largest score; "
        f"{made.tolerance:g} is allowed"
    )
    return 0
