# SPDX-License-Identifier: Apache-2.0
"""What lies in a file that holds others: archives, checkpoints, pictures, documents, one level."""

import bz2
import csv
import io
import json
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

MOST_INFLATED_BYTES = 2 << 30  # of one file, in all its depths
LONGEST_VALUE = 200  # characters that are paired with a key; pictures in notebooks are longer
MOST_ROWS = 10_000  # of a table that are paired with the heads of their columns
MOST_STRINGS = 1_000_000  # of a pickle
NO_VALUES = {  # operations of a pickle whose argument is no value of what it holds
    "PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET",
}  # fmt: skip
LOCAL_HEADER = b"PK\x03\x04"  # begins a member of a zip, see APPNOTE.TXT of PKWARE
LOCAL_HEADER_BYTES = 30  # before the member's name
GZIP, XZ = b"\x1f\x8b\x08", b"\xfd7zXZ\x00"  # RFC 1952; the .xz file format
BLOCK_OF_BZIP2 = b"1AY&SY"  # the digits of pi, behind BZh and the block's size
PNG = b"\x89PNG\r\n\x1a\n"
SEALED = {  # what cannot be looked into, by its first bytes
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"\x04\x22\x4d\x18": "compressed with LZ4",
}


class Piece(NamedTuple):
    """A part of a file.

    Args:
        place: where in the file, in words; empty for what is no part with a name.
        content: its bytes, as they are after decompression.
        problem: why it could not be looked into, one sentence without a full stop, or empty.
        unfolded: it is to be read as it stands, and may not be unfolded again.
    """

    place: str
    content: bytes
    problem: str = ""
    unfolded: bool = False


class Room:
    """How many bytes may still be inflated.

    Args:
        left: bytes, 0 or more.
    """

    def __init__(self, left: int = MOST_INFLATED_BYTES) -> None:
        self.left = left

    def inflate(self, decompressor: Any, content: bytes) -> bytes:
        """What a decompressor of zlib, bz2 or lzma makes of a content.

        Args:
            decompressor: takes a content and the most bytes that it may give.
            content: compressed.

        Raises:
            ValueError: it is larger than what is left.
        """
        data: bytes = decompressor.decompress(content, self.left + 1)
        if len(data) > self.left:
            raise ValueError("it is too large when it is unpacked")
        self.left -= len(data)
        return data


def unfold(content: bytes, room: Room) -> list[Piece] | None:
    """The pieces of a content that holds others; None where it is to be read as it stands.

    The pieces together are all of it but the compressed points of a PNG.

    Args:
        content: of a file, or of a piece of one.
        room: how much may be inflated; grows less.

    Example:
        >>> import gzip
        >>> [piece.content for piece in unfold(gzip.compress(b"chest", mtime=0), Room())][-1]
        b'chest'
        >>> unfold(b"chest", Room()) is None
        True
    """
    for magic, kind in SEALED.items():
        if content.startswith(magic):
            return [Piece("", content[:4096], f"it is {kind}")]
    opener = _opener(content)
    if opener is None:
        return None
    pieces: list[Piece] = []
    try:
        for piece in opener(content, room):
            pieces.append(piece)
    except (ValueError, EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        pieces += [_rest(content), Piece("", b"", f"it cannot be unpacked ({reason})")]
    return pieces


def _rest(content: bytes, place: str = "") -> Piece:
    return Piece(place, content, unfolded=True)


def _opener(content: bytes) -> Callable[[bytes, Room], Iterator[Piece]] | None:
    if content.startswith(PNG):
        return _png
    if content.startswith(b"%PDF-"):
        return _pdf
    if content.startswith(GZIP):
        return lambda data, room: _stream(data, room, lambda: zlib.decompressobj(31))
    if content.startswith(b"BZh") and content[4:10] == BLOCK_OF_BZIP2:
        return lambda data, room: _stream(data, room, bz2.BZ2Decompressor)
    if content.startswith(XZ):
        return lambda data, room: _stream(data, room, lzma.LZMADecompressor)
    if content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05":
        return _pickle
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content):
        return _safetensors
    if LOCAL_HEADER in content[:4] or b"PK\x05\x06" in content[-(1 << 16) :]:
        return _zip
    return None


def _stream(content: bytes, room: Room, make: Callable[[], Any]) -> Iterator[Piece]:
    """One member behind the other; a header keeps the name that a file had."""
    yield _rest(content[:512], "its header")
    inflated = []
    while content:
        decompressor = make()
        inflated.append(room.inflate(decompressor, content))
        if not decompressor.eof:
            raise ValueError("it is cut off")
        rest = decompressor.unused_data
        if len(rest) == len(content) or not rest.startswith((GZIP, b"BZh", XZ)):
            yield Piece("behind its end", rest)
            break
        content = rest
    yield Piece("unpacked", b"".join(inflated))


