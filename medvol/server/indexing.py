# SPDX-License-Identifier: Apache-2.0
"""The images in a folder of studies, found in a process that a foreign file may bring down."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..dicomweb.found import NO_IMAGES
from ..engine.serve import Handler
from ..errors import InputError
from ..failures import FAILURES, failure
from ..images import dicom
from ..images.files import walk
from ..images.find import case_name, is_mask, is_radiograph, is_volume
from ..images.sequences import sequence_of
from ..images.series import series_at
from ..images.slice_images import SEQUENCES, SHOWN
from ..owned import results_in
from .images import modalities_of


class Found(NamedTuple):
    """An image in a folder of studies.

    Args:
        path: of its file, or of the folder that its slices lie in.
        name: path below the folder of studies, as it is shown.
        size_bytes: of its file or folder.
        changed: when, in s since 1970.
        series: SeriesInstanceUID of DICOM; or empty.
        study: StudyInstanceUID of DICOM; or empty.
        modalities: as for `images.Stored`.
        description: as for `images.Stored`.
    """

    path: str
    name: str
    size_bytes: int
    changed: float
    series: str = ""
    study: str = ""
    modalities: tuple[str, ...] = ()
    description: str = ""


def start(_: None) -> Handler:
    """What answers to folders with a list of `Found`, or an `InputError` that says why not."""
    return _answers


def _answers(folders: Sequence[str]) -> Iterator[list[Found] | InputError]:
    for folder in folders:
        try:
            yield list(found_in(Path(folder)))
        except FAILURES as error:
            yield failure(error, folder)


def found_in(top: Path) -> Iterator[Found]:
    """Every volume, radiograph and DICOM series below a folder, and every patient's MR sequences.

    Masks, hidden files and what medvol wrote as results are passed by. A DICOM folder that cannot
    be read is one image, whose job will say why.

    Args:
        top: the folder.

    Raises:
        InputError: E_PATH, it or a folder in it may not be opened.
    """
    slices: dict[Path, list[Path]] = {}
    sequences: dict[Path, set[str | None]] = {}  # folder to what its volumes are called
    written: dict[Path, set[str]] = {}
    for path in walk(top):
        if path.parent not in written:
            written[path.parent] = results_in(path.parent)
        if path.name in written[path.parent] or is_mask(path.relative_to(top)):
            continue
        if dicom.is_named(path) or (dicom.is_nameless(path) and dicom.is_dicom(path)):
            slices.setdefault(path.parent, []).append(path)
            if path.parent != top:
                sequences.setdefault(path.parent.parent, set()).add(sequence_of(path.parent.name))
        elif is_volume(path) or is_radiograph(path):
            sequences.setdefault(path.parent, set()).add(sequence_of(path.name))
            name = _name(path, top)
            yield Found(str(path), name, *signature(path), modalities=modalities_of(path))
    for folder, known in sequences.items():
        if SEQUENCES[SHOWN] in known and len(known & {*SEQUENCES}) > 1:
            yield Found(str(folder), _name(folder, top), *signature(folder), modalities=("MR",))
    yield from _series(top, slices)


def _series(top: Path, slices: dict[Path, list[Path]]) -> Iterator[Found]:
    """The series of DICOM files, by the folders that they lie in; one in several folders is one."""
    places: dict[str, Found] = {}
    done: list[Path] = []
    for folder in sorted(slices):
        if any(folder.is_relative_to(other) for other in done):
            continue  # it was read with the folder around it
        done.append(folder)
        name = _name(folder, top)
        try:
            known = series_at(folder)
        except FAILURES:
            yield Found(str(folder), name, *signature(folder))
            continue
        if any(one.modality in dicom.RADIOGRAPHY for one in known):
            below = [x for place in sorted(slices) if place.is_relative_to(folder)
                     for x in slices[place]]  # fmt: skip
            yield from _radiographs(top, below)
        for one in known:
            if one.modality in NO_IMAGES or one.modality in dicom.RADIOGRAPHY:
                continue
            kind = (one.modality,) if one.modality else ()
            found = Found(str(folder), name, *signature(folder), one.uid, one.study[1], kind,
                          one.description or case_name(folder))  # fmt: skip
            if (before := places.get(one.uid)) is not None:
                around = Path(os.path.commonpath([before.path, found.path]))
                name = _name(around, top)
                found = found._replace(path=str(around), name=name)
            places[one.uid] = found
    yield from places.values()


def _radiographs(top: Path, files: Sequence[Path]) -> Iterator[Found]:
    """Those of DICOM files that are radiographs; beside them slices may lie."""
    from ..images.dicom.dataset import read_dataset  # here: pydicom takes a while

    tags = ["Modality", "SeriesDescription"]
    for path in files:
        try:
            header = read_dataset(path, stop_before_pixels=True, specific_tags=tags)
            modality, description = (str(header.get(tag) or "") for tag in tags)
        except FAILURES:  # the folder was read, so that it is one of those passed by
            continue
        if modality in dicom.RADIOGRAPHY:
            yield Found(
                str(path),
                _name(path, top),
                *signature(path),
                modalities=("XR",),
                description=description,
            )


def _name(path: Path, top: Path) -> str:
    """What an image is called: its path below the folder of studies, or the name of this."""
    return top.name if path == top else path.relative_to(top).as_posix()


def signature(path: Path) -> tuple[int, float]:
    """What tells a file or folder from the same one after a change: size in bytes, and when it
    changed, in s since 1970; of a folder the sum, and the last.

    Args:
        path: of it.

    Raises:
        OSError: it is not there any more.
    """
    found = [x for x in path.rglob("*") if x.is_file()] if path.is_dir() else [path]
    sizes = [file.stat() for file in found]
    return sum(x.st_size for x in sizes), max((x.st_mtime for x in sizes), default=0.0)
