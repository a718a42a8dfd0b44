# SPDX-License-Identifier: Apache-2.0
"""NRRD: `.nrrd`, and `.nhdr` with its data file, as 3D Slicer writes them."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note
from ..spatial import RAS_TO_LPS, Affine
from .checks import check_bytes, rescaled, scaled_to_mm, volume_shape
from .files import DataBlock, corrupt, file_size, read_block, truncated
from .image import Image
from .text_header import TextHeader, parse_fields

MAX_HEADER_BYTES = 1 << 20  # a segmentation of 1,000 named segments has 500 kB
MARK = re.compile(rb"NRRD000[1-5]\r?")
VECTORS = re.compile(r"(none|\([^()]*\))(\s+(none|\([^()]*\)))*")
FIELDS = {
    "content", "number", "type", "block size", "dimension", "space", "space dimension", "sizes",
    "spacings", "thicknesses", "axis mins", "axis maxs", "space directions", "centers", "kinds",
    "labels", "units", "min", "max", "old min", "old max", "endian", "encoding", "line skip",
    "byte skip", "sample units", "space units", "space origin", "measurement frame", "data file",
}  # fmt: skip
AFTER = {  # what may stand behind a field only
    "dimension": {"sizes", "kinds", "space directions"},
    "space": {"space directions", "space origin", "space units"},
}
KINDS = {
    "domain", "space", "time", "list", "point", "vector", "covariant-vector", "normal", "stub",
    "scalar", "complex", "2-vector", "3-vector", "3-gradient", "3-normal", "4-vector",
    "quaternion", "2d-symmetric-matrix", "2d-masked-symmetric-matrix", "2d-matrix",
    "2d-masked-matrix", "3d-symmetric-matrix", "3d-masked-symmetric-matrix", "3d-matrix",
    "3d-masked-matrix", "???", "none",
}  # fmt: skip
TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
DTYPES = {name: dtype for dtype, names in TYPES.items() for name in names.split(", ")}
SPACES = {
    "left-posterior-superior": RAS_TO_LPS,
    "lps": RAS_TO_LPS,
    "right-anterior-superior": np.eye(4),
    "ras": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
}  # to RAS
SPATIAL_KINDS = {"domain", "space", "time", "???", "none"}  # of an axis with a direction
COLOUR_KINDS = {"rgb-color", "hsv-color", "xyz-color", "rgba-color", "3-color", "4-color"}
UNITS = {"mm": "mm", "millimeter": "mm", "m": "m", "meter": "m", "um": "um", "µm": "um"}
CONVERT_AGAIN = "Convert it again from the original DICOM files."


def is_nrrd(head: bytes) -> bool:
    """Whether these first bytes of a file are an NRRD header."""
    return head.startswith(b"NRRD")


def load_nrrd(path: Path) -> Image:
    """Read an NRRD volume, raw or gzip, with its affine to RAS mm.

    Raises:
        InputError: E_PATH, E_FORMAT, E_TRUNCATED, E_CORRUPT, E_TOO_BIG, E_DIMS, E_VALUES or
            E_GEOMETRY.
    """
    header = read_header(path)
    sizes = header.sizes("dimension", "sizes")
    spatial, affine, unit_notes = geometry(header, sizes)
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    shape, notes = volume_shape([sizes[axis] for axis in (*spatial, *others)], path)
    stored, pair = stored_voxels(header, shape)
    facts = {"format": "NRRD", "stored_dtype": stored.dtype.newbyteorder("=").name}
    array = rescaled(stored, 1, 0, path)
    return Image(array, affine, path, (*notes, *unit_notes), facts, pair=pair)


def stored_voxels(
    header: TextHeader, shape: Sequence[int]
) -> tuple[npt.NDArray[Any], tuple[Path, ...]]:
    """The voxels as they are stored, the first axis fastest, and `Image.pair`.

    Args:
        header: as `read_header` gives it.
        shape: of the image, segments included where there are several layers.

    Raises:
        InputError: E_PATH, E_FORMAT, E_TRUNCATED, E_CORRUPT or E_TOO_BIG.
    """
    dtype = _dtype(header)
    check_bytes(shape, dtype, header.path)
    block = _data_block(header, math.prod(shape) * dtype.itemsize)
    stored = read_block(block).view(dtype).reshape(shape, order="F")
    return stored, block.pair(header.path)


def read_header(path: Path) -> TextHeader:
    """Parse the text before the first empty line; `key:=value` pairs are left out.

    Raises:
        InputError: E_TRUNCATED, no end of the header; E_CORRUPT, it is too long or damaged.
    """
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES)
    detached = path.suffix.lower() == ".nhdr"
    end = re.search(rb"\r?\n\r?\n", head)
    if end is None and not detached:
        if len(head) == MAX_HEADER_BYTES:
            raise corrupt(path, f"its header has no end within {MAX_HEADER_BYTES} bytes.")
        raise truncated(path, "it ends within its header.")
    mark, _, lines = head[: end.start() if end else len(head)].partition(b"\n")
    if not MARK.fullmatch(mark):
        raise corrupt(path, "its first line is not that of NRRD, versions 1 to 5.")
    if re.search(rb"^[ \t]+\S", lines, re.MULTILINE):
        raise corrupt(path, "a line of its header begins with a blank.")
    fields = {_field_name(name): value for name, value in parse_fields(path, lines, ":").items()}
    if odd := fields.keys() - FIELDS:
        raise corrupt(path, f"its header has the field {min(odd)!r}, which NRRD does not know.")
    order = list(fields)
    for first, names in AFTER.items():
        if first in fields and not names.isdisjoint(order[: order.index(first)]):
            raise corrupt(path, f"its field {first!r} stands behind others that need it.")
    return TextHeader(path, fields, end.end() if end else len(head))


def _field_name(name: str) -> str:
    """As the format's page has it: "space origin" and "centers", not "centerings" or "lineskip"."""
    name = re.sub(r"^(block|axis|old|line|byte|sample|data)(?=\w)", r"\1 ", name.lower())
    return "centers" if name == "centerings" else name


