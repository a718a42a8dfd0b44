# SPDX-License-Identifier: Apache-2.0
"""Images that a server has: those that were sent, in folders of its own, and those of studies.

An id says nothing about an image, and nobody guesses it.
"""

import hashlib
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from ..errors import InputError
from ..failures import write_error
from ..files import read_json, write_json
from ..images.formats import format_of
from .refusals import Missing

ID = re.compile(r"[0-9a-f]{32}")
RECORD = "image.json"
# ends of names by which readers know a format; another name is read by its content
SUFFIX = re.compile(r"((\.seg)?\.nrrd|\.nii(\.gz)?|\.(mha|zip|dcm|png|jpe?g|tiff?|bmp|mnc|gipl))$")
LONGEST_NAME = 200
UPLOAD, STUDIES, ARCHIVE = "upload", "studies", "archive"
LEFT_BYTES = 256 << 20  # of the disk, that stay free for results and for others
LOOK_BYTES = 16 << 20  # between two looks at the disk
REMEDY = "Send one series alone, or ask who runs the server."


@dataclass(frozen=True)
class Stored:
    """An image that a server has.

    Args:
        id: 32 hexadecimal digits, which nobody guesses.
        path: of its file, or of a folder of slices.
        name: as its sender called it; shown, but in no log and in no path.
        sha256: of its content; empty where nobody has looked yet.
        size_bytes: of its file, or of all in its folder.
        since: when it came, seconds since 1970.
        series: SeriesInstanceUID, where it is one of several at its path; or empty.
        origin: "upload", "studies", "archive" or "datastore"; all but the first lie elsewhere.
        study: StudyInstanceUID, where it is known; or empty.
        modalities: that it may be of, as `Spec.modality` has them; none where that is not known.
        description: of the series, in words; or empty.
    """

    id: str
    path: Path
    name: str
    sha256: str
    size_bytes: int
    since: float
    series: str = ""
    origin: str = UPLOAD
    study: str = ""
    modalities: tuple[str, ...] = ()
    description: str = ""

    @property
    def is_lent(self) -> bool:
        """Whether it lies elsewhere, and is not the server's to delete."""
        return self.origin != UPLOAD


class Receiving:
    """An image while it comes; a stream that is only written to, as `zipfile` takes one.

    Args:
        stream: of the file.
        folder: that it lies in.
        largest_bytes: that it may have.
    """

    def __init__(self, stream: IO[bytes], folder: Path, largest_bytes: int) -> None:
        self.stream, self.folder, self.largest_bytes = stream, folder, largest_bytes
        self.size_bytes, self.hash = 0, hashlib.sha256()
        self.looked_at = -LOOK_BYTES
        self.stored: Stored | None = None

    def write(self, part: bytes) -> int:
        """Take the next bytes.

        Returns:
            How many.

        Raises:
            InputError: E_TOO_BIG, they are too many; E_NOSPACE, the disk is full.
        """
        self.size_bytes += len(part)
        if self.size_bytes > self.largest_bytes:
            raise too_big(self.largest_bytes)
        if self.size_bytes - self.looked_at >= LOOK_BYTES:
            self.looked_at = self.size_bytes
            check_disk(self.folder, len(part))
        self.hash.update(part)
        return self.stream.write(part)

    def flush(self) -> None:
        """Nothing waits here."""


