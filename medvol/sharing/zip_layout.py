# SPDX-License-Identifier: Apache-2.0
"""How a zip archive is laid out; what two programs might read differently is refused.

`zipfile` is made to read what it can. What comes from another lab is read here first: the members
fill the file from its first byte to the list of contents, one behind the other, each header says
what the list says, and nothing comes behind the list. The layout is that of PKWARE's APPNOTE
6.3.10, sections 4.3.7 to 4.3.16, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..errors import InputError

STORED, DEFLATED = 0, 8  # methods of compression
MOST_MEMBERS = 10_000  # a bundle has 20 to 300 files
MOST_LISTED_BYTES = 16 << 20  # of the list of contents: 10,000 members of 1.6 KiB
AGAIN = "Ask for the file again, made by `medvol bundle pack`."
_LOCAL = struct.Struct("<4s5H3I2H")
_LISTED = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_DESCRIPTOR = struct.Struct("<3I")
_DESCRIPTOR_MARK = b"PK\x07\x08"
_ENCRYPTED, _DESCRIBED, _UTF8 = 1, 1 << 3, 1 << 11  # bits of a member's flags
_FLAGS = 0b110 | _DESCRIBED | _UTF8  # known here; 0b110 says how hard the packer tried
_VERSION, _UNIX, _DATE, _MODE = 20, 3 << 8, 0x21, 0o100644  # of a member that is made here
_EXTRAS = {  # blocks of times and owners, which nothing here reads
    0x000A, 0x5455, 0x5855, 0x7855, 0x7875, 0xCAFE,
}  # fmt: skip
_OTHERS = {  # what is called .zip at times, by its first bytes
    b"7z\xbc\xaf": "a 7z archive", b"\x1f\x8b": "a gzip file", b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 file", b"\xfd7zX": "an xz file", b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"<": "a web page",
}  # fmt: skip
_TAR_MARK = slice(257, 262)  # where a tar archive says "ustar"


class Member(NamedTuple):
    """A file or folder in an archive, as both its header and the list of contents have it.

    Args:
        name: with `/`; one of a folder ends so.
        method: `STORED` or `DEFLATED`.
        crc: CRC-32 of its content.
        packed: bytes of it in the archive.
        size: bytes of its content.
        attributes: of its file; what they mean depends on the system that packed it.
        start: byte where its header begins.
        data: byte where its content begins.
        end: byte behind all of it.
        listed: its entry in the list of contents.
    """

    name: str
    method: int
    crc: int
    packed: int
    size: int
    attributes: int
    start: int
    data: int
    end: int
    listed: bytes

    @property
    def is_folder(self) -> bool:
        """It is a folder, by its name."""
        return self.name.endswith("/")


class _Entry(NamedTuple):
    """Fields of the list of contents, in its order."""

    mark: bytes
    made: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name_bytes: int
    extra_bytes: int
    comment_bytes: int
    disk: int
    internal: int
    attributes: int
    start: int


def read_layout(file: BinaryIO, path: Path) -> list[Member]:
    """The members of an archive, in the order in which they lie in it.

    Args:
        file: the archive, opened.
        path: of it, for what is refused.

    Raises:
        InputError: E_EMPTY, there is nothing in it; E_FORMAT, it is not a zip archive, or one that
            is encrypted or packed with another method than deflate; E_TRUNCATED, it is cut;
            E_TOO_BIG, too many members; E_CORRUPT, headers contradict the list of contents,
            members overlap, or something lies before, between or behind them.
    """
    count, length, start = _end(file, path)
    file.seek(start)
    listing = file.read(length)
    members, at = [], 0
    for _ in range(count):
        entry, name, listed = _entry(listing, at, path)
        members.append(_member(file, path, entry, name, listed))
        at += len(listed)
    if at != length:
        raise _corrupt(path, "its list of contents holds more than its members.")
    members.sort(key=lambda member: member.start)
    ends = [0, *(member.end for member in members)]
    if ends != [*(member.start for member in members), start]:
        raise _corrupt(path, "its members overlap, or something lies between them.")
    return members


def moved(member: Member, start: int) -> Member:
    """A member as it is listed when it begins at another byte of an archive."""
    at = _LISTED.size - 4  # where the entry says it
    listed = member.listed[:at] + struct.pack("<I", start) + member.listed[_LISTED.size :]
    data, end = (start + place - member.start for place in (member.data, member.end))
    return member._replace(start=start, data=data, end=end, listed=listed)


def stored(name: str, content: bytes, *, start: int) -> tuple[bytes, Member]:
    """A small file as it lies in an archive, and as it is listed; from 1980, since zip has no zero.

    Args:
        name: in ASCII.
        content: of the file.
        start: byte where it begins.
    """
    crc, size, text = zlib.crc32(content), len(content), name.encode("ascii")
    said = (_VERSION, 0, STORED, 0, _DATE, crc, size, size, len(text), 0)
    lies = _LOCAL.pack(b"PK\x03\x04", *said) + text + content
    listed = _LISTED.pack(b"PK\x01\x02", _UNIX | _VERSION, *said, 0, 0, 0, _MODE << 16, start)
    data, end = start + len(lies) - size, start + len(lies)
    return lies, Member(
        name=name, method=STORED, crc=crc, packed=size, size=size, attributes=_MODE << 16,
        start=start, data=data, end=end, listed=listed + text,
    )  # fmt: skip


def contents(members: Sequence[Member]) -> bytes:
    """The list of contents that ends an archive of these members.

    Args:
        members: in the order in which they lie in it.
    """
    listing = b"".join(member.listed for member in members)
    count, start = len(members), members[-1].end
    return listing + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(listing), start, 0)


def _end(file: BinaryIO, path: Path) -> tuple[int, int, int]:
    """Number of members; bytes of the list of contents, and where it begins."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise InputError("E_EMPTY", path, "the file has 0 bytes.", AGAIN)
    file.seek(0)
    head = file.read(512)
    if head[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        kinds = (kind for mark, kind in _OTHERS.items() if head.startswith(mark))
        kind = "a tar archive" if head[_TAR_MARK] == b"ustar" else next(kinds, "something else")
        raise InputError("E_FORMAT", path, f"it is not a zip archive, but {kind}.", AGAIN)
    file.seek(max(0, size - _END.size - 0xFFFF))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + _END.size:
        reason = "the archive ends before its list of contents does."
        raise InputError("E_TRUNCATED", path, reason, AGAIN)
    _, disk, first, here, count, length, start, comment = _END.unpack_from(tail, at)
    if len(tail) != at + _END.size or comment:
        raise _corrupt(path, "something follows its list of contents.")
    if 0xFFFF in (count, here, disk) or 0xFFFFFFFF in (length, start):
        raise _corrupt(path, "it is a zip64 archive, which no bundle needs.")
    if disk or first or here != count or start + length != size - _END.size:
        raise _corrupt(path, "its end contradicts its list of contents.")
    if count == 0:
        raise InputError("E_EMPTY", path, "the archive holds no files.", AGAIN)
    if count > MOST_MEMBERS or length > MOST_LISTED_BYTES:
        reason = f"the archive has {count} members; at most {MOST_MEMBERS} are unpacked."
        raise InputError("E_TOO_BIG", path, reason, AGAIN)
    return count, length, start


def _entry(listing: bytes, at: int, path: Path) -> tuple[_Entry, bytes, bytes]:
    """Fields, name and all bytes of an entry of the list of contents."""
    if len(listing) < at + _LISTED.size:
        raise _corrupt(path, "its list of contents is cut.")
    entry = _Entry(*_LISTED.unpack_from(listing, at))
    name_at = at + _LISTED.size
    end = name_at + entry.name_bytes + entry.extra_bytes + entry.comment_bytes
    name = listing[name_at : name_at + entry.name_bytes]
    if entry.mark != b"PK\x01\x02" or len(listing) < end:
        raise _corrupt(path, "its list of contents is damaged.")
    if entry.flags & _ENCRYPTED:
        raise InputError("E_FORMAT", path, "the archive is encrypted.", AGAIN)
    if entry.method not in (STORED, DEFLATED):
        reason = f"it is packed with method {entry.method}, not with deflate."
        raise InputError("E_FORMAT", path, reason, AGAIN)
    if entry.flags & ~_FLAGS or entry.disk or entry.comment_bytes:
        raise _corrupt(path, f"the entry of {_text(name, entry, path)!r} is unusual.")
    _check_extra(listing[name_at + entry.name_bytes : end], path)
    return entry, name, listing[at:end]


def _member(file: BinaryIO, path: Path, entry: _Entry, name: bytes, listed: bytes) -> Member:
    """A member by its entry, where the header in front of its content says the same."""
    text = _text(name, entry, path)
    differs = _corrupt(path, f"the header of {text!r} contradicts the list of contents.")
    file.seek(entry.start)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size:
        raise differs
    mark, _, flags, method, _, _, *sizes, name_bytes, extra_bytes = _LOCAL.unpack(header)
    expected = [entry.crc, entry.packed, entry.size]
    described = bool(flags & _DESCRIBED) and not any(sizes)
    if (mark, flags, method) != (b"PK\x03\x04", entry.flags, entry.method):
        raise differs
    if file.read(name_bytes) != name or not (described or sizes == expected):
        raise differs
    _check_extra(file.read(extra_bytes), path)
    data = entry.start + _LOCAL.size + name_bytes + extra_bytes
    end = data + entry.packed
    if flags & _DESCRIBED:
        file.seek(end)
        behind = file.read(len(_DESCRIPTOR_MARK) + _DESCRIPTOR.size)
        packed = _DESCRIPTOR.pack(*expected)
        if behind == _DESCRIPTOR_MARK + packed:
            end += len(behind)
        elif behind.startswith(packed):
            end += len(packed)
        else:
            raise differs
    if entry.method == STORED and entry.packed != entry.size:
        raise differs
    return Member(
        name=text, method=entry.method, crc=entry.crc, packed=entry.packed, size=entry.size,
        attributes=entry.attributes, start=entry.start, data=data, end=end, listed=listed,
    )  # fmt: skip


def _text(name: bytes, entry: _Entry, path: Path) -> str:
    try:
        return name.decode("utf-8" if entry.flags & _UTF8 else "ascii")
    except UnicodeDecodeError as error:
        reason = f"the name {name!r} in it is not in UTF-8, or not marked as such."
        raise InputError("E_PATH", path, reason, AGAIN) from error


def _check_extra(extra: bytes, path: Path) -> None:
    """Refuse blocks that give a member other sizes, another name or a cipher, and odd ones."""
    at = 0
    while at < len(extra):
        kind, length = struct.unpack_from("<2H", extra, at) if len(extra) >= at + 4 else (-1, 0)
        at += 4 + length
        if kind not in _EXTRAS or at > len(extra):
            what = "zip64" if kind == 1 else "of an unknown kind"
            raise _corrupt(path, f"a member has an extra field {what}, which no bundle needs.")


def _corrupt(path: Path, reason: str) -> InputError:
    return InputError("E_CORRUPT", path, reason, AGAIN)
