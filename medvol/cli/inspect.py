# SPDX-License-Identifier: Apache-2.0
"""`medvol inspect`: say what is seen in an image, before anything is done with it."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from ..images.image import Image

COLOURS = ("red", "green", "blue")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `inspect` to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="print what is seen in an image",
        description="Read images as `medvol predict` does and print modality, grid, values and "
        "notes. Exit status 2 when an image is refused.",
    )
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH",
        help="image file, DICOM folder, or folder of images; for MR also a slice picture, a "
        "patient's folder of them, or folder of such",
    )  # fmt: skip
    parser.add_argument("--series", metavar="UID", help="which series of a DICOM folder")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe each image; refusals go to stderr, one line each."""
    from ..images.describe import describe

    described, status = [], 0
    for given in args.paths:
        try:
            paths = find_images(given) if given.is_dir() and args.series is None else [given]
        except InputError as error:
            print(f"medvol: {error}", file=sys.stderr)
            status = 2
            continue
        for path in paths:
            try:
                described.append(describe(_load(path, args.series)))
            except InputError as error:
                print(f"medvol: {error}", file=sys.stderr)
                status = 2
    if args.json:
        print(json.dumps(described, indent=2))
    elif described:
        print("\n\n".join(table(facts) for facts in described))
    return status


def find_images(folder: Path) -> list[Path]:
    """The volumes of a folder, and its sub-folders of slice pictures; or the folder itself.

    Returns:
        Natural order of the names. Pictures beside volumes are passed over.

    Raises:
        InputError: as in `images.find.find_volumes`.
    """
    from ..images.files import natural_key
    from ..images.find import find_volumes

    volumes = find_volumes(folder)
    if not volumes and _is_pictured(folder):
        return [folder]
    patients = [path for path in folder.iterdir() if path.is_dir() and _is_pictured(path)]
    return sorted([*volumes, *patients], key=natural_key) or [folder]


def _is_pictured(path: Path) -> bool:
    """Whether this is a slice picture, or a folder of such without any volume."""
    from ..images.find import find_volumes
    from ..images.slice_images import find_slices, is_slice_picture

    if not path.is_dir():
        return is_slice_picture(path)
    try:
        return bool(find_slices(path)) and not find_volumes(path)
    except InputError:  # a folder that may not be opened
        return False


def _load(path: Path, series: str | None) -> "Image":
    """A volume; or, of slice pictures, the MR sequences in them."""
    from ..images import read_image

    return read_image(path, "sequences") if _is_pictured(path) else read_image(path, series=series)


def table(facts: Mapping[str, Any]) -> str:
    """The facts of one volume (see `describe`) as aligned lines under its name."""
    known = dict(facts["facts"])
    names = known.pop("channels", [])
    values = {f"{name} values": facts["channels"][name] for name in names} or {
        "HU" if facts["modality"] == "CT in HU" else "values": facts["values"]
    }
    if pictures := known.pop("slices", []):
        known["pictures"] = " to ".join(dict.fromkeys((pictures[0], pictures[-1])))
        known["colours"] = ", ".join(map(" ".join, zip(COLOURS, names, strict=True)))
    rows = {
        "modality": facts["modality"],
        "format": f"{known.pop('format')}, {known.pop('stored_dtype')}",
        "shape": _times(facts["shape"]),
        "spacing mm": _times(facts["spacing_mm"]),
        "size mm": _times(facts["size_mm"]),
        "orientation": facts["orientation"],
        "voxels": f"{facts['voxels']:,}",
        **{name: _range(levels) for name, levels in values.items()},
        **known,
    }
    lines = [(name, str(value)) for name, value in rows.items()]
    lines += [("note", " ".join(note)) for note in facts["notes"]]
    width = max(len(name) for name, _ in lines)
    body = [f"  {name:<{width}}  {value}" for name, value in lines]
    return "\n".join(_printable(line) for line in [facts["path"], *body])


def _range(values: Mapping[str, float]) -> str:
    levels = ", ".join(f"{name} {_short(values[name])}" for name in values if name[0] == "p")
    return f"{_short(values['min'])} to {_short(values['max'])} ({levels})"


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(_short(number) for number in numbers)


def _short(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"


def _printable(line: str) -> str:
    """Line breaks and bytes that are no UTF-8 shown as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
