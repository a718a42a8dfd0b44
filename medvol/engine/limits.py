# SPDX-License-Identifier: Apache-2.0
"""How long a process may take for an answer, and how much memory; imports nothing heavy."""

from typing import NamedTuple

TIME_LIMIT_S = 3600.0  # for an image: a large CT on a slow CPU takes some minutes
# where a bundle with code of its own works on it: many labels on a CPU take less, and it is not
# too long to wait for where the code hangs
CONFINED_TIME_LIMIT_S = 900.0


class Limits(NamedTuple):
    """What a process may take: seconds for an answer, and bytes of memory; None sets no limit of
    time, and of memory that which is free when the process starts."""

    seconds: float | None = None
    memory_bytes: int | None = None


UNLIMITED = Limits()


def usual_limits(seconds: float | None, *, confined: bool = False) -> Limits:
    """The limits for one image, or what else is asked for in one go.

    Args:
        seconds: that the user allows, in s; None for what is usual.
        confined: a bundle with code of its own works on it.

    Example:
        >>> usual_limits(None).seconds, usual_limits(None, confined=True).seconds
        (3600.0, 900.0)
        >>> usual_limits(5.0, confined=True).seconds
        5.0
    """
    return Limits(seconds or (CONFINED_TIME_LIMIT_S if confined else TIME_LIMIT_S))
