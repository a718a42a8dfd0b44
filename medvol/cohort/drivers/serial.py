# SPDX-License-Identifier: Apache-2.0
"""Units one after the other, in this process and its child."""

from collections.abc import Iterator
from itertools import islice
from types import TracebackType

from ..plan import Unit
from ..worker import TOGETHER, Said, Session, Worker


class Serial:
    """A driver with one worker.

    Args:
        session: what the worker needs to know.
    """

    def __init__(self, session: Session) -> None:
        self.worker = Worker(session)

    def __enter__(self) -> "Serial":
        self.worker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.worker.__exit__(kind, error, trace)

    @property
    def workers(self) -> int:
        """This one."""
        return 1

    def __call__(self, units: Iterator[Unit]) -> Iterator[Said]:
        """What becomes of each unit.

        Args:
            units: as for `Driver`.

        Raises:
            InputError: as for `Worker.do_many`.
        """
        while some := list(islice(units, TOGETHER)):
            yield from self.worker.do_many(some)
