# SPDX-License-Identifier: Apache-2.0
"""`medvol inspect`: say what is seen in an image, before anything is done with it."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `inspect` to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="print what is seen in an image",
        description="Read images as `medvol predict` does and print modality, grid, values and "
        "notes. Exit status 2 when an image is refused.",
    )
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="image file, DICOM folder, or a folder"
    )
    parser.add_argument("--series", metavar="UID", help="which series of a DICOM folder")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe each image; refusals go to stderr, one line each."""
    from ..io.describe import describe
    from ..io.volume import find_volumes, load_image

    described, status = [], 0
    for given in args.paths:
        try:
            inside = find_volumes(given) if given.is_dir() and args.series is None else []
        except InputError as error:
            print(f"medvol: {error}", file=sys.stderr)
            status = 2
            continue
        for path in inside or [given]:
            try:
                described.append(describe(load_image(path, series=args.series)))
            except InputError as error:
                print(f"medvol: {error}", file=sys.stderr)
                status = 2
    if args.json:
        print(json.dumps(described, indent=2))
    elif described:
        print("\n\n".join(table(facts) for facts in described))
    return status


def table(facts: Mapping[str, Any]) -> str:
    """The facts of one volume (see `describe`) as aligned lines under its name."""
    known = dict(facts["facts"])
    values = facts["values"]
    levels = ", ".join(f"{name} {_short(values[name])}" for name in values if name[0] == "p")
    rows = {
        "modality": facts["modality"],
        "format": f"{known.pop('format')}, {known.pop('stored_dtype')}",
        "shape": _times(facts["shape"]),
        "spacing mm": _times(facts["spacing_mm"]),
        "size mm": _times(facts["size_mm"]),
        "orientation": facts["orientation"],
        "voxels": f"{facts['voxels']:,}",
        "HU" if facts["modality"] == "CT in HU" else "values": (
            f"{_short(values['min'])} to {_short(values['max'])} ({levels})"
        ),
        **known,
    }
    lines = [(name, str(value)) for name, value in rows.items()]
    lines += [("note", " ".join(note)) for note in facts["notes"]]
    width = max(len(name) for name, _ in lines)
    body = [f"  {name:<{width}}  {value}" for name, value in lines]
    return "\n".join(_printable(line) for line in [facts["path"], *body])


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(_short(number) for number in numbers)


def _short(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"


def _printable(line: str) -> str:
    """Line breaks and bytes that are no UTF-8 shown as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
