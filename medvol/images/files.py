# SPDX-License-Identifier: Apache-2.0
"""Files as they lie on the disk: may this one be opened, and are all its bytes there and sound."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..failures import path_error
from ..owned import results_in
from .deflate import GZIP, ZLIB, errors, fault, unpacker

CHUNK_BYTES = 1 << 20  # a bomb is found out after this many inflated bytes too many
GZIP_MAGIC = b"\x1f\x8b"
MAX_LINKS = 100_000  # folders that link to each other could be walked in endlessly many orders
COPY_AGAIN = "Copy or download the file again."
# what systems and devices leave in folders beside the user's own files, in lower case
JUNK = frozenset(
    ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "#recycle",
     "system volume information", "lost+found", "icon\r")
)  # fmt: skip
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_WINDOW_BITS = {"gzip": GZIP, "zlib": ZLIB}  # what is around the deflated data


def corrupt(path: Path, reason: str) -> InputError:
    """E_CORRUPT of a file that is to be copied again."""
    return InputError("E_CORRUPT", path, reason, COPY_AGAIN)


def truncated(path: Path, reason: str) -> InputError:
    """E_TRUNCATED of a file that is to be copied again."""
    return InputError("E_TRUNCATED", path, reason, COPY_AGAIN)


def file_size(path: Path) -> int:
    """Bytes of a regular file that may be read; nothing of it is read yet.

    Raises:
        InputError: E_PATH, it does not exist, is a folder, a pipe or a device, or may not be
            opened; E_EMPTY, it has no bytes.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            raise InputError("E_PATH", path, f"this is {kind}, not a file.", "Name an image file.")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise path_error(path, error) from error
    if status.st_size == 0:
        raise InputError("E_EMPTY", path, "the file has 0 bytes.", COPY_AGAIN)
    return status.st_size


def is_web_page(head: bytes) -> bool:
    """Whether a file that begins so is HTML or XML, as a failed download leaves it."""
    return _WEB_PAGE.match(head) is not None


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts names with their numbers counted: case2 before case10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed by wherever folders are searched.

    Args:
        name: one part of a path, without the folders around it.

    Example:
        >>> [is_hidden(name) for name in (".ct_1.nii.gz", "._x", "Thumbs.db", "ct_1.nii.gz")]
        [True, True, True, False]
    """
    return name.startswith((".", "~$")) or name.lower() in JUNK


def children(folder: Path) -> list[Path]:
    """What lies directly inside a folder, numbers in names counted, hidden things passed by.

    Files that medvol wrote as results are passed by too, see `owned.results_in`.

    Raises:
        InputError: E_PATH, no such folder, or one that may not be opened.
    """
    try:
        own = results_in(folder)
        inside = [p for p in folder.iterdir() if not is_hidden(p.name) and p.name not in own]
    except (OSError, ValueError) as error:
        raise path_error(folder, error) from error
    return sorted(inside, key=lambda path: (natural_key(path), path.name))


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, each where it is seen in a listing by name (see `children`).

    Links to files and folders are followed, as if what they lead to lay there. A link to a folder
    that it lies in itself, perhaps by other links, leads in circles and is passed by.

    Raises:
        InputError: E_PATH, no such folder, or one inside it that may not be opened, or more than
            `MAX_LINKS` links to folders.
    """
    followed = 0
    root: tuple[Path, ...] = (folder.resolve(),)
    waiting = [(path, root) for path in children(folder)[::-1]]
    while waiting:
        path, places = waiting.pop()  # `places`: where the links were that led here
        try:
            if not path.is_dir():
                yield path
                continue
            if path.is_symlink():
                target, places = path.resolve(), (*places, path.parent.resolve())
                if any(place.is_relative_to(target) for place in places):
                    continue
                followed += 1
        except OSError as error:
            raise path_error(path, error) from error
        if followed > MAX_LINKS:
            reason = f"it holds more than {MAX_LINKS} links to folders."
            raise InputError("E_PATH", folder, reason, "Name the folders that the links lead to.")
        waiting += [(inside, places) for inside in children(path)[::-1]]


def beside(header: Path, name: str) -> Path:
    """The data file that a header names: in the header's own folder, nowhere else.

    A name whose bytes are not UTF-8 (surrogates stand for them) is also looked for as Latin-1.

    Raises:
        InputError: E_PATH, the name leads out of the folder, or there is no such file.
    """
    if len(Path(name).parts) != 1 or name == "..":
        reason = f"its header names the data file {name!r}, which is not in the header's folder."
        raise InputError("E_PATH", header, reason, "Put both files in one folder, as exported.")
    latin_1 = name.encode("utf-8", "surrogateescape").decode("latin-1")
    for data in (header.parent / name, header.parent / latin_1):
        try:
            os.stat(data)
        except (OSError, ValueError):
            continue
        return data
    reason = f"its header names the data file {name!r}, which is not there."
    raise InputError("E_PATH", header, reason, "Put both files in one folder, as exported.")


