# SPDX-License-Identifier: Apache-2.0
"""The data set of a DICOM file, however the file is written: bare, in gzip, without its syntax."""

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ...errors import InputError
from ..files import GZIP_MAGIC, read_head

MAX_INFLATED_BYTES = 1 << 29  # of one file; 1,000 frames of 512 x 512


def read_dataset(path: Path, **options: Any) -> Dataset:
    """Read what `pydicom.dcmread` reads, and more: old and cut-down files, packed ones.

    A file without preamble begins with its first element. Where no TransferSyntaxUID is given, it
    is the uncompressed one in which the elements are written, and is put into `file_meta`.

    Args:
        path: the file.
        **options: of `dcmread`.

    Raises:
        InputError: E_TRUNCATED, E_CORRUPT, damaged gzip; E_TOO_BIG, it inflates to more than
            `MAX_INFLATED_BYTES`; E_FORMAT, compressed pixels without a TransferSyntaxUID.
        Exception: nearly any, for damaged data; see `header.judged`.
    """
    header = dcmread(_opened(path), force=True, **options)
    if header.file_meta.get("TransferSyntaxUID"):
        return header
    if "PixelData" in header and header["PixelData"].is_undefined_length:
        reason = "its pixels are compressed, but no TransferSyntaxUID says how."
        raise InputError("E_FORMAT", path, reason, "Export the series again.")
    implicit, little = header.original_encoding
    syntax = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else syntax
    return header


def _opened(path: Path) -> Path | BytesIO:
    """The file, or its inflated content where it is gzip."""
    with path.open("rb") as file:
        if file.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
            return path
    inflated = read_head(path, MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        reason = f"it inflates to more than {MAX_INFLATED_BYTES >> 20} MiB."
        raise InputError("E_TOO_BIG", path, reason, "Unpack the file.")
    return BytesIO(inflated)
