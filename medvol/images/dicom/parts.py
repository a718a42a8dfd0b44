# SPDX-License-Identifier: Apache-2.0
"""Folders that hold parts of one DICOM series, as discs and archives split it (DIR001, DIR002)."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from ...errors import InputError
from ..files import walk
from . import is_dicom
from .dataset import read_dataset
from .header import judged

UIDS = ("StudyInstanceUID", "SeriesInstanceUID")
_IMAGE = ("SOPInstanceUID", "ImagePositionPatient")  # either tells two images of a series apart


def parts_of_series(folders: Sequence[Path]) -> list[Path]:
    """Those of some folders that hold parts of one series, each with images that another lacks.

    A folder that repeats what another one holds is no part. All headers are read only of folders
    whose first or last images are of one study, so that folders of many patients cost little.

    Args:
        folders: with DICOM files in them or below.

    Raises:
        InputError: E_PATH, a folder that may not be opened.
    """
    files = {folder: [path for path in walk(folder) if is_dicom(path)] for folder in folders}
    ends = {folder: _values([*found[:1], *found[-1:]], UIDS) for folder, found in files.items()}
    known = {folder: {uid for row in rows for uid in row if uid} for folder, rows in ends.items()}
    near = {x for pair in combinations(folders, 2) if known[pair[0]] & known[pair[1]] for x in pair}
    images = {folder: _images(files[folder]) for folder in folders if folder in near}
    parts = set()
    for one, other in combinations(images, 2):
        for series in images[one].keys() & images[other].keys():
            mine, others = images[one][series], images[other][series]
            if mine - others and others - mine:
                parts |= {one, other}
    return [folder for folder in folders if folder in parts]


def _images(files: Sequence[Path]) -> dict[str, set[tuple[str, ...]]]:
    """What tells the images of each series apart, by its UID; what has no UID is not looked at."""
    found = defaultdict(set)
    for series, *image in _values(files, ("SeriesInstanceUID", *_IMAGE)):
        if series:
            found[series].add(tuple(image))
    return found


def _values(files: Sequence[Path], names: Sequence[str]) -> list[tuple[str, ...]]:
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
