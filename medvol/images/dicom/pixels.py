# SPDX-License-Identifier: Apache-2.0
"""The stored values of DICOM images: decompressed, whole, without bits that are no part of them."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from ...errors import InputError, Note
from ...quiet import quiet
from ..files import corrupt, truncated
from .dataset import read_dataset
from .elements import whole_number
from .header import Slice, judged

_AGAIN = "Copy the file again, or export it again."
_JPEG_END = b"\xff\xd9"
_SOC, _SIZ = b"\xff\x4f", b"\xff\x51"  # of JPEG 2000, which may lie in a JP2 file
_SOF = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # of JPEG and JPEG-LS
_WITH_END = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes)
# The decoders that refuse damaged data; pydicom would try others next, which fill it with anything.
# Pillow refuses some sound colours too.
_STRICT = {
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    **dict.fromkeys((JPEG2000, JPEG2000Lossless), "pillow"),
}
_NUMBERS = ["BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel"]
_PIXEL_TAGS = [
    *("PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *(*_NUMBERS, "HighBit", "PixelData"),
]


def check_decoder(slices: Sequence[Slice]) -> None:
    """Refuse pixels that no installed package decodes, before they are read.

    Raises:
        InputError: E_DECODER, with the packages that would.
    """
    for image in {image.syntax: image for image in slices}.values():
        try:
            with quiet():  # of a damaged UID, which is not a known syntax either
                decoder = get_decoder(image.syntax)
        except NotImplementedError as error:  # as pydicom says it
            reason = f"its pixels are stored as {image.syntax.name}, which no package reads."
            remedy = "Export the series uncompressed (Explicit VR Little Endian)."
            raise InputError("E_DECODER", image.path, reason, remedy) from error
        if not decoder.is_available:
            raise InputError(
                "E_DECODER", image.path,
                f"its pixels are compressed as {image.syntax.name}, and no decoder is installed.",
                f"Install one of these packages: {'; '.join(decoder.missing_dependencies)}.",
            )  # fmt: skip


def notes_on_bits(slices: Sequence[Slice]) -> list[Note]:
    """A remark on decoded slices whose BitsStored and HighBit contradict each other."""
    odd = [image.bits for image in slices if image.bits]
    text = f"images with {', '.join(sorted(set(odd)))}: {len(odd)}; their values fit both."
    return [Note("N_BITS", text)] if odd else []


def decode_frames(path: Path, frames: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
    """The stored values (rows, columns) of some frames of a file; colours (rows, columns, 3).

    Raises:
        InputError: E_TRUNCATED; E_CORRUPT, also where the bits contradict the header.
    """
    with judged(path, "its pixels cannot be decoded", _AGAIN):
        content = read_dataset(path, specific_tags=_PIXEL_TAGS)
        _check_length(path, content)
        syntax = content.file_meta.TransferSyntaxUID
        plugin = _STRICT.get(syntax, "") if content.SamplesPerPixel == 1 else ""
        pixels = iter_pixels(
            content, indices=list(frames), correct_unused_bits=False, decoding_plugin=plugin
        )
        arrays = [_used_bits(array, content, path) for array in pixels]
        if syntax == RLELossless:  # pydicom only warns
            _check_runs(path, content)
    yield from arrays


def _used_bits(array: npt.NDArray[Any], content: Dataset, path: Path) -> npt.NDArray[Any]:
    """Decoded values without the bits above BitsStored, in which an overlay may lie.

    Where HighBit is not BitsStored - 1, programs differ, so the values must fit without shift. So
    they must when a compression has its own depth, of which no overlay is a part.

    Raises:
        InputError: E_CORRUPT, they do not fit.
    """
    stored = int(content.BitsStored)
    high = int(content.get("HighBit") or stored - 1)
    unused = 8 * array.dtype.itemsize - min(stored, high + 1)
    values: npt.NDArray[Any] = (array << unused) >> unused
    syntax = content.file_meta.TransferSyntaxUID
    certain = high == stored - 1 and (not syntax.is_compressed or syntax == RLELossless)
    if certain or np.array_equal(values, array):
        return values
    raise InputError(
        "E_CORRUPT", path,
        f"its header says BitsStored {stored} and HighBit {high}, which its values, from "
        f"{array.min()} to {array.max()}, do not fit.",
        _AGAIN if high == stored - 1 else "Export it with a HighBit that is BitsStored - 1.",
    )  # fmt: skip


def _check_length(path: Path, content: Dataset) -> None:
    """Refuse pixels of another length: some decoders cut them, or fill the rest with anything.

    So are compressed ones of another size, before a decoder takes memory for them.
    """
    syntax = content.file_meta.TransferSyntaxUID
    data = content.get("PixelData")
    if data is None:
        raise truncated(path, "it has no PixelData, or the file ends before or inside them.")
    for name in _NUMBERS:
        whole_number(content, name, path)
    if not syntax.is_compressed or syntax.is_deflated:
        expected = get_expected_length(content)
        if len(data) < expected:
            reason = f"it has {len(data)} bytes of pixels, and its header promises {expected}."
            raise truncated(path, reason)
        if data[expected + expected % 2 :].strip(b"\0") or _is_shifted(path, content):
            reason = f"it holds more than the {expected} bytes of pixels that its header promises."
            raise InputError("E_CORRUPT", path, reason, _AGAIN)
    elif syntax in _WITH_END:
        size = int(content.Rows), int(content.Columns)
        for frame in _compressed(content):
            if _JPEG_END not in frame.rstrip(b"\0")[-16:]:
                raise truncated(path, f"its compressed pixels ({syntax.name}) have no end mark.")
            if (coded := _coded_size(frame)) and coded != size:
                sizes = [f"{rows} rows of {columns} pixels" for rows, columns in (size, coded)]
                raise corrupt(path, f"its header promises {sizes[0]}, its pixels {sizes[1]}.")


def _is_shifted(path: Path, content: Dataset) -> bool:
    """Whether something else than zeros and later elements follows the pixels in the file.

    Up to three bytes are not an element, and do no harm. Files inflated before are not looked at.
    """
    if content.filename is None or content.file_meta.TransferSyntaxUID.is_deflated:
        return False
    with path.open("rb") as file:
        file.seek(content["PixelData"].file_tell + len(content.PixelData))
        rest = file.read()
    little = content.file_meta.TransferSyntaxUID.is_little_endian
    group = int.from_bytes(rest[:2], "little" if little else "big")
    return len(rest) > 3 and any(rest) and not (0x7FE0 <= group <= 0x7FFF or group >= 0xFFFA)


def _compressed(content: Dataset) -> Iterator[bytes]:
    count = int(content.get("NumberOfFrames") or 1)
    return generate_frames(content.PixelData, number_of_frames=count)


def _coded_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a compressed frame of the JPEG family claims; None where unclear."""
    if (start := frame.find(_SIZ)) >= 0 and _SOC in frame[:start]:
        columns, rows, left, top = struct.unpack_from(">4I", frame, start + 6)
        return rows - top, columns - left
    place = 2
    while place + 9 <= len(frame) and frame[place] == 0xFF:
        mark, length, _, rows, columns = struct.unpack_from(">xBHBHH", frame, place)
        if mark in _SOF:
            return rows, columns
        place += 1 if mark == 0xFF else 2 + length  # 0xFF may be repeated before a mark
    return None


def _check_runs(path: Path, content: Dataset) -> None:
    """Refuse run lengths in which the last pixel is not the end of a run; padding may follow it."""
    count = int(content.Rows) * int(content.Columns)
    for frame in _compressed(content):
        starts = np.frombuffer(frame[:64], "<u4")
        ends = [*starts[2 : starts[0] + 1].tolist(), len(frame)]
        for start, end in zip(starts[1 : starts[0] + 1].tolist(), ends, strict=True):
            done = 0
            while done < count and start < end:
                size = frame[start]
                literal = size < 128
                start += size + 2 if literal else 2 if size > 128 else 1
                done += size + 1 if literal else 257 - size if size > 128 else 0
            if done != count:
                raise corrupt(path, f"a run of its compressed pixels ends behind the {count}th.")
