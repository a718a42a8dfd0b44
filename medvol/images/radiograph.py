# SPDX-License-Identifier: Apache-2.0
"""Opening a radiograph of any known format: pictures and DICOM."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note
from .files import DICOM_SUFFIXES, file_size, is_dicom, path_error
from .image import Image
from .picture import PICTURE_SUFFIXES, SUFFIXES_OF
from .volume import natural_key

RADIOGRAPH_SUFFIXES = (*PICTURE_SUFFIXES, *DICOM_SUFFIXES)


def load_radiograph(path: str | os.PathLike[str]) -> Image:
    """Read and check one radiograph; what it is, its content says, not its name.

    Args:
        path: PNG, JPEG, TIFF, BMP or GIF of one frame, or DICOM of one frame (CR, DX).

    Returns:
        (rows, columns) float32 in [0, 1], upright, dense tissue bright; facts are "format", and for
        pictures "stored_mode", for DICOM "Modality", "ViewPosition" and the like.

    Raises:
        InputError: it cannot be used; the code says why.
    """
    given = Path(path)
    file_size(given)
    pixels, notes, facts, spacing_mm = _read(given)
    if (low := pixels.min()) == pixels.max():
        reason = f"every pixel has the same grey, {float(low):.3g} of white."
        raise InputError("E_VALUES", given, reason, "Check that the export was complete.")
    notes += _name_note(given, facts["format"])
    affine = np.diag([*spacing_mm, 1.0, 1.0])
    return Image(np.ascontiguousarray(pixels), affine, given, tuple(notes), facts)


def _read(
    path: Path,
) -> tuple[npt.NDArray[np.float32], list[Note], dict[str, Any], tuple[float, float]]:
    if is_dicom(path):
        from .dicom.radiograph import read_radiograph_dicom

        return read_radiograph_dicom(path)
    from .radiograph_picture import read_radiograph_picture

    try:
        return *read_radiograph_picture(path), (1.0, 1.0)
    except InputError as error:
        if error.code != "E_FORMAT" or path.suffix.lower() not in DICOM_SUFFIXES:
            raise
        reason = "it is named like DICOM but lacks the DICM mark at byte 128, and is no picture."
        raise InputError("E_FORMAT", path, reason, "Export it as a DICOM file.") from error


def _name_note(path: Path, stored_as: str) -> list[Note]:
    suffixes = DICOM_SUFFIXES if stored_as == "DICOM" else SUFFIXES_OF.get(stored_as, ())
    if path.suffix.lower() in suffixes or (stored_as == "DICOM" and _is_nameless(path)):
        return []
    return [Note("N_FORMAT", f"its content is {stored_as} whatever its name says.")]


def find_radiographs(folder: str | os.PathLike[str]) -> list[Path]:
    """All radiographs below a folder, numbers in names counted: case2 before case10.

    Pictures and DICOM files are known by their suffix; files without one, or with a number for
    one, as scanners write them, by the mark of DICOM in them. Hidden files are passed by.

    Raises:
        InputError: E_PATH, no such folder, or one inside it that may not be opened.
    """
    folder = Path(folder)
    found = (path for path in _files(folder) if is_radiograph(path))
    return sorted(found, key=lambda path: [natural_key(Path(part)) for part in path.parts])


def is_radiograph(path: Path) -> bool:
    """Whether a file looks like one radiograph, by its name or by the mark of DICOM."""
    suffix = path.suffix.lower()
    if suffix in RADIOGRAPH_SUFFIXES:
        return path.is_file()
    return _is_nameless(path) and path.name != "DICOMDIR" and is_dicom(path)


def _is_nameless(path: Path) -> bool:
    """Whether the name says no format: no suffix, or a number for one, as in 1.2.840.7."""
    return path.suffix == "" or path.suffix[1:].isdecimal()


def _files(folder: Path) -> Iterator[Path]:
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise NotADirectoryError(20, "not a folder")
        for parent, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (Path(parent, name) for name in names if not name.startswith("."))
    except (OSError, ValueError) as error:
        raise path_error(Path(getattr(error, "filename", None) or folder), error) from error


def _raise(error: OSError) -> None:
    raise error
