# SPDX-License-Identifier: Apache-2.0
"""What is to be predicted: cases found in files and folders, and read; loads no torch."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeAlias

from ..answer import Refusal
from ..bundle.spec import Spec
from ..codes import BESIDE
from ..errors import InputError, Note, printable
from ..failures import FAILURES, failure
from ..images import read_image
from ..images.channels import load_channels
from ..images.find import CaseNames, case_name, passed_by
from ..images.image import Image, Kind
from ..images.memory import NAME, image_of
from ..images.series import Chosen, choose
from ..images.unchanged import read_unchanged
from ..owned import results_in
from ..progress import Step, tell
from .suited import with_bundles

# a path, or an object that `images.memory.image_of` takes
Source: TypeAlias = Any


@dataclass(frozen=True)
class Reading:
    """How images are read.

    Args:
        series: of a DICOM folder that holds several: UID, number or description.
        spacing_mm: of slice pictures, columns, rows and slices; None assumes one, with a note.
        strict: refuse an image that is used with a note otherwise.
        check: refuses an image that was read, by the name of its case, before anything else is done
            with it.
    """

    series: str | None = None
    spacing_mm: Sequence[float] | None = None
    strict: bool = False
    check: Callable[[str, Image], None] | None = None


AS_IT_IS = Reading()


@dataclass(frozen=True)
class Case:
    """An image that is to be predicted.

    Args:
        source: path of its file or folder, or an image in memory, see `Bundle.predict`.
        name: of the case; empty takes the image's.
        image: where it was read already.
        read_s: how long that took.
        series: SeriesInstanceUID, where it is one of several at this path.
        error: why it cannot be read, where that is known already.

    Raises:
        ValueError: the name would lead out of a folder.
    """

    source: Source
    name: str = ""
    image: Image | None = None
    read_s: float = 0.0
    series: str | None = None
    error: InputError | None = None

    def __post_init__(self) -> None:
        name = PurePath(self.name)
        if name.anchor or ".." in name.parts or "\0" in self.name:
            raise ValueError(f"a case is called {self.name!r}; give a name without .. or a root")

    @property
    def path(self) -> str:
        """Path of the image as it was given; a word for one in memory."""
        return os.fspath(self.source) if _is_path(self.source) else os.fspath(NAME)


class Reader(Protocol):
    """What finds and reads images: a `task.Task`."""

    spec: Spec

    @property
    def kind(self) -> Kind:
        """What an image is read as."""

    def find(self, folder: Path) -> list[Path]:
        """The images in a folder, in natural order."""

    def read(self, source: Source, reading: Reading) -> Image:
        """Read one image, and check that it is what the bundle expects; loads no torch."""


def find_cases(
    task: Reader, given: Sequence[Path], *, series: str | None = None, all_series: bool = False
) -> list[Case]:
    """A case of each image; folders of images are opened, each case has a name of its own.

    The name of an image in a folder says where in it: "a/x1" for a/x1.png. Of several DICOM series
    at one path the name has the number: "study_series3".

    Args:
        task: that finds the images of a folder.
        given: files and folders.
        series: UID, number or description: of each DICOM study the series that is meant.
        all_series: of each DICOM study every series is a case.

    Returns:
        The cases in the order of the paths; of a path that cannot be used one that says why, as
        E_EMPTY of a folder without images.
    """
    found, names = [], CaseNames()
    chosen = task.kind == "volume" and (series is not None or all_series)
    for start in given:
        try:
            paths = _images_in(task, start) if start.is_dir() else [start]
            some = choose(start, paths, series) if chosen else [Chosen(path) for path in paths]
        except FAILURES as error:  # one path does not stop the others
            some = [Chosen(start, error=failure(error, start))]
        for path, which, alone, refusal in some:
            inside = path.relative_to(start).parent if path != start else Path()
            name = case_name(path)
            if which is not None and not alone:
                name += f"_series{'' if which.number is None else which.number}"
            name = names.new((inside / name).as_posix())
            uid = None if which is None else which.uid
            found.append(Case(path, name, series=uid, error=refusal))
    return found


def _images_in(task: Reader, folder: Path) -> list[Path]:
    if paths := task.find(folder):
        return paths
    reason = "the folder holds no image that this bundle reads."
    if any(results_in(Path(place)) for place, _, _ in os.walk(folder)):
        reason += " What medvol wrote as results is never taken for an image."
    raise InputError(
        "E_EMPTY", folder, f"{reason} {passed_by(folder, [])}".strip(),
        "Give an image file, a folder of DICOM slices, or a folder of images.",
    )  # fmt: skip


def remarks_on(given: Sequence[Path], cases: Sequence[Case]) -> list[str]:
    """A line for each folder that holds files beside its images, or cannot be searched for them.

    Args:
        given: files and folders, as `find_cases` got them.
        cases: that it found.
    """
    taken = [Path(case.path) for case in cases]
    refused = {Path(case.path) for case in cases if case.error}
    remarks: list[str] = []
    for folder in given:
        try:
            if folder not in refused and folder.is_dir():
                remarks += (f"{folder}: {note}" for note in passed_by(folder, taken).notes)
        except InputError as error:  # of a folder inside, where no image was looked for
            remarks.append(str(error))
    return [printable(remark) for remark in remarks]


def opened(
    source: Source, kind: Kind, reading: Reading, *, channels: Sequence[str] = ()
) -> Image:  # fmt: skip
    """An image by its path, or one in memory.

    Args:
        source: see `Bundle.predict`.
        kind: what it is.
        reading: how it is read; what means nothing for its kind is not looked at.
        channels: names of those of a bundle made elsewhere, see `images.channels`; then a path.

    Raises:
        InputError: it cannot be used; the code says why. E_VALUES, reading is strict, and the image
            would be used with a note; E_CHANGED, its files change meanwhile.
        TypeError: an object that is not an image.
    """
    if _is_path(source) and channels:
        path = Path(source)
        image = read_unchanged(path, partial(load_channels, path, channels))
    elif _is_path(source):
        options: dict[str, Any] = {}
        if kind == "sequences":
            options["spacing_mm"] = reading.spacing_mm
        elif kind == "volume":
            options["series"] = reading.series
        image = read_unchanged(Path(source), partial(read_image, source, kind, **options))
    else:
        image = image_of(source, kind)
    return strict(image, reading)


def strict(image: Image, reading: Reading, notes: Sequence[Note] | None = None) -> Image:
    """The image, unless reading is strict and there is a note on more than files beside it.

    Args:
        image: as it was read.
        reading: how it was.
        notes: on it and on its answer; None for its own.

    Raises:
        InputError: E_VALUES, the image would be used with a note.
    """
    notes = image.notes if notes is None else notes
    doubts = [note for note in notes if note.code not in BESIDE]
    if reading.strict and doubts:
        raise InputError(
            "E_VALUES", image.path, f"it would be used with a note, {doubts[0]}",
            "Mend the image, or leave out --strict.",
        )  # fmt: skip
    return image


def read_case(task: Reader, case: Case, reading: Reading) -> tuple[Case, Image]:
    """A case and its image, read where that is not there already; loads no torch.

    Args:
        task: that reads it.
        case: perhaps with its image.
        reading: how it is read.

    Returns:
        The case with how long reading took, but without the image, which goes its own way.

    Raises:
        InputError: the image cannot be used; the code says why.
    """
    if case.error is not None:
        raise case.error
    if case.image is not None:
        return replace(case, image=None), case.image
    started = time.perf_counter()
    tell(Step("read"))
    if case.series is not None:
        reading = replace(reading, series=case.series)
    try:
        image = task.read(case.source, reading)
    except InputError as error:
        raise with_bundles(error, task.spec) from error
    if reading.check is not None:
        reading.check(case.name, image)
    return replace(case, read_s=time.perf_counter() - started), image


def refusal_of(case: Case, error: BaseException) -> Refusal:
    """Why a case is refused, by whatever was raised.

    Args:
        case: that was worked on.
        error: that came of it.

    Raises:
        TypeError: an object was given that is not an image.
    """
    if isinstance(error, TypeError) and not _is_path(case.source):
        raise error
    return Refusal(case.name or case_name(case.path), case.path, failure(error, case.path))


def _is_path(source: Source) -> bool:
    return isinstance(source, str | os.PathLike)
