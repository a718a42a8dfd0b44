# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle backends`: what runs a bundle's network fastest on this machine."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import printable
from ...progress import Step
from ..options import add_device, add_time_limit, add_trust


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `backends` to the commands of `medvol bundle`."""
    parser = own.add_parser(
        "backends",
        help="measure what runs a bundle's network fastest on this machine",
        description="Measure how fast torch and OpenVINO run a bundle's network on this machine, "
        "on a window of a phantom, and keep which is the fastest: `medvol predict` takes it from "
        "then on. One whose scores differ from torch's is never taken. It takes half a minute, and "
        "begins no other after one; measure while nothing else runs. OpenVINO needs: pip install "
        "'medvol[cpu]'; on a GPU torch runs the network in several ways.",
    )
    parser.add_argument("bundle", help="name, NAME@VERSION, folder or .zip of a bundle")
    parser.add_argument("--json", action="store_true", help="print one object instead")
    words = "as it will be given to `medvol predict`"
    parser.add_argument("--threads", type=int, metavar="N", help=words)
    add_device(parser)
    add_trust(parser)
    add_time_limit(parser, "the measurement")
    parser.set_defaults(run=measure_one)


def measure_one(args: argparse.Namespace) -> int:
    """Measure the backends of a bundle, and say which will run it.

    Raises:
        ValueError: fewer than 1 thread.
    """
    from ...bundle.find import find_bundle
    from ...sharing.backends import Request, measured

    if args.threads is not None and args.threads < 1:
        raise ValueError(f"--threads is {args.threads}; give 1 or more")
    bundle = Path(find_bundle(args.bundle))
    request = Request(bundle, args.threads, args.precision, args.device)
    row = measured(request, seconds=args.time_limit, heard=_say)
    if args.json:
        print(json.dumps(row, indent=2))
        return 0
    for line in lines(row):
        print(printable(line))
    return 0


def _say(step: Step) -> None:
    """Say on stderr what is measured now."""
    if step.remark:
        print(f"medvol: {printable(step.remark)}", file=sys.stderr, flush=True)


def lines(row: Mapping[str, Any]) -> Iterator[str]:
    """What was measured, in words, the fastest first.

    Args:
        row: as `sharing.backends.measured` gives it.

    Example:
        >>> row = {"backend": "openvino", "seconds": {"torch": 0.1312, "openvino": 0.0934}}
        >>> row |= {"shape": [1, 96, 96, 96], "left_out": {"other": "it cannot be converted."}}
        >>> print(*lines(row), sep="\\n")
        a window of 1 x 96 x 96 x 96:
          openvino  0.0934 s  will run it
          torch     0.1312 s
          other     left out: it cannot be converted.
    """
    yield f"a window of {' x '.join(map(str, row['shape']))}:"
    width = max(map(len, [*row["seconds"], *row["left_out"]]))
    for name, seconds in sorted(row["seconds"].items(), key=lambda pair: pair[1]):
        chosen = "  will run it" if name == row["backend"] else ""
        yield f"  {name:{width}}  {seconds:.4f} s{chosen}"
    for name, why in row["left_out"].items():
        yield f"  {name:{width}}  left out: {why}"
