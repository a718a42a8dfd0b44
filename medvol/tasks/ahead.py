# SPDX-License-Identifier: Apache-2.0
"""Work on the next case of a folder while the present one is at another stage; loads no torch."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Any, Generic, TypeVar

from ..errors import InputError
from ..images.files import unpacked_bytes, walk
from ..images.image import Image
from ..progress import unheard

Given = TypeVar("Given")
Got = TypeVar("Got")
# of an image's bytes as its files have them: a copy in float32, and what packed slices hide
COPIES = 4
AT_WORK = 3  # cases at the same time: one that is read, one that is computed, one that is written


class Ahead(Generic[Given, Got]):
    """What a function gives for items, in their order, each when it is asked for.

    `begin` lets a thread work on the next item already. There is one thread, which computes with as
    many of torch's threads as that which began it.

    As a context it waits, at its end, for what the thread is at, so that nothing works on behind
    the back of who goes on. Who is stopped, or wants no more, does not wait here. Python does, when
    it ends: the process that predicts leaves without that, see `engine.serve`.

    Args:
        function: of an item; what it raises is raised where its item is asked for.
        items: taken one by one.
        until: before which nobody hears what the thread tells of its work, see `progress.tell`.

    Example:
        >>> with Ahead(str.upper, ["a", "b"], until=Event()) as ahead:
        ...     ahead.begin()
        ...     list(ahead)
        ['A', 'B']
    """

    def __init__(
        self, function: Callable[[Given], Got], items: Iterable[Given], *, until: Event
    ) -> None:
        self.function, self.items, self.until = function, deque(items), until
        self._begun: tuple[Given, Future[Got]] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Ahead[Given, Got]":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.items.clear()
        if self._thread is not None:
            goes_on = kind is None or issubclass(kind, Exception)
            self._thread.shutdown(wait=goes_on, cancel_futures=True)

    def __iter__(self) -> Iterator[Got]:
        return self

    def __next__(self) -> Got:
        begun, self._begun = self._begun, None
        if begun is None and not self.items:
            raise StopIteration
        try:
            return self.function(self.items.popleft()) if begun is None else begun[1].result()
        except StopIteration as error:  # which would end this iteration without a word
            raise RuntimeError("the work on an item raised StopIteration") from error

    @property
    def begun(self) -> bool:
        """Whether the thread works on the next item, or has done it."""
        return self._begun is not None

    @property
    def following(self) -> Given | None:
        """The next item that nobody works on; None where there is none."""
        return self.items[0] if self.items else None

    def begin(self) -> None:
        """Let the thread work on the next item; nothing where it does, or where there is none."""
        if self._begun is not None or not self.items:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, initializer=_as_many_threads())
        item = self.items.popleft()
        self._begun = item, self._thread.submit(self._aside, item)

    def wait(self) -> None:
        """Wait until the thread has nothing to do."""
        if self._begun is not None:
            wait([self._begun[1]])

    def put_back(self) -> None:
        """Wait for the thread, and forget what came of the next item: it is worked on again."""
        self.wait()
        if self._begun is not None:
            self.items.appendleft(self._begun[0])
            self._begun = None

    def _aside(self, item: Given) -> Got:
        with unheard(self.until):
            return self.function(item)


def bytes_beside(image: Image, following: os.PathLike[str] | str | None) -> int | None:
    """Memory for a case that is read or written beside the one that is at work.

    Args:
        image: that is at work, and is written later.
        following: path of the one that is read meanwhile; None where there is none.

    Returns:
        Bytes; None where nothing is known of the path.
    """
    held = image.array.nbytes + (0 if image.channels is None else image.channels.nbytes)
    if following is None:
        return COPIES * held
    path = Path(following)
    try:
        files = [*walk(path)] if path.is_dir() else [path]
        return COPIES * max(held, sum(map(unpacked_bytes, files)))
    except (InputError, OSError):
        return None


def _as_many_threads() -> Callable[[], Any] | None:
    """What gives a new thread as many of torch's threads as this one has; None without torch."""
    import sys

    if (torch := sys.modules.get("torch")) is None:
        return None
    number = torch.get_num_threads()
    return lambda: torch.set_num_threads(number)