def _zip(content: bytes, room: Room) -> Iterator[Piece]:
    """Members of an archive, those that its list leaves out too, and all between them."""
    taken: list[tuple[int, int]] = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    for info in members:
        start = _start(content, info.header_offset)
        stop = start + info.compress_size
        if content[info.header_offset :][:4] != LOCAL_HEADER or stop > len(content):
            raise ValueError(f"{info.filename!r} does not lie where its list says")
        taken.append((start, stop))
        yield _member(content[start:stop], info, room)
    between, at = [], 0
    for start, stop in sorted(taken):
        between.append(content[at:start])
        at = max(at, stop)
    rest = b"\n".join([*between, content[at:]])
    yield _rest(rest, "between its members")
    listed = {
        content[info.header_offset : start] for info, (start, _) in zip(members, taken, strict=True)
    }
    for found in re.finditer(re.escape(LOCAL_HEADER), rest):
        start = _start(rest, found.start())
        if rest[found.start() : start] not in listed:
            with suppress(zlib.error):
                yield Piece(
                    "a member that is not on its list",
                    room.inflate(zlib.decompressobj(-15), rest[start:]),
                )


def _start(content: bytes, header: int) -> int:
    """Where the data of a member begin whose local header stands at `header`."""
    name, extra = content[header + 26 : header + 28], content[header + 28 : header + 30]
    lengths = int.from_bytes(name, "little") + int.from_bytes(extra, "little")
    return header + LOCAL_HEADER_BYTES + lengths


def _member(data: bytes, info: zipfile.ZipInfo, room: Room) -> Piece:
    name = info.filename
    if info.flag_bits & 1:
        return Piece(name, b"", "it is encrypted")
    if info.compress_type == zipfile.ZIP_STORED:
        return Piece(name, data)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        return Piece(name, room.inflate(zlib.decompressobj(-15), data))
    if info.compress_type == zipfile.ZIP_BZIP2:
        return Piece(name, room.inflate(bz2.BZ2Decompressor(), data))
    return Piece(name, b"", f"it is compressed by method {info.compress_type}")


def _png(content: bytes, room: Room) -> Iterator[Piece]:
    """All chunks but those of points; texts that are compressed, too."""
    rest, at = [], len(PNG)
    while at + 8 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        data = content[at + 8 : at + 8 + size]
        at += size + 12
        if kind == b"IDAT":
            continue
        rest.append(data)
        if kind in (b"zTXt", b"iTXt", b"iCCP"):
            word, _, value = data.partition(b"\0")
            for begin in [found.start() for found in re.finditer(b"\x78[\x01\x5e\x9c\xda]", value)]:
                with suppress(zlib.error):
                    text = room.inflate(zlib.decompressobj(), value[begin:])
                    yield Piece(f"{kind.decode()} {word.decode('latin-1')}", text)
                    break
        if kind == b"IEND":
            break
    yield _rest(b"\0\n".join([*rest, content[at:]]))


def _pdf(content: bytes, room: Room) -> Iterator[Piece]:
    """The document as it stands, and its compressed streams."""
    yield _rest(content)
    for found in re.finditer(rb"stream\r?\n", content):
        with suppress(zlib.error):
            data = room.inflate(zlib.decompressobj(), content[found.end() :])
            yield Piece("a stream of the document", data)


def _safetensors(content: bytes, _: Room) -> Iterator[Piece]:
    stop = 8 + int.from_bytes(content[:8], "little")
    yield Piece("its header", content[8:stop])
    yield _rest(content[stop:])


def _pickle(content: bytes, _: Room) -> Iterator[Piece]:
    """The file as it stands, and its texts and numbers in their order, without running it."""
    yield _rest(content)
    words: list[str] = []
    stream = io.BytesIO(content)
    with suppress(Exception):  # pickletools has no error of its own; the rest was read as it is
        while stream.tell() < len(content) and len(words) < MOST_STRINGS:
            for code, value, _at in pickletools.genops(stream):
                if code.name in NO_VALUES:
                    continue
                if isinstance(value, bytes):
                    words.append(value.decode("latin-1"))
                elif isinstance(value, str | int) and not isinstance(value, bool):
                    words.append(str(value))
    yield Piece("its texts", " : ".join(words).encode("utf-8", "replace"))


def pairs_of(content: bytes, name: str) -> str:
    """Lines "key of key: value" of JSON, or "head: value" of a table; empty for what is neither.

    So a value stands beside what it is of, however far apart the two are in the file.

    Args:
        content: of a text in UTF-8.
        name: of the file; tables are known by its end.

    Example:
        >>> pairs_of(b'{"patient": {"name": "Li", "ids": [7]}}', "a.json")
        'patient name: Li\\npatient ids: 7'
    """
    text = content.decode("utf-8-sig", "replace")
    lines: list[str] = []
    with suppress(ValueError, RecursionError, csv.Error):
        if name.lower().endswith((".csv", ".tsv")):
            rows = csv.reader(io.StringIO(text), csv.Sniffer().sniff(text[:4096], ",;\t|"))
            heads = next(rows, [])
            for _, row in zip(range(MOST_ROWS), rows, strict=False):
                lines += [f"{head}: {value}" for head, value in zip(heads, row, strict=False)]
        elif text.lstrip()[:1] in ("{", "["):
            lines += _leaves(json.loads(text), "", "")
    return "\n".join(lines)


def _leaves(value: Any, above: str, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for inner, below in value.items():
            yield from _leaves(below, key, str(inner))
    elif isinstance(value, list):
        for below in value:
            yield from _leaves(below, above, key)
    elif isinstance(value, str | int | float):
        yield f"{above} {key}: {str(value)[:LONGEST_VALUE]}".strip()
