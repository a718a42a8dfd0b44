# SPDX-License-Identifier: Apache-2.0
"""What `medvol inspect` does in a process of its own: find images, read them, say what they are."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

from ..bundle.spec import read_spec
from ..engine.serve import Handler
from ..errors import InputError, printable
from ..failures import FAILURES, failure
from ..images import read_image
from ..images.describe import describe
from ..images.files import children, natural_key
from ..images.find import (
    find_radiographs,
    find_volumes,
    find_volumes_deeper,
    is_radiograph,
    passed_by,
)
from ..images.image import Image
from ..images.picture import opened_picture
from ..images.series import Chosen, choose, series_at
from ..images.slice_images import find_slices, is_slice_picture
from .cases import Reading, find_cases
from .task import task_of

if TYPE_CHECKING:
    from ..engine.pipeline import Pipeline

COLOUR_MODES = ("P", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV")  # of Pillow


class Wanted(NamedTuple):
    """How images are looked at.

    Args:
        series: of a DICOM study: UID, number or description.
        bundle: name or folder of the bundle that reads them; None reads by what they look like.
    """

    series: str | None = None
    bundle: str | None = None


# a path that the user gave, and the number of the image there; None asks for the images' paths
Request: TypeAlias = tuple[Path, int | None]


class Reader(NamedTuple):
    """Reads one image.

    Args:
        path: of the image.
        read: gives it, or raises why not.
    """

    path: Path
    read: Callable[[], Image]


def start(wanted: Wanted) -> Handler:
    """What answers to `Request`s: paths of images, a description, or an `InputError`."""
    return Inspecting(wanted)


class Inspecting:
    """Finds, reads and describes images.

    Args:
        wanted: how.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.known: dict[Path, list[Reader]] = {}
        self.pipeline: Pipeline | None = None

    def __call__(
        self, requests: Sequence[Request]
    ) -> Iterator[list[Path] | dict[str, Any] | InputError]:
        """What is found, see `start`."""
        for given, number in requests:
            try:
                if given not in self.known:
                    self.known[given] = self._readers(given)
                if number is None:
                    yield [reader.path for reader in self.known[given]]
                else:
                    yield self._described(self.known[given][number])
            except FAILURES as error:  # one image does not stop the others
                yield failure(error, given)

    def _described(self, reader: Reader) -> dict[str, Any]:
        """The facts of an image, or the series of a study of which none was chosen."""
        try:
            image = reader.read()
        except InputError as error:
            several = error.code == "E_SERIES" and self.wanted.series is None
            if several and (facts := series_facts(reader.path)):
                return facts
            raise
        return {**describe(image), **self._forecast(image)}

    def _forecast(self, image: Image) -> dict[str, Any]:
        """What a prediction will take, for JSON and, in words, for the table; nothing of a
        radiograph. The bundle is loaded with the first volume.

        Raises:
            InputError: E_BUNDLE, the bundle cannot be loaded.
        """
        if self.wanted.bundle is None or image.array.ndim != 3:
            return {}
        from ..engine.forecast import forecast  # here: it loads torch
        from ..engine.pipeline import Pipeline

        self.pipeline = self.pipeline or Pipeline(read_spec(self.wanted.bundle))
        found = forecast(self.pipeline, image)
        return {"forecast": {**found.as_json(), "words": str(found)}}

    def _readers(self, given: Path) -> list[Reader]:
        """What reads each image of a path; files beside them are said on stderr."""
        series, bundle = self.wanted
        if bundle is not None:
            task, reading = task_of(read_spec(bundle)), Reading(series=series)
            cases = find_cases(task, [given], series=series)
            found = [Chosen(Path(case.source), error=case.error) for case in cases]
            reads = [partial(task.read, case.source, _with(reading, case.series)) for case in cases]
        else:
            paths = find_images(given) if given.is_dir() else [given]
            found = [Chosen(path) for path in paths]
            if series is not None:
                found = choose(given, paths, series)
            uids = [one.series.uid if one.series else None for one in found]
            reads = [partial(_load, x.path, uid) for x, uid in zip(found, uids, strict=True)]
        if given.is_dir() and not any(one.error for one in found):
            for note in passed_by(given, [one.path for one in found]).notes:
                print(printable(f"medvol: {given}: {note}"), file=sys.stderr)
        return [
            Reader(one.path, partial(_refuse, one.error) if one.error else read)
            for one, read in zip(found, reads, strict=True)
        ]


def series_facts(path: Path) -> dict[str, Any]:
    """The series of a DICOM study by their numbers, and which suits a chest CT; empty where there
    are not several.

    Args:
        path: of its folder or archive.
    """
    from ..images.dicom.choice import choices, suggestion, table  # here: pydicom takes a while

    try:
        known = series_at(path)
    except InputError:  # no DICOM: sequences of MR have refusals of the same code
        known = []
    if len(known) < 2:
        return {}
    best = suggestion(known)
    rows = []
    for name, one in choices(known).items():
        facts = asdict(one)
        del facts["study"]  # who the patient is
        rows.append({"choose": name, **facts, "suggested": one == best})
    return {"path": str(path), "series": rows, "table": table(known)}


def _with(reading: Reading, series: str | None) -> Reading:
    return reading if series is None else Reading(series, reading.spacing_mm, reading.strict)


def _refuse(error: InputError) -> NoReturn:
    raise error


def find_images(folder: Path) -> list[Path]:
    """The volumes of a folder, and its sub-folders of slice pictures; or its radiographs.

    Returns:
        Natural order of the names. Pictures beside volumes are passed over. The folder itself,
        where it is one patient's slices, or holds nothing.

    Raises:
        InputError: as in `images.find.find_volumes`.
    """
    volumes = find_volumes(folder)
    if not volumes and _holds_slices(folder):
        return [folder]
    volumes = volumes or find_volumes_deeper(folder)
    patients = [path for path in children(folder) if path.is_dir() and _holds_slices(path)]
    found = sorted([*volumes, *patients], key=natural_key)
    return found or find_radiographs(folder) or [folder]


def _holds_slices(folder: Path) -> bool:
    """Whether a folder has colour pictures, slices of MR sequences, and no volume."""
    try:
        pictures = find_slices(folder)
        return bool(pictures) and not find_volumes(folder) and not _is_grey(pictures[0])
    except InputError:  # a folder that may not be opened, or that holds no picture after all
        return False


def _is_grey(path: Path) -> bool:

    with opened_picture(path) as picture:
        return picture.mode not in COLOUR_MODES


def _load(path: Path, series: str | None) -> Image:
    """A volume; of colour pictures the MR sequences in them; of a grey picture a radiograph.

    Raises:
        InputError: it cannot be used; the code says why.
    """
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


def _sequences(path: Path) -> Image:
    """Colour pictures; it is said that this is a guess."""
    image = read_image(path, "sequences")
    guess = "in colour, so read as slices of MR sequences; --bundle reads as a bundle does."
    print(printable(f"medvol: {path}: {guess}"), file=sys.stderr)
    return image
