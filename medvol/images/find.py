# SPDX-License-Identifier: Apache-2.0
"""Images in folders, known by their names, and what their cases are called."""

import os
from collections.abc import Container
from pathlib import Path

from ..errors import InputError
from . import dicom
from .files import children, walk
from .formats import FORMATS, ends_with, suffixes


def is_volume(path: Path) -> bool:
    """Whether this looks like one volume: an image file by name, or a folder with DICOM in it.

    Raises:
        InputError: E_PATH, a folder that may not be opened.
    """
    if path.is_dir():
        return any(map(dicom.is_dicom, walk(path)))
    half = tuple(ending for form in FORMATS for ending in form.half)
    return path.is_file() and ends_with(path, suffixes("volume")) and not ends_with(path, half)


def find_volumes(folder: Path) -> list[Path]:
    """The volumes directly inside a folder, numbers in names counted: case2 before case10.

    A folder that itself holds DICOM files is one volume. Hidden files are passed by.

    Raises:
        InputError: E_PATH, no such folder; E_FORMAT, DICOM files beside other images.
    """
    inside = children(folder)
    slices = [path for path in inside if dicom.is_dicom(path)]
    if not slices:
        return [path for path in inside if is_volume(path)]
    others = [path for path in inside if path.is_file() and is_volume(path) and path not in slices]
    if others:
        reason = (
            f"it holds DICOM files ({len(slices)}) beside other images ({len(others)}, such as "
            f"{others[0].name}), so it is not known which are meant."
        )
        remedy = "Put the DICOM files and the other images into folders of their own."
        raise InputError("E_FORMAT", folder, reason, remedy)
    return [folder]


def is_radiograph(path: Path) -> bool:
    """Whether a file looks like one radiograph, by its name or by the mark of DICOM."""
    if ends_with(path, suffixes("radiograph")):
        return path.is_file()
    return dicom.is_nameless(path) and path.name != "DICOMDIR" and dicom.is_dicom(path)


def find_radiographs(folder: str | os.PathLike[str]) -> list[Path]:
    """All radiographs below a folder, in the order of `files.walk`.

    Pictures and DICOM files are known by their suffix; files without one, or with a number for
    one, as scanners write them, by the mark of DICOM in them.

    Raises:
        InputError: E_PATH, no such folder, or one inside it that may not be opened.
    """
    return [path for path in walk(Path(folder)) if is_radiograph(path)]


def case_name(path: str | os.PathLike[str]) -> str:
    """Name of a case: the file or folder's name without the suffix of its format.

    Dots elsewhere stay, as in a DICOM folder that is called by its UID.

    Example:
        >>> case_name("scans/ct.1.nii.gz"), case_name("scans/1.2.840.10")
        ('ct.1', '1.2.840.10')
    """
    name = Path(os.path.abspath(path)).name
    for suffix in sorted(suffixes(), key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def unused_name(name: str, taken: Container[str]) -> str:
    """The name itself, or with the first of _2, _3, ... that is not taken.

    Example:
        >>> unused_name("ct", {"ct", "ct_2"})
        'ct_3'
    """
    numbered, count = name, 1
    while numbered in taken:
        count += 1
        numbered = f"{name}_{count}"
    return numbered
