# SPDX-License-Identifier: Apache-2.0
"""`medvol inspect`: say what is seen in an image, before anything is done with it."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import InputError, printable
from ..failures import failure
from .options import add_series

if TYPE_CHECKING:
    from ..engine.pipeline import Pipeline
    from ..images.image import Image

COLOURS = ("red", "green", "blue")
COLOUR_MODES = ("P", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV")  # of Pillow


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `inspect` to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="print what is seen in an image",
        description="Read images as `medvol predict` does and print modality, grid, values and "
        "notes; with --bundle also what its prediction will take. Exit status 2 when an image is "
        "refused.",
    )
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH",
        help="image file, DICOM folder, or folder of images; for MR also a slice picture, a "
        "patient's folder of them, or folder of such; a radiograph, or folder of such",
    )  # fmt: skip
    add_series(parser)
    parser.add_argument(
        "--bundle", help="read as this bundle reads (default: as what the content looks like)"
    )
    parser.add_argument(
        "--json", action="store_true",
        help="print one object instead: images, and what was refused",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe each image; refusals go to stderr, one line each."""
    from ..images.describe import describe

    described, refused, forecast = [], [], _Forecast(args.bundle)
    for given in args.paths:
        for read in _readers(given, args):
            try:
                image = read()
                described.append({**describe(image), **forecast(image)})
            except Exception as error:  # one image does not stop the others
                refused.append(failure(error, given))
                print(f"medvol: {refused[-1]}", file=sys.stderr)
    if args.json:
        found = {"images": described, "refused": [error.as_json() for error in refused]}
        print(json.dumps(found, indent=2))
    elif described:
        print("\n\n".join(table(facts) for facts in described))
    return 2 if refused else 0


class _Forecast:
    """What the prediction of volumes will take; the bundle is loaded with the first of them.

    Args:
        bundle: name or folder; None forecasts nothing.
    """

    def __init__(self, bundle: str | None) -> None:
        self.bundle = bundle
        self.pipeline: Pipeline | None = None

    def __call__(self, image: "Image") -> dict[str, Any]:
        """A forecast for JSON and, in words, for the table; nothing of a radiograph.

        Raises:
            InputError: E_BUNDLE, the bundle cannot be loaded.
        """
        if self.bundle is None or image.array.ndim != 3:
            return {}
        from ..bundle.spec import read_spec
        from ..engine.forecast import forecast  # here: it loads torch
        from ..engine.pipeline import Pipeline

        self.pipeline = self.pipeline or Pipeline(read_spec(self.bundle))
        found = forecast(self.pipeline, image)
        return {"forecast": {**found.as_json(), "words": str(found)}}


def _readers(given: Path, args: argparse.Namespace) -> "list[Callable[[], Image]]":
    """What reads each image of a path; a single one that refuses, where the path cannot be used."""
    try:
        if args.bundle:
            return _readers_of_bundle(given, args)
        paths = find_images(given) if given.is_dir() and args.series is None else [given]
        _remark(given, paths)
        return [partial(_load, path, args.series) for path in paths]
    except Exception as error:  # one path does not stop the others
        return [partial(_refuse, failure(error, given))]


def _remark(given: Path, taken: Sequence[Path]) -> None:
    """Say what a folder holds beside its images."""
    from ..images.find import passed_by

    for note in passed_by(given, taken).notes if given.is_dir() else []:
        print(printable(f"medvol: {given}: {note}"), file=sys.stderr)


def _refuse(error: InputError) -> NoReturn:
    raise error


def _readers_of_bundle(given: Path, args: argparse.Namespace) -> "list[Callable[[], Image]]":
    from ..bundle.spec import read_spec
    from ..tasks.cases import Reading, find_cases
    from ..tasks.task import task_of

    task, reading = task_of(read_spec(args.bundle)), Reading(series=args.series)
    cases = find_cases(task, [given], series=args.series)
    _remark(given, [Path(case.path) for case in cases])
    return [
        partial(_refuse, case.error) if case.error else partial(task.read, case.source, reading)
        for case in cases
    ]