@dataclass(frozen=True)
class DataBlock:
    """Where the voxels of an image lie in a file.

    Args:
        path: file that holds them.
        count: bytes of voxels that the header promises.
        start: byte of the file at which the (perhaps compressed) data begins.
        encoding: how the data is stored.
        skip: bytes before the voxels, counted after inflating.
    """

    path: Path
    count: int
    start: int = 0
    encoding: Literal["raw", "gzip", "zlib"] = "raw"
    skip: int = 0

    def pair(self, header: Path) -> tuple[Path, ...]:
        """Header and data file, or nothing where they are one."""
        return () if self.path == header else (header, self.path)


def read_head(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file, inflated when it is gzip; fewer when it is shorter.

    Raises:
        InputError: E_TRUNCATED, E_CORRUPT as in `read_block`.
    """
    with path.open("rb") as file:
        head = file.read(count)
        if not head.startswith(GZIP_MAGIC):
            return head
        file.seek(0)
        inflated = bytearray()
        for chunk in _inflate(file, _WINDOW_BITS["gzip"], path):
            inflated += chunk
            if len(inflated) >= count:
                break
        return bytes(inflated[:count])


def read_block(block: DataBlock) -> npt.NDArray[np.uint8]:
    """All bytes of the voxels, with length and checksum proven.

    A gzip file ends with its inflated length; when that is not what the header promises, the file
    is checked in a first pass that keeps nothing, so that a refusal costs no memory.

    Returns:
        (count,) uint8, writable.

    Raises:
        InputError: E_TRUNCATED, fewer bytes than promised; E_CORRUPT, more bytes than promised,
            a wrong checksum, or something that is not compressed data.
    """
    size = file_size(block.path)
    if block.start > size:
        raise truncated(block.path, f"it ends before byte {block.start}, where its voxels begin.")
    if block.encoding == "raw":
        _compare(block, size - block.start - block.skip)
        return np.fromfile(
            block.path, dtype=np.uint8, count=block.count, offset=block.start + block.skip
        )
    promised = (block.skip + block.count) % 2**32
    if block.encoding == "gzip" and _gzip_length(block.path, size) != promised:
        _fill(block, None)
    voxels = np.empty(block.count, dtype=np.uint8)
    _fill(block, voxels.data)
    return voxels


def unpacked_bytes(path: Path) -> int:
    """Bytes of a file, of a gzip file those that it says it holds; nothing of it is unpacked.

    Raises:
        InputError: as for `file_size`.
        OSError: it cannot be read.
    """
    size = file_size(path)
    with path.open("rb") as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return max(size, _gzip_length(path, size)) if packed else size


def _gzip_length(path: Path, size: int) -> int:
    """Inflated length modulo 2^32 of the last member, from the last four bytes."""
    with path.open("rb") as file:
        file.seek(max(0, size - 4))
        return int.from_bytes(file.read(4), "little")


def _fill(block: DataBlock, voxels: memoryview | None) -> None:
    """Inflate a block to its end, into `voxels` if given, and prove its length and checksum."""
    done = -block.skip
    with block.path.open("rb") as file:
        file.seek(block.start)
        for chunk in _inflate(file, _WINDOW_BITS[block.encoding], block.path):
            part = chunk[max(0, -done) :] if done < 0 else chunk
            begin, done = max(0, done), done + len(chunk)
            if done > block.count:
                break
            if voxels is not None and part:
                voxels[begin:done] = part
    _compare(block, done)


def _compare(block: DataBlock, found: int) -> None:
    if found < block.count:
        reason = f"the header promises {block.count} bytes of voxels but {max(found, 0)} are there."
        raise truncated(block.path, reason)
    if found > block.count:
        reason = f"the file holds more than the {block.count} bytes of voxels its header promises."
        remedy = "Export the image again: header and voxels do not belong together."
        raise InputError("E_CORRUPT", block.path, reason, remedy)


def _inflate(file: BinaryIO, window_bits: int, path: Path) -> Iterator[bytes]:
    """Inflated chunks of one or more gzip members (or one zlib stream), checksums proven."""
    decoder = unpacker(window_bits)
    chunk = file.read(CHUNK_BYTES)
    ended = False  # the file, not the stream
    while True:
        try:
            inflated = decoder.decompress(chunk, CHUNK_BYTES)
        except errors as error:
            reason = f"the compressed data is damaged ({fault(error)})."
            raise corrupt(path, reason) from error
        if inflated:
            yield inflated
        if decoder.eof:
            chunk = decoder.unused_data.lstrip(b"\0")  # zeros after a member are padding
            while not chunk and (more := file.read(CHUNK_BYTES)):
                chunk = more.lstrip(b"\0")
            if not chunk:
                return
            if window_bits == GZIP and not GZIP_MAGIC.startswith(chunk[: len(GZIP_MAGIC)]):
                raise corrupt(path, "the compressed data is damaged (incorrect header check).")
            decoder = unpacker(window_bits)
        elif not (chunk := decoder.unconsumed_tail or file.read(CHUNK_BYTES)):
            if ended and not inflated:
                raise truncated(path, "the compressed data stops before its end.")
            ended = True
