# SPDX-License-Identifier: Apache-2.0
"""Items are worked on ahead by one thread, and come in their order, with what was raised."""

import gzip
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer, current_thread, main_thread

import numpy as np
import pytest

from medvol.images.image import Image
from medvol.progress import Step, heard_by, tell
from medvol.stopping import Stopped
from medvol.tasks.ahead import COPIES, Ahead, bytes_beside

PATIENCE_S = 60.0


def test_items_come_in_order_whoever_worked_on_them() -> None:
    worked = []

    def double(item: int) -> int:
        worked.append((item, current_thread() is main_thread()))
        if item == 3:
            raise ValueError("three")
        return 2 * item

    ahead = Ahead(double, [1, 2, 3, 4], until=Event())
    assert (next(ahead), ahead.begun, ahead.following) == (2, False, 2)
    ahead.begin()
    ahead.begin()  # at work already
    assert (ahead.begun, ahead.following) == (True, 3)
    assert next(ahead) == 4
    ahead.begin()
    with pytest.raises(ValueError, match="three"):
        next(ahead)
    assert list(ahead) == [8]
    assert worked == [(1, True), (2, False), (3, False), (4, True)]
    ahead.begin()  # nothing is left
    assert not ahead.begun


def test_an_item_that_raises_stop_iteration_does_not_end_the_others_unsaid() -> None:
    for begins in (True, False):
        ahead = Ahead(next, [iter(()), iter([1])], until=Event())
        if begins:
            ahead.begin()
        with pytest.raises(RuntimeError, match="the work on an item raised StopIteration"):
            list(ahead)
        assert list(ahead) == [1]


def test_what_was_done_ahead_can_be_put_back() -> None:
    worked: list[str] = []

    def work(item: str) -> str:
        worked.append(item)
        return item

    with Ahead(work, ["a", "b"], until=Event()) as ahead:
        ahead.put_back()  # nothing was begun
        ahead.begin()
        ahead.put_back()
        assert (ahead.begun, ahead.following, worked) == (False, "a", ["a"])
        assert list(ahead) == ["a", "b"]
    assert worked == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("raised", "waits"), [(None, True), (ValueError, True), (Stopped(15), False)], ids=str
)
def test_who_goes_on_waits_for_what_is_at_work_and_who_is_stopped_does_not(
    raised: BaseException | None, waits: bool
) -> None:
    at_work, may_end, ended = Event(), Event(), Event()

    def work(_: str) -> None:
        at_work.set()
        may_end.wait(PATIENCE_S)
        ended.set()

    with (
        pytest.raises(type(raised)) if isinstance(raised, Stopped) else suppress(ValueError),
        Ahead(work, ["a", "b"], until=Event()) as ahead,
    ):
        ahead.begin()
        assert at_work.wait(PATIENCE_S)
        if waits:
            Timer(0.05, may_end.set).start()
        if raised is not None:
            raise raised
    assert ended.is_set() == waits
    assert list(ahead.items) == []
    may_end.set()


def test_what_is_ahead_is_heard_once_it_is_waited_for() -> None:
    heard: list[Step] = []
    awaited, told = Event(), Event()

    def work(stage: str) -> None:
        tell(Step(stage, 1))
        told.set()
        awaited.wait(PATIENCE_S)
        tell(Step(stage, 2))

    with heard_by(heard.append):
        ahead = Ahead(work, ["network"], until=awaited)
        ahead.begin()
        assert told.wait(PATIENCE_S)
        awaited.set()
        next(ahead)
    assert heard == [Step("network", 2)]


def test_what_takes_memory_beside_is_what_the_files_hold(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 3, 4), np.int16), np.eye(4), tmp_path / "a.nii")
    assert bytes_beside(image, None) == COPIES * 48
    packed = tmp_path / "folder" / "b.nii.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(bytes(5000)))
    assert bytes_beside(image, packed) == COPIES * 5000
    (packed.parent / "c.nii").write_bytes(bytes(700))
    assert bytes_beside(image, packed.parent) == COPIES * 5700
    (tmp_path / "small.nii").write_bytes(bytes(10))
    assert bytes_beside(image, tmp_path / "small.nii") == COPIES * 48
    assert bytes_beside(image, tmp_path / "nothing.nii") is None
