# SPDX-License-Identifier: Apache-2.0
"""Whether a PNG holds all rows that its header promises; Pillow leaves those that lack black."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .files import CHUNK_BYTES, truncated

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
MARK = b"\x89PNG\r\n\x1a\n"
# first column and row, and steps, of each pass (PNG specification, section 8)
PLAIN = ((0, 0, 1, 1),)
ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip


def check_rows(file: BinaryIO, path: Path) -> None:
    """Refuse a PNG, of which chunks and checksums are sound, with fewer pixels than promised.

    Args:
        file: at its start.
        path: for the message.

    Raises:
        InputError: E_TRUNCATED.
    """
    content = file.read()
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    promised = 0
    for left, top, right_by, down_by in ADAM7 if interlaced else PLAIN:
        columns, rows = -(-(width - left) // right_by), -(-(height - top) // down_by)
        if columns > 0 and rows > 0:  # each row begins with a byte that names its filter
            promised += rows * (1 + -(-columns * bits * CHANNELS[colour] // 8))
    found, decoder = 0, zlib.decompressobj()
    for piece in _pixel_chunks(content):
        rest: bytes | memoryview = piece
        while rest and found < promised:
            found += len(decoder.decompress(rest, CHUNK_BYTES))
            rest = decoder.unconsumed_tail
    found += len(decoder.flush()) if found < promised else 0
    if found < promised:
        share = 100 * found / promised
        reason = f"its header promises {width} x {height} pixels; {share:.3g} % of them are there."
        raise truncated(path, reason)


def _pixel_chunks(content: bytes) -> Iterator[memoryview]:
    """The pieces of compressed pixels (IDAT), up to the end of the picture (IEND)."""
    at, name = len(MARK), b""
    while at + 8 <= len(content) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", content, at)
        if name == b"IDAT":
            yield memoryview(content)[at + 8 : at + 8 + length]
        at += length + 12
