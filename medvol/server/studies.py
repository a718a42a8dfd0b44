# SPDX-License-Identifier: Apache-2.0
"""Images that lie in a folder of studies or in an archive, known to a server as they are now."""

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ..engine.child import Child
from ..engine.limits import Limits
from ..errors import InputError
from ..failures import FAILURES, failure
from ..images.files import walk
from . import indexing
from .images import STUDIES, Images, Stored
from .indexing import Found, signature

AGAIN_S = 60.0  # between two looks
END_S = 1.0  # for a look to end with the server
LIMITS = Limits(600.0)  # of one look
SECRET = "secret"  # file of what ids are made with, so that nobody finds a path by an id
LOG = logging.getLogger(__package__)


class Ids:
    """Ids that stay the same over a restart, and say nothing of what they stand for.

    Args:
        folder: of the server.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / SECRET
        if not path.is_file() or not path.stat().st_size:  # a server was killed here
            path.touch(0o600)
            path.write_text(secrets.token_hex(32), encoding="ascii")
        self.key = path.read_bytes()

    def of(self, *parts: str) -> str:
        """The id of something.

        Args:
            parts: that tell it from everything else.
        """
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()[:32]


class Looking:
    """A thread that looks, now and again, at what there is.

    Args:
        look: what it does; a failure is logged once, and does not end it.
        name: what it looks at, `images.STUDIES` or `images.ARCHIVE`.
    """

    def __init__(self, look: Callable[[], None], name: str) -> None:
        self.look, self.closing = look, threading.Event()
        self.problem: InputError | None = None  # why the last look found nothing new
        self.name = name
        self.first = threading.Event()  # whether it has looked once
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """End it; a look that hangs, since an archive does not answer, is not waited for."""
        self.closing.set()
        self.thread.join(END_S)

    def _run(self) -> None:
        while not self.closing.is_set():
            try:
                self.look()
                self.problem = None
            except FAILURES as error:
                before, self.problem = self.problem, failure(error, self.name)
                if before is None or str(before) != str(self.problem):  # else it is known
                    LOG.warning("%s: %s", self.name, _told(self.problem))
            self.first.set()
            self.closing.wait(AGAIN_S)


def _told(error: InputError) -> str:
    """A failure for the log. What an archive's holds names no patient; of a folder's only the code
    is known to be free of names."""
    if error.code == "E_ARCHIVE":
        return f"{error.code}: {error.reason} {error.remedy}"
    return error.code


class Studies:
    """The images below a folder.

    Args:
        top: the folder.
        images: that get them.
        ids: of a server.
    """

    def __init__(self, top: Path, images: Images, ids: Ids) -> None:
        self.top, self.images, self.ids = top, images, ids
        self.seen = ""
        self.child: Child | None = None

    def look(self) -> None:
        """Know the images as they are now; quick where no file came, went or changed.

        Raises:
            InputError: the folder cannot be searched, or the process that does it died.
        """
        seen = self._fingerprint()
        if seen == self.seen:
            return
        with Child(f"{indexing.__name__}:start", limits=LIMITS) as self.child:
            found: list[Found] = self.child.ask(str(self.top), name=lambda _: "studies")
        self.images.list_anew(STUDIES, map(self._stored, found))
        self.seen = seen

    def close(self) -> None:
        """End the process that searches, if one does."""
        if self.child is not None:
            self.child.kill()

    def _stored(self, found: Found) -> Stored:
        id_ = self.ids.of(STUDIES, found.name, found.series)
        stored = Stored(
            id_, Path(found.path), found.name, "", found.size_bytes, found.changed, found.series,
            STUDIES, found.study, found.modalities, found.description,
        )  # fmt: skip
        return self.images.known_as(stored)

    def _fingerprint(self) -> str:
        """What is another one when a file came, went or changed."""
        return hashlib.sha256(repr(sorted(_listed(walk(self.top)))).encode()).hexdigest()


def is_as_known(stored: Stored) -> bool:
    """Whether an image of a folder of studies is as it was when it was looked at.

    Args:
        stored: the image.
    """
    try:
        return signature(stored.path) == (stored.size_bytes, stored.since)
    except OSError:
        return False


def _listed(paths: Iterable[Path]) -> Iterable[tuple[str, int, int]]:
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            yield str(path), status.st_size, status.st_mtime_ns
