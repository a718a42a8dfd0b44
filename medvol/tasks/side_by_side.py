# SPDX-License-Identifier: Apache-2.0
"""Volumes of a folder side by side: one is read and one is written while one is computed."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Generic, TypeVar

from ..answer import Answer
from ..errors import InputError
from ..images.image import Image
from .ahead import Ahead
from .cases import Case

Said = TypeVar("Said")
SCARCE = ("E_TOO_BIG", "E_NOSPACE")  # what is refused for want of memory or disk


@dataclass(frozen=True)
class Stages(Generic[Said]):
    """What is done with a volume, one after the other; each gives an `InputError` to refuse it.

    Args:
        read: gives the case with its image; or what is said of one that is not computed.
        compute: gives the answer to a case that was read.
        write: writes the files of an answer, and gives what is said of it.
        has_room: whether a volume can be computed while the case behind it is read; or, without
            such a case, while another is written.
    """

    read: Callable[[Case], Case | Said | InputError]
    compute: Callable[[Case], Answer | InputError]
    write: Callable[[Case, Answer], Said | InputError]
    has_room: Callable[[Image, Case | None], bool]


class SideBySide(Generic[Said]):
    """What is said of volumes, one after the other.

    Where there is room the next one is read while the network runs, and computed while the files of
    this one are written. What fails beside another, since memory or disk are too small for both, is
    tried again alone.

    Args:
        stages: of each volume.
        cases: the volumes.
    """

    def __init__(self, stages: Stages[Said], cases: Sequence[Case]) -> None:
        self.stages, self.cases = stages, cases
        self.nothing_written = Event()  # no volume's files are written while the next is computed
        self.nothing_written.set()
        self.reads = Ahead(stages.read, cases, until=Event())
        self.answers = Ahead(self._computed, cases, until=self.nothing_written)

    def __iter__(self) -> Iterator[Said | InputError]:
        with collecting() as collect, self.reads, self.answers:
            try:
                for case in self.cases:
                    found = next(self.answers)
                    if isinstance(found, Answer):
                        found = self._written(case, found)  # image and mask are not kept
                        if len(self.cases) > 1:
                            collect()
                    self.nothing_written.set()
                    yield found
            finally:
                self.nothing_written.set()  # for a thread that waits for it

    def _written(self, case: Case, answer: Answer) -> Said | InputError:
        """What is said of an answer once its files are written; the next is computed meanwhile."""
        if self.answers.following is not None and self.stages.has_room(answer.image, None):
            self.nothing_written.clear()
            self.answers.begin()
        said = self.stages.write(case, answer)
        if self.answers.begun and _lacks_room(said):
            self.nothing_written.set()
            self.answers.wait()
            self.reads.put_back()
            said = self.stages.write(case, answer)
        return said

    def _computed(self, case: Case) -> Answer | Said | InputError:
        """What was found in a case; the next one is read meanwhile."""
        beside = self.reads.begun or not self.nothing_written.is_set()
        read = next(self.reads)
        if beside and _lacks_room(read):
            self.nothing_written.wait()
            read = self.stages.read(case)
        if not isinstance(read, Case):
            return read
        beside = self._read_next(read)
        answer = self.stages.compute(read)
        if beside and _lacks_room(answer):
            self.reads.put_back()
            self.nothing_written.wait()
            answer = self.stages.compute(read)
        return answer

    def _read_next(self, case: Case) -> bool:
        """Let the next case be read, where there is room; where not, wait until nothing is written.

        Returns:
            Whether anything is at work beside this case.
        """
        assert case.image is not None
        if self.reads.following is None and self.nothing_written.is_set():
            return False
        if not self.stages.has_room(case.image, self.reads.following):
            self.nothing_written.wait()
            return False
        self.reads.begin()
        return True


def _lacks_room(said: object) -> bool:
    return isinstance(said, InputError) and said.code in SCARCE


@contextmanager
def collecting() -> Iterator[Callable[[], None]]:
    """Give a function that gives back what pictures hold in circles: it would add up to hundreds of
    MB.

    What is there when it is called first, as torch and MONAI, is not looked at again, which would
    take half a second each time. It is in the end, unless somebody else had put things aside.
    """
    others = gc.get_freeze_count() > 0
    frozen = False

    def collect() -> None:
        nonlocal frozen
        gc.collect()
        if not (others or frozen):
            gc.freeze()
            frozen = True

    try:
        yield collect
    finally:
        if frozen:
            gc.unfreeze()
