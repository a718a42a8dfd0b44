# SPDX-License-Identifier: Apache-2.0
"""The formats that medvol reads, one line each, and opening an image as what its content says."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import InputError, Note
from ..failures import path_error
from . import dicom
from .archive import is_zip, load_zip
from .checks import checked_place, checked_values
from .files import COPY_AGAIN, GZIP_MAGIC, file_size, is_web_page, read_head
from .image import Image, Kind
from .metaimage import is_metaimage, load_metaimage
from .nifti import is_nifti, load_nifti
from .nrrd import is_nrrd, load_nrrd
from .picture import unknown_content
from .radiograph_picture import load_radiograph_picture

HEAD_BYTES = 1024
OTHER_FILES = (  # what people name .nii.gz by mistake: first bytes, inflated, and what they are
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 or MINC file"),
    (GZIP_MAGIC, "packed twice with gzip"),
)
OTHER_REMEDIES = {"a web page": COPY_AGAIN, "packed twice with gzip": "Unpack it once."}


@dataclass(frozen=True)
class Format:
    """A format of files.

    Args:
        name: as it is written, such as "NIfTI".
        suffixes: endings of its files' names, in lower case.
        recognised: whether the first `HEAD_BYTES` bytes of a file, inflated, are of this format.
        volume: reads a file as a volume; None where it holds none.
        radiograph: reads a file as a radiograph; None where it holds none.
        several: `volume` takes `series`, since a file may hold several.
        slices: its pictures may be slices of MR sequences.
        half: endings of files that are part of an image, or belong to another one: they are opened
            when they are named, and passed by in folders.
        alone: a file is a volume of its own; else it is one slice, and its folder is the volume.
    """

    name: str
    suffixes: tuple[str, ...]
    recognised: Callable[[bytes], bool]
    volume: Callable[..., Image] | None = None
    radiograph: Callable[[Path], Image] | None = None
    several: bool = False
    slices: bool = False
    half: tuple[str, ...] = ()
    alone: bool = True


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _dicom_file(path: Path, *, series: str | None = None) -> Image:
    from .dicom.volume import load_dicom  # here: pydicom takes a while

    return load_dicom(path, series=series)


def _dicom_radiograph(path: Path) -> Image:
    from .dicom.radiograph import load_radiograph_dicom

    return load_radiograph_dicom(path)


_tiff = _starts(b"II*\0", b"II+\0", b"MM\0*", b"MM\0+")
_picture = load_radiograph_picture
FORMATS = [
    Format("NIfTI", (".nii", ".nii.gz", ".hdr", ".img"), is_nifti, load_nifti,
           half=(".hdr", ".img")),
    Format("NRRD", (".nrrd", ".nhdr"), is_nrrd, load_nrrd, half=(".seg.nrrd",)),
    Format("MetaImage", (".mha", ".mhd"), is_metaimage, load_metaimage),
    Format("zip", (".zip",), is_zip, load_zip, several=True),
    Format("DICOM", dicom.SUFFIXES, dicom.has_mark, _dicom_file, _dicom_radiograph, several=True,
           alone=False),
    Format("PNG", (".png",), _starts(b"\x89PNG"), radiograph=_picture, slices=True),
    Format("JPEG", (".jpg", ".jpeg", ".jfif"), _starts(b"\xff\xd8\xff"), radiograph=_picture,
           slices=True),
    Format("TIFF", (".tif", ".tiff"), _tiff, radiograph=_picture, slices=True),
    Format("GIF", (".gif",), _starts(b"GIF8"), radiograph=_picture),
    Format("BMP", (".bmp",), _starts(b"BM"), radiograph=_picture),
]  # fmt: skip


def suffixes(use: Literal["volume", "radiograph", "slices", "any"] = "any") -> tuple[str, ...]:
    """Endings of the names of files that can be read as a volume, a radiograph, or slices.

    Args:
        use: "volume" leaves out files of which a folder is the volume; "slices" are pictures of one
            slice of MR sequences; "any" is all there are.
    """
    wanted = [form for form in FORMATS if use == "any" or getattr(form, use)]
    if use == "volume":
        wanted = [form for form in wanted if form.alone]
    return tuple(suffix for form in wanted for suffix in form.suffixes)


def ends_with(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a name ends with one of these, in small letters or capitals."""
    return path.name.lower().endswith(endings)


