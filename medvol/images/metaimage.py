# SPDX-License-Identifier: Apache-2.0
"""MetaImage: `.mha`, and `.mhd` with its data file, as ITK and elastix write them."""

import math
import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..spatial import RAS_TO_LPS, Affine
from .checks import check_bytes, rescaled, volume_shape
from .files import DataBlock, corrupt, file_size, read_block, truncated
from .image import Image
from .text_header import TextHeader, parse_fields

MAX_HEADER_BYTES = 1 << 16
FIRST_FIELDS = (
    b"Comment",
    b"ObjectType",
    b"ObjectSubType",
    b"NDims",
    b"Name",
    b"ID",
    b"ParentID",
    b"Color",
    b"AcquisitionDate",
    b"BinaryData",
    b"BinaryDataByteOrderMSB",
    b"ElementByteOrderMSB",
    b"CompressedData",
    b"CompressedDataSize",
    b"DistanceUnits",
    b"Modality",
    b"HeaderSize",
)  # any that MetaIO takes before NDims
DTYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def is_metaimage(head: bytes) -> bool:
    """Whether these first bytes of a file are a MetaImage header."""
    return re.match(rb"\s*(" + b"|".join(FIRST_FIELDS) + rb")\s*=", head) is not None


def load_metaimage(path: Path) -> Image:
    """Read a MetaImage volume, raw or compressed by zlib, with its affine to RAS mm.

    Raises:
        InputError: E_PATH, E_FORMAT, E_TRUNCATED, E_CORRUPT, E_TOO_BIG, E_DIMS, E_VALUES or
            E_GEOMETRY.
    """
    header = read_header(path)
    sizes = header.sizes("NDims", "DimSize")
    channels = header.fields.get("ElementNumberOfChannels", "1")
    if channels != "1":
        reason = f"its voxels hold {channels} numbers (colour or vector), not one each."
        code = "E_VALUES" if channels in ("3", "4") else "E_DIMS"
        raise InputError(code, path, reason, "Save it with one grey value per voxel.")
    shape, notes = volume_shape(sizes, path)
    dtype = _dtype(header)
    check_bytes(shape, dtype, path)
    affine = _affine(header, len(sizes))
    block = _data_block(header, math.prod(shape) * dtype.itemsize)
    stored = read_block(block).view(dtype).reshape(shape, order="F")
    facts = {"format": "MetaImage", "stored_dtype": dtype.newbyteorder("=").name}
    array = rescaled(stored, 1, 0, path)
    return Image(array, affine, path, tuple(notes), facts, pair=block.pair(path))


def read_header(path: Path) -> TextHeader:
    """The fields up to ElementDataFile, which ends the header.

    Raises:
        InputError: E_TRUNCATED, there is no ElementDataFile; E_CORRUPT, the header is damaged.
    """
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES)
    end = re.search(rb"^ElementDataFile\s*=[^\n]*(\n|\Z)", head, re.MULTILINE)
    if end is None:
        raise truncated(path, "its header does not come to its end (ElementDataFile).")
    return TextHeader(path, parse_fields(path, head[: end.end()], "="), end.end())


def _true(header: TextHeader, *names: str) -> bool:
    """Whether one of these fields is true; False where none is given."""
    words = [header.fields[name].lower() for name in names if name in header.fields]
    if not {"true", "1", "false", "0"}.issuperset(words):
        raise corrupt(header.path, f"its field {names[0]!r} is neither True nor False.")
    return not {"true", "1"}.isdisjoint(words)


def _dtype(header: TextHeader) -> "np.dtype[np.generic]":
    word = header.fields.get("ElementType", "")
    if word not in DTYPES:
        reason = f"its ElementType {word!r} is not one that medvol reads."
        raise InputError("E_FORMAT", header.path, reason, "Save it as MET_SHORT or MET_FLOAT.")
    big = _true(header, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype(DTYPES[word]).newbyteorder(">" if big else "<")


def _affine(header: TextHeader, dimension: int) -> Affine:
    """Offset, spacing and matrix (LPS; one row per axis) as an affine to RAS.

    Raises:
        InputError: E_GEOMETRY, one of them is missing or incomplete.
    """
    names = {
        "spacing": ("ElementSpacing",),
        "matrix": ("TransformMatrix", "Orientation", "Rotation"),
        "offset": ("Offset", "Position", "Origin"),
    }
    values = {}
    for what, choices in names.items():
        given = [header.numbers(name, float) for name in choices if name in header.fields]
        count = dimension**2 if what == "matrix" else dimension
        if not given or len(given[0]) != count:
            reason = f"its {what} ({choices[0]}) is not given for every axis."
            remedy = "Convert it again from the original DICOM files."
            raise InputError("E_GEOMETRY", header.path, reason, remedy)
        values[what] = np.array(given[0])
    centre = "CenterOfRotation"  # it is not used
    if centre in header.fields and len(header.numbers(centre, float)) != dimension:
        raise corrupt(header.path, f"its field {centre!r} is damaged.")
    affine = np.eye(4)
    directions = values["matrix"].reshape(dimension, dimension)[:3, :3]
    affine[:3, :3] = directions.T * values["spacing"][:3]
    affine[:3, 3] = values["offset"][:3]
    return RAS_TO_LPS @ affine


def _data_block(header: TextHeader, count: int) -> DataBlock:
    fields, data, start = header.fields, header.path, header.end
    if "BinaryData" in fields and not _true(header, "BinaryData"):
        reason = "its voxels are written as text."
        raise InputError("E_FORMAT", header.path, reason, "Save it with binary data.")
    if fields["ElementDataFile"].upper() != "LOCAL":
        data, start = header.data_file(fields["ElementDataFile"], suffix=".mha"), 0
    packed = _true(header, "CompressedData")
    header_size = sum(header.numbers("HeaderSize", int)) if "HeaderSize" in fields else 0
    if header_size == -1 and not packed:  # the data is the end of the file
        start = max(0, file_size(data) - count)
    elif header_size > 0:
        start = header_size
    if packed and "CompressedDataSize" in fields:
        there = file_size(data) - start
        if header.numbers("CompressedDataSize", int) != [there]:
            reason = f"it holds {there} bytes of compressed data, its header says "
            raise corrupt(data, f"{reason}{fields['CompressedDataSize']}.")
    return DataBlock(data, count, start, "zlib" if packed else "raw")
