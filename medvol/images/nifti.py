# SPDX-License-Identifier: Apache-2.0
"""NIfTI-1 and NIfTI-2: `.nii`, `.nii.gz` and pairs of `.hdr` and `.img`, checked byte for byte.

nibabel parses the header; the voxels are inflated here, because nibabel checks no CRC and
SimpleITK accepts cut files, takes the qform where nibabel takes the sform, and turns NaN into 0.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..spatial import Affine, same_grid, shear_cosine, spacing_mm
from .checks import SHEAR_COSINE, check_bytes, rescaled, scaled_to_mm, volume_shape
from .files import (
    GZIP_MAGIC,
    DataBlock,
    corrupt,
    file_size,
    read_block,
    read_head,
    truncated,
)
from .image import Image

HEADER_BYTES = {348: 1, 540: 2}  # sizeof_hdr -> NIfTI version
MAGIC = {1: (b"n+1", b"ni1"), 2: (b"n+2", b"ni2")}  # by version
UNCHANGED_ENDS = (bytes(4), b"\r\n\x1a\n")
FORM_CODES = range(6)  # of NIfTI 1.1 and 2; 0 is "there is none"
MAX_VOX_OFFSET = 1 << 26  # extensions of 64 MiB; more is a damaged header
FORM_TOLERANCE = 0.5  # voxels between sform and qform; a float32 quaternion is good to 0.3 mm
SPACING_TOLERANCE = 0.01  # between sform and pixdim: rounded to 3 digits they agree
NUMBERS = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
NO_NUMBERS = {32: "complex", 128: "RGB", 1792: "complex", 2048: "complex", 2304: "RGBA"}
UNITS = {0: "mm", 1: "m", 2: "mm", 3: "um"}  # 0 is "unknown": everyone then means mm


def is_nifti(head: bytes) -> bool:
    """Whether these first bytes of a (decompressed) file are a NIfTI or Analyze header."""
    sizes = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    return not sizes.isdisjoint(HEADER_BYTES)


def load_nifti(path: Path) -> Image:
    """Read a NIfTI volume, or either file of a pair, rescaled and with its affine to RAS mm.

    Raises:
        InputError: E_PATH, E_EMPTY, E_FORMAT, E_TRUNCATED, E_CORRUPT, E_TOO_BIG, E_DIMS,
            E_VALUES or E_GEOMETRY.
    """
    return _load(path, 1)[0]


def load_frames(path: Path) -> list[Image]:
    """Read all volumes of a 4D NIfTI, each as `load_nifti` reads one.

    Raises:
        InputError: as for `load_nifti`.
    """
    return _load(path, frames_of_nifti(path))


def frames_of_nifti(path: Path) -> int:
    """How many volumes a NIfTI holds, by its header alone; 1 of one with three axes.

    Raises:
        InputError: E_PATH, E_EMPTY, E_FORMAT, E_TRUNCATED or E_CORRUPT.
    """
    file_size(path)
    return math.prod(_sizes(_header(path)[0])[3:])


def _load(path: Path, frames: int) -> list[Image]:
    """So many volumes of a file that holds as many."""
    header_path = path.with_suffix(".hdr") if path.suffix.lower() == ".img" else path
    file_size(header_path)
    header, order = _header(header_path)
    sizes = _sizes(header)
    shape, notes = volume_shape(sizes[:3] if frames > 1 else sizes, path)
    dtype = _dtype(header, order, path)
    check_bytes((*shape, frames) if frames > 1 else shape, dtype, path)
    count = math.prod(shape) * frames
    block = _data_block(header, header_path, order, count * dtype.itemsize)
    affine, unit_notes = scaled_to_mm(affine_of(header, shape, path), unit_of(header, path))
    stored = read_block(block).view(dtype).reshape((*shape, frames), order="F")
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope):  # the format's way to say: not scaled
        slope, intercept = 1.0, 0.0
    facts = {
        "format": f"NIfTI-{HEADER_BYTES[int(header['sizeof_hdr'])]}",
        "stored_dtype": dtype.newbyteorder("=").name,
    }
    pair = block.pair(header_path)
    return [
        Image(
            rescaled(stored[..., frame], slope, intercept, path), affine, path,
            (*notes, *unit_notes), facts, pair=pair,
        )
        for frame in range(frames)
    ]  # fmt: skip


def _sizes(header: Any) -> list[int]:
    """Voxels along each axis that the header names."""
    return [int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])]]


def grid_of_nifti(path: Path) -> tuple[tuple[int, int, int], Affine]:
    """Shape and affine to RAS mm by the header alone; the voxels are not read.

    Raises:
        InputError: E_PATH, E_EMPTY, E_FORMAT, E_TRUNCATED, E_CORRUPT, E_TOO_BIG, E_DIMS or
            E_GEOMETRY.
    """
    file_size(path)
    header, _ = _header(path)
    shape, _ = volume_shape(_sizes(header), path)
    affine, _ = scaled_to_mm(affine_of(header, shape, path), unit_of(header, path))
    return shape, affine


def _header(path: Path) -> tuple[Any, str]:
    """The parsed header (indexed by field) and its byte order, "<" or ">"."""
    from nibabel import Nifti1Header, Nifti2Header

    head = read_head(path, max(HEADER_BYTES))
    order = "<" if int.from_bytes(head[:4], "little") in HEADER_BYTES else ">"
    size = int.from_bytes(head[:4], "little" if order == "<" else "big")
    if len(head) < size:
        raise truncated(path, f"it ends within the header, after {len(head)} of {size} bytes.")
    kind = Nifti1Header if HEADER_BYTES[size] == 1 else Nifti2Header
    header = kind(head[:size], endianness=order, check=False)
    magic = bytes(header["magic"]).rstrip(b"\0")  # NumPy leaves out zeros at the end
    if magic not in MAGIC[HEADER_BYTES[size]]:
        reason = "it is an Analyze file or a damaged NIfTI header; orientation is not known."
        raise InputError("E_FORMAT", path, reason, "Export the image as NIfTI or DICOM.")
    if HEADER_BYTES[size] == 2 and bytes(header["eol_check"]) not in UNCHANGED_ENDS:
        raise corrupt(path, "its ends of lines were converted, as of a text.")
    if not 1 <= int(header["dim"][0]) <= 7:
        raise corrupt(path, f"its header claims {int(header['dim'][0])} axes; NIfTI has 1 to 7.")
    return header, order


def _dtype(header: Any, order: str, path: Path) -> "np.dtype[Any]":
    code = int(header["datatype"])
    if code in NO_NUMBERS:
        reason = f"its voxels are {NO_NUMBERS[code]}, not one number each."
        raise InputError("E_VALUES", path, reason, "Save it with one grey value per voxel.")
    if code not in NUMBERS:
        reason = f"its datatype {code} is not one that medvol reads."
        raise InputError("E_FORMAT", path, reason, "Save it as int16 or float32.")
    return np.dtype(order + NUMBERS[code])


def unit_of(header: Any, path: Path) -> str:
    """The unit of length of a header: "mm", "m" or "um".

    Raises:
        InputError: E_GEOMETRY, a code that NIfTI does not know.
    """
    code = int(header["xyzt_units"]) & 7
    if code not in UNITS:
        reason = f"its unit of length has the code {code}, which NIfTI does not know."
        raise InputError("E_GEOMETRY", path, reason, "Export it again with lengths in mm.")
    return UNITS[code]


def _data_block(header: Any, path: Path, order: str, count: int) -> DataBlock:
    """Where the voxels are: behind the header and its extensions, or in the `.img` of a pair."""
    offset = float(header["vox_offset"])
    single = bytes(header["magic"])[1:2] == b"+"
    first = int(header["sizeof_hdr"]) + 4 if single else 0
    if not first <= offset <= MAX_VOX_OFFSET or offset != int(offset):
        raise corrupt(path, f"its header puts the voxels at byte {offset:g}, which cannot be.")
    if not single:
        return DataBlock(path.with_suffix(".img"), count, skip=int(offset))
    _check_extensions(path, first, int(offset), order)
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return DataBlock(path, count, 0, "gzip" if packed else "raw", int(offset))


def _check_extensions(path: Path, first: int, offset: int, order: str) -> None:
    """Walk the extensions between header and voxels: each has a size that is a multiple of 16."""
    head = read_head(path, offset)
    if len(head) < offset:
        raise truncated(path, f"it ends before its voxels, which should start at byte {offset}.")
    if head[first - 4 : first - 3] == b"\0":
        return
    at = first
    while at + 8 <= offset:
        size = int.from_bytes(head[at : at + 4], "little" if order == "<" else "big", signed=True)
        if size < 16 or size % 16 or at + size > offset:
            raise corrupt(path, f"a header extension at byte {at} has the impossible size {size}.")
        at += size


def affine_of(header: Any, shape: tuple[int, int, int], path: Path) -> Affine:
    """The sform, else the qform; both must say the same.

    Args:
        header: of nibabel.
        shape: (X, Y, Z) of the volume.
        path: for the refusal.

    Raises:
        InputError: E_GEOMETRY, neither is there, or they disagree with each other or with the
            voxel sizes; E_CORRUPT, a code that NIfTI does not know.
    """
    remedy = "Convert it again from the original DICOM files."
    for name in ("sform", "qform"):
        if (code := int(header[f"{name}_code"])) not in FORM_CODES:
            raise corrupt(path, f"its {name} has the code {code}, which NIfTI does not know.")
    sform = np.asarray(header.get_sform(), dtype=np.float64) if header["sform_code"] > 0 else None
    qform = _qform(header, path) if header["qform_code"] > 0 else None
    if sform is None or qform is None:
        only = qform if sform is None else sform
        if only is None:
            reason = "it has no orientation (sform code and qform code are 0)."
            raise InputError("E_GEOMETRY", path, reason, remedy)
        if qform is None:
            _check_spacing(only, np.abs(header["pixdim"][1:4].astype(np.float64)), path)
        return only
    tolerance_mm = FORM_TOLERANCE * min(spacing_mm(qform))
    with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinity agree with nothing
        agree = same_grid(shape, sform, shape, qform, tolerance_mm=tolerance_mm)
    if not agree:
        reason = f"its sform and qform disagree by more than {tolerance_mm:.3g} mm in a corner."
        raise InputError("E_GEOMETRY", path, reason, remedy)
    return sform


def _check_spacing(sform: Affine, pixdim_mm: npt.NDArray[np.float64], path: Path) -> None:
    """Without a qform ITK and 3D Slicer take the voxel sizes of pixdim, nibabel those of the sform.

    A sheared grid is passed by: its slices are not as far apart as its third axis is long.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        spacing = np.linalg.norm(sform[:3, :3], axis=0)
        apart = np.abs(pixdim_mm / spacing - 1).max()
        if apart <= SPACING_TOLERANCE or shear_cosine(sform) > SHEAR_COSINE:
            return
    if not (np.isfinite(spacing).all() and spacing.all()):  # `checked_place` says what is wrong
        return
    reason = (
        f"its sform has voxels of {' x '.join(f'{s:.4g}' for s in spacing)} mm, its pixdim "
        f"{' x '.join(f'{s:.4g}' for s in pixdim_mm)}; programs differ in which they believe."
    )
    raise InputError("E_GEOMETRY", path, reason, "Convert it again from the original DICOM files.")


def _qform(header: Any, path: Path) -> Affine:
    from nibabel.spatialimages import HeaderDataError

    if header["pixdim"][0] == 0:  # the format's own rule: 0 means 1
        header["pixdim"][0] = 1
    try:
        return np.asarray(header.get_qform(), dtype=np.float64)
    except (HeaderDataError, ValueError) as error:
        reason = f"its qform is not a rotation ({error})."
        remedy = "Convert it again from the original DICOM files."
        raise InputError("E_GEOMETRY", path, reason, remedy) from error
