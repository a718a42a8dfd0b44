# SPDX-License-Identifier: Apache-2.0
"""What hands out the units of a cohort: each driver calls `worker.Worker` in some process.

A driver is a context; while it is open it is called with units, as often as there are passes over
the plan, and gives each unit's key and state when it ends, in any order. It decides nothing about
tries or order, and takes units from what it is given as late as it can, since others may end them.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

from ..plan import Unit
from ..worker import Said


class Driver(Protocol):
    """What hands out units."""

    @property
    def workers(self) -> int:
        """How many work at the same time."""

    def __enter__(self) -> "Driver": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...  # fmt: skip

    def __call__(self, units: Iterator[Unit]) -> Iterator[Said]:
        """What becomes of each unit, as of `Worker.do_many`.

        Args:
            units: that are not ended, as far as is known when they are taken.

        Raises:
            InputError: as for `Worker.do_many`.
        """
