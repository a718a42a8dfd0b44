# SPDX-License-Identifier: Apache-2.0
"""Images that a server was sent, each in a folder of its own under an id that says nothing."""

import hashlib
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from ..errors import InputError
from ..files import read_json, write_json

ID = re.compile(r"[0-9a-f]{32}")
RECORD = "image.json"
# ends of names by which readers know a format; another name is read by its content
SUFFIX = re.compile(r"((\.seg)?\.nrrd|\.nii(\.gz)?|\.(mha|zip|dcm|png|jpe?g|tiff?|bmp|mnc|gipl))$")
LONGEST_NAME = 200


@dataclass(frozen=True)
class Stored:
    """An image that a server has.

    Args:
        id: 32 hexadecimal digits, which nobody guesses.
        path: of its file, or of a folder of slices.
        name: as its sender called it; shown, but in no log and in no path.
        sha256: of its content.
        size_bytes: of its file.
        since: when it came, seconds since 1970.
        series: SeriesInstanceUID, where it is one of several at its path; or empty.
        origin: "upload", "studies", "archive" or "datastore"; all but the first lie elsewhere.
    """

    id: str
    path: Path
    name: str
    sha256: str
    size_bytes: int
    since: float
    series: str = ""
    origin: str = "upload"

    @property
    def is_lent(self) -> bool:
        """Whether it lies elsewhere, and is not the server's to delete."""
        return self.origin != "upload"


class Receiving:
    """An image while it comes.

    Args:
        stream: of the file.
        largest_bytes: that it may have.
    """

    def __init__(self, stream: IO[bytes], largest_bytes: int) -> None:
        self.stream, self.largest_bytes = stream, largest_bytes
        self.size_bytes, self.hash = 0, hashlib.sha256()
        self.stored: Stored | None = None

    def write(self, part: bytes) -> None:
        """Take the next bytes.

        Raises:
            InputError: E_TOO_BIG, they are too many.
        """
        self.size_bytes += len(part)
        if self.size_bytes > self.largest_bytes:
            raise InputError(
                "E_TOO_BIG", "upload",
                f"it has more than {self.largest_bytes / 1e9:.1f} GB, the most this server takes.",
                "Send one series alone, or ask who runs the server.",
            )  # fmt: skip
        self.hash.update(part)
        self.stream.write(part)


class Images:
    """Images that were sent; safe to use from several threads.

    Args:
        folder: they are kept in.
        largest_bytes: of one.
    """

    def __init__(self, folder: Path, *, largest_bytes: int) -> None:
        self.folder, self.largest_bytes = folder, largest_bytes
        self.lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.found = {stored.id: stored for stored in self._on_disk()}

    @contextmanager
    def receiving(self, name: str) -> Iterator[Receiving]:
        """Take an image as it comes; it is there when the block ends well, else nothing stays.

        Args:
            name: as its sender calls it.

        Raises:
            InputError: E_EMPTY, nothing came; E_TOO_BIG, too much; E_NOSPACE, the disk is full.
        """
        id_ = secrets.token_hex(16)
        folder = self.folder / id_
        shown = _shown(name)
        suffix = SUFFIX.search(shown.lower())
        path = folder / f"image{suffix[0] if suffix else ''}"
        try:
            folder.mkdir()
            with path.open("wb") as stream:
                coming = Receiving(stream, self.largest_bytes)
                yield coming
            if not coming.size_bytes:
                raise InputError("E_EMPTY", "upload", "it has no bytes.", "Send the image again.")
            sha256 = coming.hash.hexdigest()
            stored = Stored(id_, path, shown, sha256, coming.size_bytes, time.time())
            write_json(folder / RECORD, {**asdict(stored), "path": path.name})
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                from ..files import write_failure

                raise write_failure(error, Path("upload")) from error
            raise
        with self.lock:
            self.found[id_] = coming.stored = stored

    def lend(
        self, path: Path, name: str, *, sha256: str, origin: str, series: str = ""
    ) -> Stored:  # fmt: skip
        """Know an image that lies elsewhere, and is not deleted with those that were sent.

        Args:
            path: of its file or folder.
            name: as it is shown.
            sha256: of its content.
            origin: "studies", "archive" or "datastore"; not "upload".
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
            stored = Stored(id_, path, _shown(name), sha256, size, time.time(), series, origin)
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
            KeyError: there is none of this id.
        """
        with self.lock:
            return self.found[id_]

    def remove(self, id_: str) -> None:
        """Delete one image; of one that lies elsewhere, what is known of it.

        Raises:
            KeyError: there is none of this id.
        """
        with self.lock:
            del self.found[id_]
        shutil.rmtree(self.folder / id_, ignore_errors=True)

    def _on_disk(self) -> Iterator[Stored]:
        """What an earlier server kept; what came only in part is deleted."""
        for folder in self.folder.iterdir():
            if not ID.fullmatch(folder.name):
                continue
            with suppress(InputError, KeyError, TypeError, ValueError):
                row = read_json(folder / RECORD, what="record of an image", remedy="Send it again.")
                stored = Stored(**{**row, "path": folder / Path(row["path"]).name})
                if stored.is_lent:
                    stored = replace(stored, path=Path(row["path"]))
                is_there = stored.path.exists() if stored.is_lent else stored.path.is_file()
                if stored.id == folder.name and is_there:
                    yield stored
                    continue
            shutil.rmtree(folder, ignore_errors=True)


def _shown(name: str) -> str:
    """A file's name without folders and without what a page or a terminal would obey."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(letter for letter in last if letter.isprintable())
    return plain[-LONGEST_NAME:] or "image"
