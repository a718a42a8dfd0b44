# SPDX-License-Identifier: Apache-2.0
"""NRRD with a header written by hand: UTF-8 in its fields, voxels gzipped slice by slice.

pynrrd raises on a name that is not ASCII and leaves a cut file behind; SimpleITK writes neither
key order nor extra fields as 3D Slicer wants them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ..images.deflate import gzip_packer
from ..spatial import RAS_TO_LPS, Affine

NRRD_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "uint8": "unsigned char",
        "int16": "short",
        "uint16": "unsigned short",
        "float32": "float",
    }
)
NO_FIELDS: Mapping[str, str] = MappingProxyType({})


def write_nrrd(
    stream: IO[bytes],
    array: npt.NDArray[Any],
    affine: Affine,
    *,
    fields: Mapping[str, str] = NO_FIELDS,
    runs: bool = False,
    packed: bool = True,
) -> None:
    """Write one volume, header and voxels, to an open binary stream; same input, same bytes.

    Args:
        stream: a file, or an entry of a zip.
        array: (X, Y, Z) of one of `NRRD_TYPES`.
        affine: (4, 4), voxel index to RAS mm; written as left-posterior-superior in full precision.
        fields: key/value pairs for the end of the header, any text.
        runs: the voxels are long runs of equal values (a mask), which packs them better.
        packed: False writes them raw, for readers that unpack nothing.

    Raises:
        ValueError: other axes or another type.
    """
    if array.ndim != 3 or array.dtype.name not in NRRD_TYPES:
        raise ValueError(
            f"the array is {array.dtype} of shape {array.shape}; give 3 axes (X, Y, Z) of one of "
            f"{', '.join(NRRD_TYPES)}"
        )
    stream.write(nrrd_header(array, affine, fields, packed=packed))
    packer = gzip_packer(runs=runs)
    little = array.dtype.newbyteorder("<")
    for index in range(array.shape[2]):
        plane = array[:, :, index].astype(little, copy=False)
        voxels = plane.tobytes(order="F")
        stream.write(packer.compress(voxels) if packed else voxels)
    if packed:
        stream.write(packer.flush())


def nrrd_header(
    array: npt.NDArray[Any], affine: Affine, fields: Mapping[str, str], *, packed: bool = True
) -> bytes:
    """The header of `write_nrrd`, with the empty line that ends it.

    Args:
        array, affine, fields, packed: as for `write_nrrd`.
    """
    lps = RAS_TO_LPS @ np.asarray(affine, np.float64) + 0.0  # no -0
    lines = [
        "NRRD0005",
        f"type: {NRRD_TYPES[array.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {' '.join(_vector(lps[:3, axis]) for axis in range(3))}",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {'gzip' if packed else 'raw'}",
        f"space origin: {_vector(lps[:3, 3])}",
        *(f"{key}:={_escaped(value)}" for key, value in fields.items()),
    ]
    return ("\n".join(lines) + "\n\n").encode()


def _vector(values: npt.NDArray[np.float64]) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