def _dtype(header: TextHeader) -> "np.dtype[np.generic]":
    word = header.fields.get("type", "").lower()
    if word not in DTYPES:
        reason = f"its type {word!r} is not one that medvol reads."
        raise InputError("E_FORMAT", header.path, reason, "Save it as short or float.")
    dtype = np.dtype(DTYPES[word])
    endian = header.fields.get("endian", "").lower()
    if dtype.itemsize > 1 and endian not in ("little", "big"):
        raise corrupt(header.path, "its byte order is not given (field 'endian').")
    return dtype.newbyteorder(">" if endian == "big" else "<")


def geometry(header: TextHeader, sizes: list[int]) -> tuple[list[int], Affine, list[Note]]:
    """The three axes that lie in space, their affine to RAS mm, and remarks.

    Raises:
        InputError: E_GEOMETRY, place or direction is missing; E_VALUES, colours; E_DIMS.
    """
    kinds = header.fields.get("kinds", "").lower().split()
    if not COLOUR_KINDS.isdisjoint(kinds):
        reason = "its voxels are colours, not one number each."
        raise InputError("E_VALUES", header.path, reason, "Save it with one grey value per voxel.")
    if len(sizes) < 3:
        volume_shape(sizes, header.path)
    if not KINDS.issuperset(kinds) or ("kinds" in header.fields and len(kinds) != len(sizes)):
        raise corrupt(header.path, "its field 'kinds' is damaged.")
    space = header.fields.get("space", "").lower().removesuffix("-time").removesuffix("t")
    directions = _vectors(header.fields.get("space directions", ""))
    origin = _vectors(header.fields.get("space origin", ""))
    spatial = [axis for axis, vector in enumerate(directions) if vector is not None]
    vectors = [directions[axis] for axis in spatial] + origin
    if (
        space not in SPACES
        or len(directions) != len(sizes)
        or len(spatial) != 3
        or len(origin) != 1
    ):
        reason = "its place in the patient is not given (space, space directions, space origin)."
        raise InputError("E_GEOMETRY", header.path, reason, CONVERT_AGAIN)
    if any(vector is None or len(vector) != 3 for vector in vectors):
        reason = "its space directions or space origin are not three numbers each."
        raise InputError("E_GEOMETRY", header.path, reason, CONVERT_AGAIN)
    if kinds and not SPATIAL_KINDS.issuperset(kinds[axis] for axis in spatial):
        reason = f"an axis that has a direction in space is of no place ({' '.join(kinds)})."
        raise InputError("E_DIMS", header.path, reason, "Save the one volume that is meant as 3D.")
    affine = np.eye(4)
    affine[:3] = np.array(vectors, dtype=np.float64).T
    words = set(re.findall(r'"(.*?)"', header.fields.get("space units", "")))
    units = {UNITS.get(word.lower(), "") for word in words} or {"mm"}
    if len(units) != 1 or "" in units:
        reason = f"its space units {sorted(words)} are not one unit of length."
        raise InputError("E_GEOMETRY", header.path, reason, "Export it again with lengths in mm.")
    return spatial, *scaled_to_mm(SPACES[space] @ affine, units.pop())


def _vectors(text: str) -> list[list[float] | None]:
    """The vectors `(1,0,0)` of a field; None for the word `none`; [] for what is neither."""
    if not VECTORS.fullmatch(text):
        return []
    vectors: list[list[float] | None] = []
    for match in re.finditer(r"\(([^)]*)\)|none", text):
        try:
            numbers = [float(word) for word in (match[1] or "").split(",")]
        except ValueError:
            numbers = []
        vectors.append(None if match[0] == "none" else numbers)
    return vectors


def _data_block(header: TextHeader, count: int) -> DataBlock:
    encoding = header.fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        reason = f"its encoding {encoding!r} is not one that medvol reads."
        raise InputError("E_FORMAT", header.path, reason, "Save it with encoding gzip or raw.")
    name = header.fields.get("data file")
    data, start = header.path, header.end
    if name is not None:
        data, start = header.data_file(name, suffix=".nrrd"), 0
    lines = sum(header.numbers("line skip", int)) if "line skip" in header.fields else 0
    skip = sum(header.numbers("byte skip", int)) if "byte skip" in header.fields else 0
    if lines:
        start = _after_lines(data, start, lines)
    if skip == -1 and encoding == "raw":  # the data is the end of the file
        start, skip = max(0, file_size(data) - count), 0
    if skip < 0 or lines < 0:
        raise corrupt(header.path, "its field 'byte skip' or 'line skip' is impossible.")
    return DataBlock(data, count, start, "raw" if encoding == "raw" else "gzip", skip)


def _after_lines(data: Path, start: int, lines: int) -> int:
    with data.open("rb") as file:
        file.seek(start)
        for number in range(lines):
            if not file.readline():
                raise truncated(data, f"it ends after {number} of the {lines} lines to be skipped.")
        return file.tell()
