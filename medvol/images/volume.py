# SPDX-License-Identifier: Apache-2.0
"""Opening a volume of any known format: the one way in for files, folders and archives."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, Note
from .checks import checked_affine, checked_values
from .files import COPY_AGAIN, file_size, is_dicom, path_error, read_head
from .image import Image, Kind

SUFFIXES_OF = {
    "nifti": (".nii", ".nii.gz", ".hdr", ".img"),
    "nrrd": (".nrrd", ".nhdr"),
    "metaimage": (".mha", ".mhd"),
    "zip": (".zip",),
}
SUFFIXES = tuple(suffix for group in SUFFIXES_OF.values() for suffix in group)
DATA_SUFFIXES = (".hdr", ".img", ".seg.nrrd")  # half of an image, or a segmentation of one
HEAD_BYTES = 1024
OTHER_FILES = (  # what people name .nii.gz by mistake: first bytes and what they are
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 or MINC file"),
)


def load_volume(
    path: str | os.PathLike[str], *, series: str | None = None, kind: Kind = "volume"
) -> Image:
    """Read and check one volume.

    Args:
        path: a file (NIfTI, NRRD, MetaImage), a folder of DICOM slices, or a .zip of one.
        series: SeriesInstanceUID, where a folder holds several.
        kind: "mask" for a label map: whole numbers, one value everywhere allowed.

    Returns:
        The voxels in the file's own order, with its affine to RAS mm and what was noticed.

    Raises:
        InputError: it cannot be used; the code says why.
    """
    given = Path(path)
    image = _load_folder(given, series) if _is_folder(given) else _load_file(given, series)
    array, notes = checked_values(image.array, given, kind)
    notes = [*image.notes, *notes]
    known = {note.code for note in notes}
    notes += [note for note in checked_affine(image.affine, given) if note.code not in known]
    return replace(image, array=array, path=given, notes=tuple(notes))


def is_volume(path: Path) -> bool:
    """Whether this looks like one volume: an image file by name, or a folder with DICOM in it."""
    if path.is_dir():
        return any(is_dicom(Path(root, name)) for root, _, names in os.walk(path) for name in names)
    name = path.name.lower()
    return path.is_file() and name.endswith(SUFFIXES) and not name.endswith(DATA_SUFFIXES)


def find_volumes(folder: Path) -> list[Path]:
    """The volumes directly inside a folder, numbers in names counted: case2 before case10.

    A folder that itself holds DICOM files is one volume.

    Raises:
        InputError: E_PATH, no such folder; E_FORMAT, DICOM files beside other images.
    """
    try:
        inside = list(folder.iterdir())
    except OSError as error:
        raise path_error(folder, error) from error
    slices = {path for path in inside if is_dicom(path)}
    if not slices:
        return sorted((path for path in inside if is_volume(path)), key=natural_key)
    others = [path for path in inside if path.is_file() and is_volume(path) and path not in slices]
    if others:
        reason = (
            f"it holds DICOM files ({len(slices)}) beside other images ({len(others)}, such as "
            f"{min(others, key=natural_key).name}), so it is not known which are meant."
        )
        remedy = "Put the DICOM files and the other images into folders of their own."
        raise InputError("E_FORMAT", folder, reason, remedy)
    return [folder]


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts names with their numbers counted: case2 before case10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not path.name.lower().endswith(SUFFIXES)
    except OSError as error:
        raise path_error(path, error) from error


def _load_folder(folder: Path, series: str | None) -> Image:
    from .dicom.volume import load_dicom

    return load_dicom(folder, series=series)


def _load_file(path: Path, series: str | None) -> Image:
    file_size(path)
    found = "nifti" if path.suffix.lower() == ".img" else _format_of(path)
    if found == "dicom":
        return _load_single_dicom(path, series)
    if found == "zip":
        from .archive import load_zip

        return load_zip(path, series=series)
    image = _loader(found)(path)
    if path.name.lower().endswith(SUFFIXES_OF[found]):
        return image
    note = Note("N_FORMAT", f"its content is {image.facts['format']} whatever its name says.")
    return replace(image, notes=(*image.notes, note))


def _loader(found: str) -> Callable[[Path], Image]:
    if found == "nrrd":
        from .nrrd_reader import load_nrrd

        return load_nrrd
    if found == "metaimage":
        from .metaimage import load_metaimage

        return load_metaimage
    from .nifti import load_nifti

    return load_nifti


def _load_single_dicom(path: Path, series: str | None) -> Image:
    try:
        return _load_folder(path, series)  # a multi-frame file is a volume
    except InputError as error:
        if error.code != "E_DIMS":
            raise
        reason = "it is a single DICOM slice, not a volume."
        remedy = f"Give the folder that holds all its slices, such as {path.parent}."
        raise InputError("E_DIMS", path, reason, remedy) from error


def _format_of(path: Path) -> str:
    """The format by content: "nifti", "nrrd", "metaimage", "zip" or "dicom".

    Raises:
        InputError: E_FORMAT, none of them; E_TRUNCATED, E_CORRUPT as in `read_head`.
    """
    from .nifti import is_nifti

    head = read_head(path, HEAD_BYTES)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head.startswith(b"NRRD"):
        return "nrrd"
    if re.match(rb"(ObjectType|NDims|Comment)\s*=", head):
        return "metaimage"
    if head[128:132] == b"DICM":
        return "dicom"
    if is_nifti(head):
        return "nifti"
    raise _unknown_format(path, head)


def _unknown_format(path: Path, head: bytes) -> InputError:
    looks = next((what for start, what in OTHER_FILES if head.startswith(start)), "")
    if re.match(rb"\s*<(!doctype|html|\?xml)", head, re.IGNORECASE):
        looks = "a web page"
    name_says = path.name.lower().endswith(SUFFIXES)
    reason = f"it is {looks}" if looks else "its first bytes are of no known volume format"
    reason += f", not the {path.suffix} its name says." if name_says else "."
    remedy = "Give NIfTI, NRRD, MetaImage, a folder of DICOM slices or a .zip of one."
    return InputError("E_FORMAT", path, reason, COPY_AGAIN if looks == "a web page" else remedy)
