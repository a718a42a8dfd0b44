# SPDX-License-Identifier: Apache-2.0
"""Windows of a volume that lies on the CPU, on their way to a GPU while the one before is used.

Never run on a GPU: none was at hand. What must wait for what is tested with lanes that work late.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

With = TypeVar("With")
SLOTS = 2  # one that is used, and one that is filled


class Lanes(Protocol):
    """A lane of a GPU that copies, and one that computes: each works by and by in its own order.

    A mark stands for all that a lane had been given when it was made.
    """

    def room(self, like: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Room for so many windows on the CPU, from which can be copied later, and on the GPU.

        Args:
            like: a window (1, C, *size).
            number: of windows.

        Returns:
            (number, C, *size) each.
        """

    def copy(self, source: Tensor, target: Tensor, after: Any) -> Any:
        """Have it copied, after a mark of the lane that computes.

        Args:
            source: (n, C, *size) on the CPU.
            target: (n, C, *size) on the GPU.
            after: the mark.

        Returns:
            A mark behind it.
        """

    def mark(self) -> Any:
        """One of the lane that computes."""

    def compute_after(self, mark: Any) -> None:
        """What is given from now on to the lane that computes waits for a mark of the other."""

    def wait_for(self, mark: Any) -> None:
        """Wait for a mark of the lane that copies."""


class CudaLanes:
    """The stream that computes at the moment, and one of its own that copies. See `Lanes`."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.copies = device, torch.cuda.Stream(device)

    def room(self, like: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """As of `Lanes`; that on the CPU is pinned.

        Args:
            like: a window (1, C, *size).
            number: of windows.
        """
        shape = (number, *like.shape[1:])
        near = torch.empty(shape, dtype=like.dtype, pin_memory=True)
        return near, torch.empty(shape, dtype=like.dtype, device=self.device)

    def copy(self, source: Tensor, target: Tensor, after: Any) -> Any:
        """As of `Lanes`.

        Args:
            source: (n, C, *size) on the CPU, pinned.
            target: (n, C, *size) on the GPU.
            after: an event.
        """
        with torch.cuda.stream(self.copies):
            self.copies.wait_event(after)
            target.copy_(source, non_blocking=True)
            target.record_stream(self.copies)  # not given to others before it is copied
            return self.copies.record_event()

    def mark(self) -> Any:
        """As of `Lanes`."""
        return torch.cuda.current_stream(self.device).record_event()

    def compute_after(self, mark: Any) -> None:
        """As of `Lanes`."""
        torch.cuda.current_stream(self.device).wait_event(mark)

    def wait_for(self, mark: Any) -> None:
        """As of `Lanes`."""
        mark.synchronize()


class _Slot:
    """Room for a batch, on both sides.

    Args:
        lanes: between them.
        views: windows (1, C, *size) of the first batch, of which no other has more.
    """

    def __init__(self, lanes: Lanes, views: Sequence[Tensor]) -> None:
        self.lanes, self.number = lanes, 0
        self.near, self.far = lanes.room(views[0], len(views))
        self.used = lanes.mark()  # what had that memory before
        self.sent: Any = None

    def send(self, views: Sequence[Tensor]) -> None:
        if self.sent is not None:
            self.lanes.wait_for(self.sent)  # it reads what is written now
        self.number = len(views)
        near, far = self.near[: self.number], self.far[: self.number]
        torch.cat(list(views), out=near)
        self.sent = self.lanes.copy(near, far, self.used)

    def take(self) -> Tensor:
        self.lanes.compute_after(self.sent)
        return self.far[: self.number]

    def leave(self) -> None:
        self.used = self.lanes.mark()


def sent_ahead(
    batches: Iterable[tuple[With, Sequence[Tensor]]], lanes: Lanes
) -> Iterator[tuple[With, Tensor | None]]:
    """Batches of windows on the GPU, each sent before the one in front of it is used.

    Args:
        batches: what goes with one, and its windows (1, C, *size) on the CPU; none has more than
            the first with any.
        lanes: to the GPU.

    Returns:
        What goes with it, and (n, C, *size) on the GPU, good until the next is asked for; None
        where there are no windows.
    """
    slots: list[_Slot] = []
    before: tuple[With, _Slot | None] | None = None
    sent = 0
    for goes_with, views in batches:
        slot = None
        if views:
            if len(slots) < SLOTS:
                slots.append(_Slot(lanes, views))
            slot = slots[sent % SLOTS]
            slot.send(views)
            sent += 1
        if before is not None:
            yield from _used(*before)
        before = goes_with, slot
    if before is not None:
        yield from _used(*before)


def _used(goes_with: With, slot: _Slot | None) -> Iterator[tuple[With, Tensor | None]]:
    if slot is None:
        yield goes_with, None
    else:
        yield goes_with, slot.take()
        slot.leave()
