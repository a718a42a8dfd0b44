# SPDX-License-Identifier: Apache-2.0
"""A packed bundle from elsewhere, unpacked into a private folder that is gone afterwards."""

import shutil
import stat
import tempfile
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..bundle.find import home_folder
from ..errors import InputError
from ..failures import AWAY, path_error, write_error
from ..manifest import NAME
from ..names import is_device, is_inside
from ..scratch import prefix, remove, sweep_left
from .zip_layout import AGAIN, DEFLATED, Member, read_layout

MOST_BYTES = (4 << 30) - 1  # of a bundle: the largest without zip64; the zoo's largest has 2 GB
MOST_FILE_BYTES = 2 << 30  # of a file in it: weights have 5 MB to 1 GB
MOST_RATIO = 100  # weights deflate to 0.9, JSON to a tenth; a bomb to a thousandth
SMALL_BYTES = 16 << 20  # below this no ratio is a danger
MOST_PARTS = 16  # of a name: vendored code lies seven folders deep
LONGEST_NAME = 200  # characters: Windows takes 260 with the folders above
CHUNK_BYTES = 1 << 20
_FOLDER, _LINK = 0x10, 0x400  # bits of the attributes of files on Windows


def quarantine_folder() -> Path:
    """Where packed bundles are unpacked before anything is known of them."""
    return home_folder() / "quarantine"


@contextmanager
def quarantined(path: Path) -> Iterator[Path]:
    """Unpack a packed bundle into a folder that only this user may enter; it goes with the block.

    The file is opened once: what replaces it meanwhile is not seen. Nothing of it is executed, and
    its manifest is not looked at, see `sealed.read_sealed`. A file that is refused leaves nothing.
    What the block refuses in the folder is named as lying in the file.

    Args:
        path: of the .zip.

    Returns:
        The one folder in it, with the bundle's name; what is in it may be moved away.

    Raises:
        InputError: as for `zip_layout.read_layout`; E_PATH, there is no such file, or a name in it
            leads out, stands twice, or is a link or device; E_TOO_BIG, it is or inflates to more
            than a bundle has; E_NOSPACE, there is no room.
    """
    root = quarantine_folder()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep_left(root)
        folder = Path(tempfile.mkdtemp(prefix=prefix(), dir=root))
    except OSError as error:
        raise write_error(root, error) from error
    try:
        yield _unpacked(path, folder)
    except InputError as error:
        if not Path(error.path).is_relative_to(folder):
            raise
        place = path / Path(error.path).relative_to(folder)
        raise InputError(error.code, place, error.reason, error.remedy) from error
    finally:
        remove(folder)


def _unpacked(path: Path, folder: Path) -> Path:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError("E_PATH", path, "it is not a file.", "Name a packed bundle, a .zip.")
        with path.open("rb") as file:
            members = read_layout(file, path)
            top = _top(members, path)
            _check_sizes(members, path, shutil.disk_usage(folder).free)
            for member in members:
                if not member.is_folder:
                    _inflate(file, member, folder / member.name, path)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in AWAY or error.filename == str(path):
            raise path_error(path, error) from error
        raise write_error(folder, error) from error
    return folder / top


def _top(members: Sequence[Member], path: Path) -> str:
    """The one folder in which all members lie, where no name is a danger."""
    spelled: dict[str, str] = {}  # names as systems compare them -> as they are written
    files, folders = set[str](), set[str]()
    for member in members:
        name = member.name.removesuffix("/")
        if reason := _oddity(name, member):
            raise InputError("E_PATH", path, f"{member.name!r} in it {reason}.", AGAIN)
        parts = name.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        taken = name in files or (name in folders and not member.is_folder)
        if taken or any(spelled.setdefault(_compared(x), x) != x for x in [*above, name]):
            reason = f"the name {name!r} in it is taken, perhaps in other letters."
            raise InputError("E_PATH", path, reason, AGAIN)
        folders.update([*above, name] if member.is_folder else above)
        files.update(() if member.is_folder else (name,))
    if both := files & folders:
        reason = f"{min(both)!r} in it is a file and a folder."
        raise InputError("E_PATH", path, reason, AGAIN)
    tops = {name.partition("/")[0] for name in files | folders}
    if len(tops) != 1 or not files or files & tops:
        raise InputError("E_BUNDLE", path, "it is not one folder with a bundle in it.", AGAIN)
    top = tops.pop()
    if not NAME.fullmatch(top):
        raise InputError("E_BUNDLE", path, f"{top!r} is not a name of a bundle.", AGAIN)
    return top


