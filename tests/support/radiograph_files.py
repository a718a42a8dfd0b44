# SPDX-License-Identifier: Apache-2.0
"""One small radiograph, written in all the ways in which radiographs are kept."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

ROWS, COLUMNS = 20, 24
MARK = (3, 5)  # row and column of the one white pixel


def grey_values() -> npt.NDArray[np.uint8]:
    """(20, 24) values 0 to 230, brighter to the right and below; 255 at `MARK`, 0 at its left."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    values = (rows * 5 + columns * 5 + 20).astype(np.uint8)
    values[MARK] = 255
    values[MARK[0], MARK[1] - 1] = 0
    return values


def truth() -> npt.NDArray[np.float32]:
    """What every file of `grey_values` must be read as."""
    return grey_values().astype(np.float32) / np.float32(255)


def save_picture(path: Path, values: npt.NDArray[Any] | None = None, **options: Any) -> Path:
    """Write values as the picture that Pillow makes of them."""
    Image.fromarray(grey_values() if values is None else values).save(path, **options)
    return path


def save_png_16(path: Path, values: npt.NDArray[Any], *, colour_type: int) -> Path:
    """A PNG of 16 bits a sample, (rows, columns, samples), which Pillow reads but cannot write."""
    lines = [b"\0" + line.astype(">u2").tobytes() for line in values]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def cr_image(values: npt.NDArray[Any] | None = None, **changed: Any) -> Dataset:
    """A computed radiograph without window; a keyword of None takes that element out.

    Args:
        values: (rows, columns) or (rows, columns, 3), uint8, uint16 or int16.
    """
    stored = grey_values() if values is None else values
    header = Dataset()
    header.SOPClassUID = ComputedRadiographyImageStorage
    header.SOPInstanceUID = generate_uid()
    header.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    header.PatientName = "Secret^Name"
    header.Modality = "CR"
    header.ViewPosition = "PA"
    header.SamplesPerPixel = 1 if stored.ndim == 2 else 3
    header.PhotometricInterpretation = "MONOCHROME2" if stored.ndim == 2 else "RGB"
    if stored.ndim == 3:
        header.PlanarConfiguration = 0
    header.Rows, header.Columns = stored.shape[:2]
    bits = 8 * stored.dtype.itemsize
    header.BitsAllocated, header.BitsStored, header.HighBit = bits, bits, bits - 1
    header.PixelRepresentation = int(stored.dtype.kind == "i")
    header.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in changed.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    if "BitsStored" in changed:
        header.HighBit = changed["BitsStored"] - 1
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    return header


def save_cr(path: Path, values: npt.NDArray[Any] | None = None, **changed: Any) -> Path:
    """Write `cr_image`."""
    cr_image(values, **changed).save_as(path, enforce_file_format=True)
    return path
