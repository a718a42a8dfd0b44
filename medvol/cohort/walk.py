# SPDX-License-Identifier: Apache-2.0
"""A tree of folders, looked into by several processes, with what was read kept in a file.

That holds a line a folder, so that a search which was stopped goes on, and a later one reads the
headers only in folders in which something changed.
"""

import json
import multiprocessing
import os
import signal
import threading
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..errors import InputError
from ..failures import AWAY, path_error
from ..files import replacing, write_failure
from .scan import Found, list_folder, look_into

FORMAT = 1
BATCH = 16  # folders that a process gets at once: many hold one file
AHEAD = 3  # batches a process, so that none waits


class Kept:
    """What was read of a tree, in a file: a line a folder, each behind its checksum.

    Args:
        path: of the file; what another version of medvol, or the search of another tree, left there
            is replaced.
        root: of the tree.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.signs: dict[str, str] = {}  # by folder, see `Found`
        self._places: dict[str, int] = {}  # in the file
        self._about = json.dumps({"format": FORMAT, "medvol": __version__, "root": str(root)})
        try:
            self._file = open(path, "a+b")  # noqa: SIM115
            self._read()
        except OSError as error:
            raise write_failure(error, path) from error

    def _read(self) -> None:
        self._file.seek(0)
        if _content(self._file.readline()) != self._about:
            self._file.truncate(0)
            self._write(self._about)
        for text in iter(lambda: self._file.readline(), b""):
            place = self._file.tell() - len(text)
            if not text.endswith(b"\n"):  # the process was killed
                self._file.truncate(place)
            elif line := _content(text):
                found = Found.from_text(line)
                self.signs[found.folder], self._places[found.folder] = found.sign, place

    def add(self, folder: str, sign: str, line: str) -> None:
        """Keep what was found in a folder.

        Args:
            folder, sign: of what was found.
            line: of it, see `Found.as_text`.

        Raises:
            InputError: E_NOSPACE, the file cannot be written.
        """
        try:
            self._places[folder] = self._write(line)
        except OSError as error:
            raise write_failure(error, self.path) from error
        self.signs[folder] = sign

    def _write(self, line: str) -> int:
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(_sealed(line))
        self._file.flush()
        return place

    def found(self, folder: str) -> Found:
        """What was found in a folder, the last time."""
        self._file.seek(self._places[folder])
        return Found.from_text(_content(self._file.readline()))

    def close(self, present: Collection[str] = ()) -> None:
        """End, and write the lines of some folders alone, where there are others.

        Raises:
            InputError: E_NOSPACE, the file cannot be written.
        """
        if present and len(present) < len(self._places):
            with replacing(self.path) as temporary, temporary.open("wb") as file:
                file.write(_sealed(self._about))
                file.writelines(_sealed(self.found(folder).as_text()) for folder in present)
        with suppress(OSError):  # of the line that could not be written
            self._file.close()


def _sealed(line: str) -> bytes:
    data = line.encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _content(sealed: bytes) -> str:
    """The line behind its checksum; "" where it is damaged."""
    crc, _, data = sealed.removesuffix(b"\n").partition(b" ")
    return data.decode("ascii") if crc == b"%08x" % zlib.crc32(data) else ""


class _Reply(NamedTuple):
    """Of a folder that was looked into.

    Args:
        folder: below the root.
        place: see `Listing`; None where it may not be opened.
        folders: paths below the root of those in it.
        links: those that are links.
        files: in it.
        sign, line: what is to be kept; the line is empty where nothing changed.
    """

    folder: str
    place: int | None = None
    folders: Sequence[str] = ()
    links: Sequence[str] = ()
    files: int = 0
    sign: str = ""
    line: str = ""


def search(
    root: Path,
    kept: Kept,
    *,
    workers: int = 1,
    heard: Callable[[int], object] = lambda _: None,
) -> tuple[list[str], list[str]]:
    """Look into all folders below one, each once.

    Links are followed where they lead to folders that are not reached without them.

    Args:
        root: the outermost folder.
        kept: knows what was read before, and gets what is read.
        workers: processes; 1 for this one alone.
        heard: is called with the number of further files that were looked at.

    Returns:
        The folders below the root, and those that may not be opened.

    Raises:
        InputError: E_PATH, the root may not be opened, or the disk or network share does not
            answer; E_NOSPACE, what was read cannot be kept; E_FAILED, a process died.
    """
    queue, links = deque([("", False)]), list[str]()
    seen, present, closed = set[int](), list[str](), list[str]()
    waiting: dict[Future[list[_Reply]], dict[str, bool]] = {}
    with _processes(workers) as pool:
        try:
            while queue or waiting or links:
                if not queue and not waiting:
                    queue.extend((folder, True) for folder in sorted(links))
                    links.clear()
                while queue and len(waiting) < AHEAD * workers:
                    size = max(1, min(BATCH, len(queue) // workers))
                    batch = dict(queue.popleft() for _ in range(size))
                    signs = [(folder, kept.signs.get(folder, "")) for folder in batch]
                    waiting[pool.submit(_look, root, signs)] = batch
                for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                    linked = waiting.pop(done)
                    for reply in done.result():
                        by_link = linked[reply.folder]
                        if reply.place is None:
                            closed.append(reply.folder)
                        elif not (by_link and reply.place in seen):
                            seen.add(reply.place)
                            present.append(reply.folder)
                            if reply.line:
                                kept.add(reply.folder, reply.sign, reply.line)
                            queue.extend((folder, by_link) for folder in reply.folders)
                            links += reply.links
                            heard(reply.files)
        except BrokenProcessPool as error:
            reason = "a process that read headers died."
            remedy = "Run the same command again: it goes on; --workers 1 needs least memory."
            raise InputError("E_FAILED", root, reason, remedy) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return present, closed


def _look(root: Path, batch: Sequence[tuple[str, str]]) -> list[_Reply]:
    """Look into some folders, given with the signs that they had before."""
    replies = []
    for folder, sign in batch:
        try:
            listing = list_folder(root / folder)
            line = "" if listing.sign == sign else look_into(root, folder, listing).as_text()
        except OSError as error:
            if not folder or error.errno in AWAY:
                raise path_error(root / folder, error) from error
            replies.append(_Reply(folder))
            continue
        inside = f"{folder}/" if folder else ""
        folders, links = ([inside + name for name in names] for names in listing[2:4])
        files = len(listing.files)
        replies.append(_Reply(folder, listing.place, folders, links, files, listing.sign, line))
    return replies


class _Alone(Executor):
    """This process, as if it were several."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@contextmanager
def _processes(number: int) -> Iterator[Executor]:
    if number == 1:
        yield _Alone()
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, mp_context=context, initializer=_begin) as pool:
        yield pool


def _begin() -> None:
    """In a process: Ctrl-C is the parent's alone, and without it nothing goes on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
