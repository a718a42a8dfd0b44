# SPDX-License-Identifier: Apache-2.0
"""Folders that hold parts of one DICOM series, as discs and archives split it (DIR001, DIR002)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from ...errors import InputError
from ..files import walk
from . import is_dicom
from .dataset import read_dataset
from .header import judged

UIDS = ("StudyInstanceUID", "SeriesInstanceUID")
_SERIES = ("PatientID", *UIDS, "FrameOfReferenceUID")
_IMAGE = ("SOPInstanceUID", "ImagePositionPatient")  # either tells two images of a series apart
Images = set[tuple[str, ...]]  # the values of `_IMAGE` of each


def parts_of_series(folders: Sequence[Path]) -> list[Path]:
    """Those of some folders that hold parts of one series, each with images that another lacks.

    A folder that repeats what another one holds is not a part, and neither are two that have other
    images at the same places, as two scans have. All headers are read only of folders whose first
    or last images are of one study, so that folders of many patients cost little.

    Args:
        folders: with DICOM files in them or below.

    Raises:
        InputError: E_PATH, a folder that may not be opened.
    """
    files = {folder: list(walk(folder)) for folder in folders}
    known = {folder: _ends(found) for folder, found in files.items()}
    count = Counter(uid for uids in known.values() for uid in uids)
    near = [folder for folder in folders if any(count[uid] > 1 for uid in known[folder])]
    images = {folder: _images(files[folder]) for folder in near}
    parts = set()
    for one, other in combinations(images, 2):
        for series in images[one].keys() & images[other].keys():
            if _complement(images[one][series], images[other][series]):
                parts |= {one, other}
    return [folder for folder in folders if folder in parts]


def _ends(files: Sequence[Path]) -> set[str]:
    """The UIDs of study and series in the first and the last DICOM file."""
    ends = (next(filter(is_dicom, some), None) for some in (files, files[::-1]))
    rows = _values([path for path in ends if path], UIDS)
    return {uid for row in rows for uid in row if uid}


def _images(files: Sequence[Path]) -> dict[tuple[str, ...], Images]:
    """The images of each series by what it shares; what has no UID of a series is not looked at."""
    found = defaultdict(set)
    for row in _values(filter(is_dicom, files), (*_SERIES, *_IMAGE)):
        values = dict(zip(_SERIES, row, strict=False))
        if values["SeriesInstanceUID"]:
            found[tuple(values.values())].add(row[len(_SERIES) :])
    return found


def _complement(one: Images, other: Images) -> bool:
    """Whether each has images that the other lacks, and none of them lie at one place."""
    mine, others = one - other, other - one
    places = ({place for _, place in images if place} for images in (mine, others))
    return bool(mine and others) and set.isdisjoint(*places)


def _values(files: Iterable[Path], names: Sequence[str]) -> list[tuple[str, ...]]:
    """The values of some elements of each file; none of a damaged one, which is refused later."""
    rows = []
    for path in files:
        try:
            with judged(path, "its DICOM header cannot be read", "Export it again."):
                header = read_dataset(path, specific_tags=list(names), stop_before_pixels=True)
                rows.append(tuple(str(header.get(name) or "") for name in names))
        except InputError:
            continue
    return rows
