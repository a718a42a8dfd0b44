# SPDX-License-Identifier: Apache-2.0
"""The data set of a DICOM file, however the file is written: bare, in gzip, without its syntax."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ...errors import InputError
from ..files import CHUNK_BYTES, GZIP_MAGIC, read_head, truncated

MAX_INFLATED_BYTES = 1 << 29  # of one file; 1,000 frames of 512 x 512
_META_BYTES = 1024  # in which the transfer syntax stands
_DEFLATED = DeflatedExplicitVRLittleEndian.encode()


def read_dataset(path: Path, **options: Any) -> Dataset:
    """Read what `pydicom.dcmread` reads, and more: old and cut-down files, packed ones.

    A file without preamble begins with its first element. Where no TransferSyntaxUID is given, it
    is the uncompressed one in which the elements are written, and is put into `file_meta`.

    Args:
        path: the file.
        **options: of `dcmread`.

    Raises:
        InputError: E_TRUNCATED, E_CORRUPT, damaged gzip or deflate, or an element that claims more
            bytes than the file has; E_TOO_BIG, it inflates to more than `MAX_INFLATED_BYTES`;
            E_FORMAT, compressed pixels without a TransferSyntaxUID.
        Exception: nearly any, for damaged data; see `header.judged`.
    """
    try:
        header = dcmread(_opened(path), force=True, **options)
    except MemoryError as error:  # pydicom asks for as many bytes as an element claims
        if path.stat().st_size > MAX_INFLATED_BYTES:
            raise
        reason = "an element claims more bytes than the file has."
        raise InputError("E_CORRUPT", path, reason, "Copy or export it again.") from error
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
        start = file.read(_META_BYTES)
        if _DEFLATED in start:
            _check_deflated(path, file, start)
        if not start.startswith(GZIP_MAGIC):
            return path
    inflated = read_head(path, MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        raise _too_big(path)
    return BytesIO(inflated)


def _check_deflated(path: Path, file: BinaryIO, start: bytes) -> None:
    """Refuse deflated elements that are cut, damaged or too many; pydicom inflates them at once."""
    (meta_bytes,) = struct.unpack_from("<I", start, 140)  # FileMetaInformationGroupLength
    file.seek(144 + meta_bytes)
    decoder, rest, size = zlib.decompressobj(-zlib.MAX_WBITS), file.read(), 0
    while not decoder.eof:
        chunk = decoder.decompress(rest, CHUNK_BYTES)
        size, rest = size + len(chunk), decoder.unconsumed_tail
        if size > MAX_INFLATED_BYTES:
            raise _too_big(path)
        if not chunk and not decoder.eof:
            raise truncated(path, "the deflated data stop before their end.")


def _too_big(path: Path) -> InputError:
    reason = f"it inflates to more than {MAX_INFLATED_BYTES >> 20} MiB."
    return InputError("E_TOO_BIG", path, reason, "Unpack the file.")
