# SPDX-License-Identifier: Apache-2.0
"""A network that computes while what it computed before is used: begin first, take later."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from torch import Tensor

Begun = Callable[[], Any]  # waits for scores that have begun, and gives them
Item = TypeVar("Item")


def begin(network: Callable[..., Any], windows: Tensor, *args: Any, **kwargs: Any) -> Begun:
    """Let a network begin with windows, where it can, see `can_begin`; others compute when they
    are asked.

    Args:
        network: that computes.
        windows: (B, C, *spatial).
        args, kwargs: further arguments of the network.
    """
    if not can_begin(network):
        return partial(network, windows, *args, **kwargs)
    begun: Begun = network.begin_scores(windows, *args, **kwargs)  # type: ignore[attr-defined]
    return begun


def can_begin(network: Any) -> bool:
    """Whether a network computes on threads of its own, see `engine.backends.backend.Backend`."""
    return hasattr(network, "begin_scores")


def ahead(items: Iterable[Item], number: int) -> Iterator[Item]:
    """Each item when some after it have been made: so these have begun while it is used.

    Args:
        items: in their order.
        number: how many are made before the first is given; 0 gives each at once.

    Example:
        >>> made = []
        >>> for item in ahead((made.append(n) or n for n in range(3)), 1):
        ...     print(item, made)
        0 [0, 1]
        1 [0, 1, 2]
        2 [0, 1, 2]
    """
    waiting: deque[Item] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > number:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
