# SPDX-License-Identifier: Apache-2.0
"""The options that may change an answer, alike for one case and for thousands."""

import argparse
from typing import Any

from .options import DICOM_OPTIONS


def add_answering(
    parser: argparse.ArgumentParser,
) -> tuple[argparse._ArgumentGroup, argparse._ArgumentGroup]:
    """Add `--strict`, `--gate`, `--spacing` and `--attention`.

    Args:
        parser: of a command that predicts.

    Returns:
        The groups of options for bundles that take volumes, and for those that take radiographs.
    """
    parser.add_argument("--strict", action="store_true", help="refuse what is used with a note")
    volumes = parser.add_argument_group("for bundles that take volumes")
    volumes.add_argument(
        "--gate", metavar="THRESHOLD", type=_threshold,
        help="probability from which a slice is segmented, 0 to 1, or off; for bundles with a gate "
        "(default: what the bundle says)",
    )  # fmt: skip
    volumes.add_argument(
        "--spacing", type=_mm, nargs=3, metavar=("X", "Y", "Z"),
        help="of slice pictures, columns, rows and slices in mm, since they know none",
    )  # fmt: skip
    radiographs = parser.add_argument_group("for bundles that take radiographs")
    radiographs.add_argument(
        "--attention", choices=["grad-cam", "occlusion"],
        help="how the map on the page of a radiograph is made, of what the answer rests on "
        "(default: grad-cam)",
    )  # fmt: skip
    return volumes, radiographs


def asked_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options that may change an answer, by name; those that a command has not are as usual."""
    from ..tasks.task import NOT_ASKED

    dicom = {name: True for name in DICOM_OPTIONS if getattr(args, name, False)}
    return {name: getattr(args, name, usual) for name, usual in NOT_ASKED.items()} | dicom


def _threshold(text: str) -> float | str:
    """A threshold for `--gate`; argparse prints what is wrong with another word."""
    if text == "off":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a threshold; give 0 to 1, or off")
    return value


def _mm(text: str) -> float:
    """A length for `--spacing`; argparse prints what is wrong with another word."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a spacing; give three of mm above 0")
    return value