def _oddity(name: str, member: Member) -> str | None:
    """What makes a member one that is never unpacked; None for plain files and folders."""
    if not is_inside(name):
        return "leads out of the archive, or is not a name on every system"
    parts = name.split("/")
    if any(map(is_device, parts)):
        return "is a device on Windows"
    if len(parts) > MOST_PARTS or len(name) > LONGEST_NAME:
        return f"is deeper than {MOST_PARTS} folders or longer than {LONGEST_NAME} characters"
    kind = stat.S_IFMT(member.attributes >> 16)
    right = stat.S_IFDIR if member.is_folder else stat.S_IFREG
    if kind not in (0, right) or member.attributes & _LINK:
        return "is a link, a device or something else that is not a file"
    if member.size if member.is_folder else member.attributes & _FOLDER:
        return "is a file and a folder"
    return None


def _compared(name: str) -> str:
    """A name as the systems compare it that care least: without capitals, marks composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _check_sizes(members: Sequence[Member], path: Path, free: int) -> None:
    """Refuse an archive that says of itself that it is too large; `free` are bytes of the disk."""
    total = sum(member.size for member in members)
    packed = sum(member.packed for member in members)
    dense = next((m.name for m in members if _is_dense(m.size, m.packed)), None)
    if total > MOST_BYTES:
        reason = f"it would unpack to {total >> 20} MiB; a bundle has at most {MOST_BYTES >> 20}."
    elif large := next((m.name for m in members if m.size > MOST_FILE_BYTES), None):
        reason = f"{large!r} in it has more than {MOST_FILE_BYTES >> 20} MiB."
    elif dense or _is_dense(total, packed):
        reason = f"{dense or 'it'} would inflate more than {MOST_RATIO} times, as no bundle does."
    elif total > free:
        reason = f"it unpacks to {total >> 20} MiB, and the disk has {free >> 20} MiB left."
        remedy = "Free some space, or set MEDVOL_HOME to a folder on another disk."
        raise InputError("E_NOSPACE", path, reason, remedy)
    else:
        return
    raise InputError("E_TOO_BIG", path, reason, AGAIN)


def _is_dense(size: int, packed: int) -> bool:
    return size > SMALL_BYTES and size > MOST_RATIO * max(1, packed)


def _inflate(file: BinaryIO, member: Member, target: Path, path: Path) -> None:
    """Write a member's content, and not a byte more than the archive says."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = crc = 0
    with target.open("xb") as sink:
        for piece in _pieces(file, member, path):
            size += len(piece)
            if size > member.size:
                break
            crc = zlib.crc32(piece, crc)
            sink.write(piece)
    if (size, crc) != (member.size, member.crc):
        raise _damaged(member, path)


def _pieces(file: BinaryIO, member: Member, path: Path) -> Iterator[bytes]:
    """The content of a member, at most `CHUNK_BYTES` at a time."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == DEFLATED else None
    left = member.packed
    file.seek(member.data)
    while left:
        if not (chunk := file.read(min(left, CHUNK_BYTES))):
            raise InputError("E_TRUNCATED", path, "it became shorter while it was read.", AGAIN)
        left -= len(chunk)
        if inflater is None:
            yield chunk
            continue
        try:
            yield (piece := inflater.decompress(chunk, CHUNK_BYTES))
            while len(piece) == CHUNK_BYTES:  # there may be more
                yield (piece := inflater.decompress(inflater.unconsumed_tail, CHUNK_BYTES))
        except zlib.error as error:
            raise _damaged(member, path) from error
        if inflater.unused_data:
            break
    if inflater and (not inflater.eof or inflater.unused_data or left):
        raise _damaged(member, path)


def _damaged(member: Member, path: Path) -> InputError:
    reason = f"{member.name!r} in it is not what the archive says, or is damaged."
    return InputError("E_CORRUPT", path, reason, AGAIN)