def format_of(path: Path) -> Format | None:
    """The format of a file by its content; None when it is none of `FORMATS`.

    Raises:
        InputError: E_TRUNCATED, E_CORRUPT for damaged gzip.
    """
    if path.suffix.lower() == ".img":  # voxels alone have no mark
        return next(form for form in FORMATS if ".img" in form.suffixes)
    head = read_head(path, HEAD_BYTES)
    return next((form for form in FORMATS if form.recognised(head)), None)


def open_volume(
    path: str | os.PathLike[str], *, series: str | None = None, kind: Kind = "volume"
) -> Image:
    """Read and check one volume or mask.

    Args:
        path, series: as for `read_image`.
        kind: "volume" or "mask".

    Raises:
        InputError: E_FORMAT, a file of another content; what the reader of its format and
            `checks` refuse.
    """
    path = Path(path)
    try:
        is_folder = path.is_dir() and not ends_with(path, suffixes("volume"))
    except OSError as error:
        raise path_error(path, error) from error
    if not is_folder:
        return checked_volume(_read_file(path, "volume", series), kind)
    from .dicom.volume import load_dicom

    return checked_volume(load_dicom(path, series=series), kind)


def checked_volume(image: Image, kind: Kind = "volume") -> Image:
    """A volume or mask whose values and place are known to make sense, with what was noticed.

    Raises:
        InputError: E_VALUES or E_GEOMETRY, as `checked_values` and `checked_place` say.
    """
    array, notes = checked_values(image.array, image.path, kind)
    notes = [*image.notes, *notes]
    known = {note.code for note in notes}
    placed = checked_place(array.shape, image.affine, image.path)
    notes += [note for note in placed if note.code not in known]
    return replace(image, array=array, notes=tuple(notes))


def open_radiograph(path: str | os.PathLike[str]) -> Image:
    """Read and check one radiograph, as `read_image` gives it.

    Raises:
        InputError: E_FORMAT, it is neither a picture nor DICOM; E_VALUES, one grey everywhere; what
            the reader of its format refuses.
    """
    image = checked_radiograph(_read_file(Path(path), "radiograph"))
    return replace(image, array=np.ascontiguousarray(image.array))


def checked_radiograph(image: Image) -> Image:
    """A radiograph that shows something.

    Raises:
        InputError: E_VALUES, every pixel has the same grey.
    """
    if (low := image.array.min()) == image.array.max():
        reason = f"every pixel has the same grey, {float(low):.3g} of white."
        raise InputError("E_VALUES", image.path, reason, "Check that the export was complete.")
    return image


def _read_file(
    path: Path, kind: Literal["volume", "radiograph"], series: str | None = None
) -> Image:
    """What a file's content is, with a note where its name says another format."""
    file_size(path)
    form = format_of(path)
    read: Callable[..., Image] | None = getattr(form, kind, None)
    if form is None or read is None:
        raise _not_a_volume(path, form) if kind == "volume" else _not_a_radiograph(path, form)
    image = read(path, series=series) if kind == "volume" and form.several else read(path)
    nameless = form.name == "DICOM" and dicom.is_nameless(path)
    if nameless or ends_with(path, form.suffixes):
        return image
    note = Note("N_FORMAT", f"its content is {form.name} whatever its name says.")
    return replace(image, notes=(*image.notes, note))


def _not_a_radiograph(path: Path, form: Format | None) -> InputError:
    if form is not None:
        reason = f"its content is {form.name}, which is not read as a radiograph."
        remedy = "Give a PNG, JPEG, TIFF or DICOM file, or take a bundle of volumes."
        return InputError("E_FORMAT", path, reason, remedy)
    if not ends_with(path, dicom.SUFFIXES):
        return unknown_content(path)
    reason = "it is named like DICOM but lacks the DICM mark at byte 128, and is not a picture."
    return InputError("E_FORMAT", path, reason, "Export it as a DICOM file.")


def _not_a_volume(path: Path, form: Format | None) -> InputError:
    head = read_head(path, HEAD_BYTES)
    looks = f"a {form.name} picture" if form else ""
    looks = next((what for start, what in OTHER_FILES if head.startswith(start)), looks)
    if is_web_page(head):
        looks = "a web page"
    reason = f"it is {looks}" if looks else "its content is of no volume format that medvol reads"
    said = [suffix for suffix in suffixes("volume") if ends_with(path, (suffix,))]
    reason += f", though its name says {max(said, key=len)}." if said else "."
    remedy = "Give NIfTI, NRRD, MetaImage, a folder of DICOM slices or a .zip of one."
    return InputError("E_FORMAT", path, reason, OTHER_REMEDIES.get(looks, remedy))