class Images:
    """Images of a server; safe to use from several threads.

    Args:
        folder: those that are sent are kept in.
        largest_bytes: of one.
    """

    def __init__(self, folder: Path, *, largest_bytes: int) -> None:
        self.folder, self.largest_bytes = folder, largest_bytes
        self.lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.found = {stored.id: stored for stored in self._on_disk()}
        self.listed: dict[str, set[str]] = {}
        self.received_bytes = 0

    @contextmanager
    def receiving(self, name: str, *, expected_bytes: int = 0) -> Iterator[Receiving]:
        """Take an image as it comes; it is there when the block ends well, else nothing stays.

        Args:
            name: as its sender calls it.
            expected_bytes: that are announced, so that too many are refused at once.

        Raises:
            InputError: E_EMPTY, nothing came; E_TOO_BIG, too much; E_NOSPACE, the disk is full.
        """
        if expected_bytes > self.largest_bytes:
            raise too_big(self.largest_bytes)
        check_disk(self.folder, expected_bytes)
        id_ = secrets.token_hex(16)
        folder = self.folder / id_
        shown = _shown(name)
        suffix = SUFFIX.search(shown.lower())
        path = folder / f"image{suffix[0] if suffix else ''}"
        try:
            folder.mkdir()
            with path.open("wb") as stream:
                coming = Receiving(stream, folder, self.largest_bytes)
                yield coming
            if not coming.size_bytes:
                raise InputError("E_EMPTY", UPLOAD, "it has no bytes.", "Send the image again.")
            sha256 = coming.hash.hexdigest()
            stored = Stored(id_, path, shown, sha256, coming.size_bytes, time.time(),
                            modalities=modalities_of(path))  # fmt: skip
            write_json(folder / RECORD, {**asdict(stored), "path": path.name})
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise write_error(UPLOAD, error) from error
            raise
        with self.lock:
            self.found[id_] = coming.stored = stored
            self.received_bytes += coming.size_bytes

    def lend(
        self, path: Path, name: str, *, sha256: str, origin: str, series: str = ""
    ) -> Stored:  # fmt: skip
        """Know an image that lies elsewhere, and is not deleted with those that were sent.

        Args:
            path: of its file or folder.
            name: as it is shown.
            sha256: of its content.
            origin: such as "datastore"; not "upload".
            series: as for `Stored`.

        Returns:
            It has the same id for the same path, series and content, also after a restart.
        """
        said = "\n".join((origin, str(path), series, sha256))
        id_ = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        with self.lock:
            if id_ in self.found:
                return self.found[id_]
            size = path.stat().st_size if path.is_file() else 0
            stored = Stored(id_, path, _shown(name), sha256, size, time.time(), series, origin,
                            modalities=modalities_of(path) if path.is_file() else ())  # fmt: skip
            (self.folder / id_).mkdir(exist_ok=True)
            write_json(self.folder / id_ / RECORD, {**asdict(stored), "path": str(path)})
            self.found[id_] = stored
        return stored

    def all(self) -> list[Stored]:
        """All images, the newest first."""
        with self.lock:
            return sorted(self.found.values(), key=lambda stored: -stored.since)

    def get(self, id_: str) -> Stored:
        """One image.

        Raises:
            Missing: there is none of this id.
        """
        with self.lock:
            if id_ not in self.found:
                raise Missing("image")
            return self.found[id_]

    def by_series(self, uid: str) -> Stored:
        """The image that is a DICOM series.

        Args:
            uid: SeriesInstanceUID.

        Raises:
            Missing: there is none.
        """
        with self.lock:
            for stored in self.found.values():
                if uid and stored.series == uid:
                    return stored
        raise Missing("image")

    def list_anew(self, origin: str, images: Iterable[Stored]) -> None:
        """Know the images of a folder or an archive as they are now, and forget those that went.

        Args:
            origin: of all of them, `STUDIES` or `ARCHIVE`.
            images: each with the id that it had before.
        """
        new = {stored.id: stored for stored in images}
        with self.lock:
            for id_ in self.listed.get(origin, set()).difference(new):
                self.found.pop(id_, None)
            self.listed[origin] = {*new}
            self.found.update(new)

    def known_as(self, stored: Stored) -> Stored:
        """The same with what was found out about it before, where it has not changed since.

        Args:
            stored: of a folder or an archive, as it is now.
        """
        with self.lock:
            before = self.found.get(stored.id)
        if before is None or before.since != stored.since:
            return stored
        if stored.origin == STUDIES and before.size_bytes != stored.size_bytes:
            return stored
        return replace(
            stored, sha256=before.sha256, path=before.path, size_bytes=before.size_bytes
        )  # fmt: skip

    def update(self, id_: str, **fields: object) -> Stored:
        """Write down what was found out about an image of a study.

        Args:
            id_: of the image.
            fields: of `Stored`.

        Raises:
            Missing: there is none of this id.
        """
        with self.lock:
            if id_ not in self.found:
                raise Missing("image")
            self.found[id_] = replace(self.found[id_], **fields)  # type: ignore[arg-type]
            return self.found[id_]

    def remove(self, id_: str) -> None:
        """Delete one image; of one that lies elsewhere, what is known of it.

        Raises:
            Missing: there is none of this id.
        """
        with self.lock:
            if self.found.pop(id_, None) is None:
                raise Missing("image")
        shutil.rmtree(self.folder / id_, ignore_errors=True)

    def _on_disk(self) -> Iterator[Stored]:
        """What an earlier server kept; what came only in part is deleted."""
        for folder in [*self.folder.iterdir()]:
            if not ID.fullmatch(folder.name):
                continue
            with suppress(InputError, KeyError, TypeError, ValueError):
                row = read_json(folder / RECORD, what="record of an image", remedy="Send it again.")
                place = Path(row["path"])
                stored = Stored(**{**row, "path": place, "modalities": tuple(row["modalities"])})
                if not stored.is_lent:
                    stored = replace(stored, path=folder / place.name)
                is_there = stored.path.exists() if stored.is_lent else stored.path.is_file()
                if stored.id == folder.name and is_there:
                    yield stored
                    continue
            shutil.rmtree(folder, ignore_errors=True)


def modalities_of(path: Path) -> tuple[str, ...]:
    """What a file may hold, by its format, as `Spec.modality` has it; nothing where that is open.

    Args:
        path: of a file, of which only the first bytes are looked at.
    """
    try:
        form = format_of(path)
    except (InputError, OSError):
        return ()
    if form is None or form.several:  # DICOM and archives may hold anything
        return ()
    volume = ("CT", "MR") if form.volume else ()
    return (*volume, *(("XR",) if form.radiograph else ()), *(("MR",) if form.slices else ()))


def check_disk(folder: Path, more_bytes: int) -> None:
    """Refuse what would fill the disk.

    Args:
        folder: on it.
        more_bytes: that are to come.

    Raises:
        InputError: E_NOSPACE, too little would stay free.
    """
    free = shutil.disk_usage(folder).free
    if free - more_bytes < LEFT_BYTES:
        reason = f"the server's disk is full ({free / 1e9:.1f} GB are free)."
        raise InputError("E_NOSPACE", UPLOAD, reason, "Delete jobs, or ask who runs the server.")


def too_big(largest_bytes: int) -> InputError:
    """The refusal of an upload.

    Args:
        largest_bytes: that one may have.
    """
    reason = f"it has more than {largest_bytes / 1e9:.3g} GB, the most this server takes."
    return InputError("E_TOO_BIG", UPLOAD, reason, REMEDY)


def _shown(name: str) -> str:
    """A file's name without folders and without what a page or a terminal would obey."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(letter for letter in last if letter.isprintable())
    return plain[-LONGEST_NAME:] or "image"