def find_images(folder: Path) -> list[Path]:
    """The volumes of a folder, and its sub-folders of slice pictures; or its radiographs.

    Returns:
        Natural order of the names. Pictures beside volumes are passed over. The folder itself,
        where it is one patient's slices, or holds nothing.

    Raises:
        InputError: as in `images.find.find_volumes`.
    """
    from ..images.files import children, natural_key
    from ..images.find import find_radiographs, find_volumes

    volumes = find_volumes(folder)
    if not volumes and _holds_slices(folder):
        return [folder]
    patients = [path for path in children(folder) if path.is_dir() and _holds_slices(path)]
    found = sorted([*volumes, *patients], key=natural_key)
    return found or find_radiographs(folder) or [folder]


def _holds_slices(folder: Path) -> bool:
    """Whether a folder has colour pictures, slices of MR sequences, and no volume."""
    from ..images.find import find_volumes
    from ..images.slice_images import find_slices

    try:
        pictures = find_slices(folder)
        return bool(pictures) and not find_volumes(folder) and not _is_grey(pictures[0])
    except InputError:  # a folder that may not be opened, or that holds no picture after all
        return False


def _is_grey(path: Path) -> bool:
    from ..images.picture import opened_picture

    with opened_picture(path) as picture:
        return picture.mode not in COLOUR_MODES


def _load(path: Path, series: str | None) -> "Image":
    """A volume; of colour pictures the MR sequences in them; of a grey picture a radiograph.

    Raises:
        InputError: it cannot be used; the code says why.
    """
    from ..images import read_image
    from ..images.find import is_radiograph
    from ..images.slice_images import is_slice_picture

    if path.is_dir() and _holds_slices(path):
        return _sequences(path)
    if path.is_file() and is_slice_picture(path):
        return read_image(path, "radiograph") if _is_grey(path) else _sequences(path)
    try:
        return read_image(path, series=series)
    except InputError as error:
        if error.code not in ("E_DIMS", "E_FORMAT") or not is_radiograph(path):
            raise
        try:
            return read_image(path, "radiograph")
        except InputError as other:
            raise (error if other.code == "E_MODALITY" else other) from None  # a slice of a CT


def _sequences(path: Path) -> "Image":
    """Colour pictures; it is said that this is a guess."""
    from ..images import read_image

    image = read_image(path, "sequences")
    guess = "in colour, so read as slices of MR sequences; --bundle reads as a bundle does."
    print(printable(f"medvol: {path}: {guess}"), file=sys.stderr)
    return image


def table(facts: Mapping[str, Any]) -> str:
    """The facts of one image (see `describe`) as aligned lines under its name."""
    known = dict(facts["facts"])
    names = known.pop("channels", [])
    values = {f"{name} values": facts["channels"][name] for name in names} or {
        "HU" if facts["modality"] == "CT in HU" else "values": facts["values"]
    }
    if "forecast" in facts:
        known["prediction"] = facts["forecast"]["words"]
    if pictures := known.pop("slices", []):
        known["pictures"] = " to ".join(dict.fromkeys((pictures[0], pictures[-1])))
        known["colours"] = ", ".join(map(" ".join, zip(COLOURS, names, strict=True)))
    stored = [
        known.pop(name) for name in ("format", "stored_dtype", "stored_mode") if name in known
    ]
    rows = {
        "modality": facts["modality"],
        "format": ", ".join(stored),
        "shape": _times(facts["shape"]),
        **_place(facts),
        **{name: _range(levels) for name, levels in values.items()},
        **known,
    }
    lines = [(name, str(value)) for name, value in rows.items()]
    lines += [("note", " ".join(note)) for note in facts["notes"]]
    width = max(len(name) for name, _ in lines)
    body = [f"  {name:<{width}}  {value}" for name, value in lines]
    return "\n".join(printable(line) for line in [facts["path"], *body])


def _place(facts: Mapping[str, Any]) -> dict[str, str]:
    """Where a volume lies; nothing of a radiograph."""
    if "affine" not in facts:
        return {}
    return {
        "spacing mm": _times(facts["spacing_mm"]),
        "size mm": _times(facts["size_mm"]),
        "orientation": facts["orientation"],
        "voxels": f"{facts['voxels']:,}",
    }


def _range(values: Mapping[str, float]) -> str:
    levels = ", ".join(f"{name} {_short(values[name])}" for name in values if name[0] == "p")
    return f"{_short(values['min'])} to {_short(values['max'])} ({levels})"


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(_short(number) for number in numbers)


def _short(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"
