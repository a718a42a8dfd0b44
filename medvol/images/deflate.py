# SPDX-License-Identifier: Apache-2.0
"""Packing and unpacking of gzip and zlib: by Intel's ISA-L, or by zlib where that is not installed,
as beside a packed bundle. What is packed by one of them the other unpacks to the same bytes.

ISA-L unpacks a CT in half the time of zlib, packs one in a fifth of it and a mask in a fifteenth.
"""

import re
import zlib
from typing import Protocol

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None  # type: ignore[assignment]

GZIP, ZLIB = 31, 15  # window bits: 32 KiB, with a gzip header without name and time, or zlib's own
LEVEL = 1  # higher ones take 2-5 times as long on CT and save 3 %
MEMORY = 9  # zlib's most


_FAULTS = {  # in words of ISA-L -> in words of zlib
    "Incorrect checksum found": "incorrect data check",
    "Invalid gzip/zlib wrapper found": "incorrect header check",
}


class Packer(Protocol):
    """What packs a stream piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """What is packed by now."""

    def flush(self) -> bytes:
        """The rest, and the end of the stream."""


class Unpacker(Protocol):
    """What unpacks a stream piece by piece, see `zlib.decompressobj`."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached, and its checksum is right."""

    @property
    def unused_data(self) -> bytes:
        """What was given behind it."""

    @property
    def unconsumed_tail(self) -> bytes:
        """What was given and had no room."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """At most so many bytes of what is unpacked by now."""


# of both, where both are there
errors = tuple(x.error for x in (zlib, isal_zlib) if x is not None)


def gzip_packer(*, runs: bool = False) -> Packer:
    """A fast packer; same input, same bytes.

    Args:
        runs: the data is long runs of equal bytes (a mask), for which zlib has a way of its own.
    """
    if isal_zlib is not None:
        return isal_zlib.compressobj(LEVEL, wbits=GZIP)
    strategy = zlib.Z_RLE if runs else zlib.Z_DEFAULT_STRATEGY
    return zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP, MEMORY, strategy)


def zlib_packed(data: bytes) -> bytes:
    """Packed as a picture's file has it; same input, same bytes."""
    return (isal_zlib or zlib).compress(data, LEVEL)


def unpacker(window_bits: int) -> Unpacker:
    """What unpacks one gzip member or zlib stream; what it raises is in `errors`.

    Args:
        window_bits: `GZIP` or `ZLIB`.
    """
    return (isal_zlib or zlib).decompressobj(window_bits)


def fault(error: Exception) -> str:
    """What is wrong with packed data, in the same words whoever found it.

    Args:
        error: of `errors`.

    Example:
        >>> fault(zlib.error("Error -3 while decompressing data: incorrect data check"))
        'incorrect data check'
    """
    words = re.sub(r"^Error -?\d+( while \w+ data:)? ", "", str(error))
    return _FAULTS.get(words, words)


def unpacked(data: bytes) -> bytes:
    """The content of one gzip member; what it raises is in `errors`."""
    return (isal_zlib or zlib).decompress(data, GZIP)
