# SPDX-License-Identifier: Apache-2.0
"""The DICOM series at some paths, and those that are chosen of each patient and study."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InputError
from ..failures import FAILURES, failure
from ..scratch import TEMPORARY, prefix
from . import dicom
from .archive import is_zip, unpack
from .files import read_head

if TYPE_CHECKING:
    from .dicom.choice import Series


class Chosen(NamedTuple):
    """One image that is to be read.

    Args:
        path: of its file or folder.
        series: which of those at the path; None where it is not DICOM, or could not be chosen.
        alone: whether no other series is chosen at the path.
        error: why none could be chosen.
    """

    path: Path
    series: "Series | None" = None
    alone: bool = True
    error: InputError | None = None


def series_at(path: Path) -> "list[Series]":
    """The series of a DICOM folder, of a .zip of one, or of a DICOM file, by their numbers.

    Returns:
        None at all for a file of another format.

    Raises:
        InputError: as in `dicom.series.read_study`, `archive.unpack`.
    """
    from .dicom.series import read_study  # here: pydicom takes a while

    if path.is_dir():
        return read_study(path).choices
    head = read_head(path, dicom.HEAD_BYTES)
    if is_zip(head):
        with tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY)) as name:
            unpack(path, Path(name))
            return read_study(Path(name)).choices
    return read_study(path).choices if dicom.has_mark(head) else []


def choose(start: Path, places: Sequence[Path], wanted: str | None) -> list[Chosen]:
    """Of each patient and study at some places the series that is meant, or all.

    A study may lie in several places, such as a folder for each series.

    Args:
        start: around the places; read as a whole where one series lies in several.
        places: DICOM folders and files, archives, and images of other formats, which stay.
        wanted: UID, number or description, see `dicom.choice.matching`; None takes every series.
    """
    from .dicom.choice import matching, not_one

    chosen: list[Chosen] = []
    studies: dict[object, list[tuple[Path, Series]]] = {}
    for place in places:
        try:
            series = series_at(place)
        except FAILURES as error:  # one place does not stop the others
            chosen.append(Chosen(place, error=failure(error, place)))
            continue
        if not series:
            chosen.append(Chosen(place))
        for one in series:
            key = one.study if any(one.study) else place
            studies.setdefault(key, []).append((place, one))
    named = [found for found in studies.values() if any(one.uid == wanted for _, one in found)]
    for found in named or studies.values():
        known = list({one.uid: one for _, one in found}.values())
        meant = known if wanted is None else matching(known, wanted)
        if wanted is not None and len(meant) != 1:
            place = found[0][0]
            chosen.append(Chosen(place, error=not_one(place, known, meant, wanted)))
            continue
        for one in meant:
            own = {place for place, other in found if other.uid == one.uid}
            chosen.append(Chosen(own.pop() if len(own) == 1 else start, one))
    order = {place: number for number, place in enumerate((start, *places))}
    chosen.sort(key=lambda one: order[one.path])
    paths = [one.path for one in chosen]
    return [one._replace(alone=paths.count(one.path) == 1) for one in chosen]
