# SPDX-License-Identifier: Apache-2.0
"""A .zip of DICOM slices: unpacked into a temporary folder that is gone after reading."""

import errno
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import InputError
from ..failures import AWAY, path_error
from ..scratch import TEMPORARY, prefix
from .files import corrupt, is_hidden, truncated
from .image import Image

MAX_INFLATED_BYTES = 4 << 30  # 8,000 slices of 512 x 512
MAX_FILES = 100_000
MAX_RATIO = 100  # CT slices deflate to a half or a third; a bomb to a thousandth
SMALL_BYTES = 64 << 20  # below this no ratio is a danger
LONGEST_NAME = 60  # characters of a folder or file; file systems take 255 bytes
DAMAGED = "the compressed data of the archive is damaged."
UNPACK = "Unpack the archive and give the folder."


def is_zip(head: bytes) -> bool:
    """Whether these first bytes of a file are a zip archive's, full or empty."""
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def load_zip(path: Path, *, series: str | None = None) -> Image:
    """Read the DICOM slices of an archive, whatever folders they lie in.

    Args:
        path: the archive.
        series: SeriesInstanceUID, where it holds several.

    Raises:
        InputError: E_EMPTY, E_FORMAT (encrypted), E_TRUNCATED, E_CORRUPT, E_TOO_BIG, E_PATH (a
            name that leads out of the archive), E_DECODER, E_NOSPACE; and what `load_dicom` says,
            with the member's name in place of the temporary one.
    """
    from .dicom.volume import load_dicom

    with tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY)) as name:
        folder = Path(name)
        members = unpack(path, folder)
        try:
            return of_archive(load_dicom(folder, series=series), path, members)
        except InputError as error:
            member = members.get(Path(error.path))
            fault = path / member if member else path
            raise InputError(error.code, fault, error.reason, error.remedy) from error


def of_archive(image: Image, path: Path, members: Mapping[Path, str]) -> Image:
    """An image that was read from an unpacked archive as one of the archive, which stays.

    Args:
        image: read from files of `members`.
        path: the archive.
        members: as `unpack` gives them.
    """
    inside = [(x, members.get(x.path)) for x in image.instances]
    known = tuple(x._replace(path=path / name) for x, name in inside if name is not None)
    return replace(image, path=path, instances=known if len(known) == len(inside) else ())


@contextmanager
def lying(paths: Sequence[Path]) -> Iterator[dict[Path, Path]]:
    """Where the contents of some files lie while the block lasts: those of an archive unpacked.

    Args:
        paths: of files; of a member of an archive its name below the archive's path.

    Returns:
        Each path to a file that can be opened.

    Raises:
        InputError: as for `load_zip`; E_CHANGED, an archive has no such member any more.
    """
    around = dict.fromkeys(p for path in paths for p in path.parents if p.is_file())
    with ExitStack() as stack:
        found: dict[Path, Path] = {}
        for archive in around:
            scratch = tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY))
            members = unpack(archive, Path(stack.enter_context(scratch)))
            found |= {archive / name: file for file, name in members.items()}
        for path in paths:
            if found.setdefault(path, path) == path and any(p in around for p in path.parents):
                reason = "the archive does not hold it any more."
                raise InputError("E_CHANGED", path, reason, "Run again.")
        yield {path: found[path] for path in paths}


def unpack(path: Path, folder: Path) -> dict[Path, str]:
    """Write every member that is not hidden into a folder, where its name says.

    A member whose name is taken, be it by one that differs in capitals only, lies in a folder of
    its own beside the others.

    Args:
        path: the archive.
        folder: an empty folder.

    Returns:
        File in the folder -> name in the archive.

    Raises:
        InputError: as for `load_zip`: E_CORRUPT, damaged; E_TRUNCATED, cut; E_DECODER, packed with
            a method that Python does not read; E_NOSPACE, no room to unpack it.
    """
    written = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for number, (member, parts) in enumerate(_checked_members(archive, path).items()):
                target = _created(folder, parts, number)
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                written[target] = member.filename
    except (InputError, MemoryError):
        raise
    except zipfile.BadZipFile as error:
        if "not a zip file" in str(error) or "Truncated" in str(error):
            raise truncated(path, "the archive ends before its list of contents.") from error
        raise corrupt(path, f"the archive is damaged ({error}).") from error
    except NotImplementedError as error:  # as zipfile says it
        reason = f"the archive is packed with a method that Python does not read ({error})."
        raise InputError("E_DECODER", path, reason, UNPACK) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a seek to a place that cannot be
            raise corrupt(path, "the archive's list of contents points outside of it.") from error
        if error.errno is None:  # bzip2 says so of its data
            raise corrupt(path, DAMAGED) from error
        if error.errno in AWAY:
            raise path_error(path, error) from error
        reason = f"it could not be unpacked to a temporary folder ({error.strerror})."
        raise InputError("E_NOSPACE", path, reason, "Free some space in TMPDIR.") from error
    except Exception as error:  # zlib, LZMA and odd entries raise errors of their own
        raise corrupt(path, DAMAGED) from error
    return written


def _created(folder: Path, parts: Sequence[str], number: int) -> Path:
    """An empty file below a folder, made where its name says, or where nothing else can be."""
    target = folder.joinpath(*(part[-LONGEST_NAME:] for part in parts))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=False)
    except (FileExistsError, NotADirectoryError):
        target = folder / f"member {number}" / target.name
        target.parent.mkdir(exist_ok=True)
        target.touch(exist_ok=False)
    return target


def _checked_members(
    archive: zipfile.ZipFile, path: Path
) -> dict[zipfile.ZipInfo, tuple[str, ...]]:
    """The files of an archive with the parts of their names; hidden ones are passed by.

    An archive is refused as a whole when any of them is not to be trusted.
    """
    members = {}
    for member in archive.infolist():
        text = member.filename.replace("\\", "/")
        name = PurePosixPath(text)
        if name.is_absolute() or ".." in name.parts or ":" in "".join(name.parts[:1]):
            reason = f"it holds the name {member.filename!r}, which leads out of the archive."
            raise InputError("E_PATH", path, reason, "Do not trust it; ask for the plain files.")
        if text.endswith("/") or any(map(is_hidden, name.parts)):
            continue
        if member.flag_bits & 1:
            raise InputError("E_FORMAT", path, "the archive is encrypted.", UNPACK)
        members[member] = name.parts or ("unnamed",)
    if not members:
        raise InputError("E_EMPTY", path, "the archive holds no files.", "Pack the slices again.")
    inflated = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    too_dense = inflated > SMALL_BYTES and inflated > MAX_RATIO * packed
    if inflated > MAX_INFLATED_BYTES or len(members) > MAX_FILES or too_dense:
        reason = f"the archive would unpack to {len(members)} files of {inflated >> 20} MiB."
        raise InputError("E_TOO_BIG", path, reason, UNPACK)
    return members
