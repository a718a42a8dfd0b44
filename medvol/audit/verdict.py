# SPDX-License-Identifier: Apache-2.0
"""What an audit says of the parts of a bundle: a level for each, of which the worst counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ..errors import printable


class Level(StrEnum):
    """What a bundle asks for; a later one is worse.

    Attributes:
        A: declarative: every part is on the list of those that are known to do what they are for.
        B: code of its own, or calls that are not on the list.
        C: what medvol never runs: eval, other processes, pickle, the network, writing outside.
    """

    A = "A"
    B = "B"
    C = "C"


class Item(NamedTuple):
    """One part of a bundle, and what is to be said of it.

    Args:
        level: of this part.
        kind: "target", "expression", "reference", "script", "weights" or "file".
        file: relative to the bundle's root, with `/`.
        key: path of the entry as in `a#b#0`, or "line 3"; empty where it is the whole file.
        text: as the bundle has it, such as `$torch.device('cpu')`.
        reason: what it is or does, one sentence without a full stop.
    """

    level: Level
    kind: str
    file: str
    key: str
    text: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file} {self.key}".strip()
        return printable(f"{self.level} {self.kind} {place}: {self.text}: {self.reason}")


@dataclass(frozen=True)
class Audit:
    """All that was looked at in a bundle.

    Args:
        items: in the order of files and entries.
    """

    items: tuple[Item, ...]

    @property
    def level(self) -> Level:
        """The worst level of its parts; A for a bundle without any."""
        return worst(item.level for item in self.items)

    def of_level(self, level: Level) -> tuple[Item, ...]:
        """The parts of one level."""
        return tuple(item for item in self.items if item.level == level)


def worst(levels: Iterable[Level]) -> Level:
    """The worst of levels; A of none.

    Example:
        >>> worst([Level.A, Level.C, Level.B])
        <Level.C: 'C'>
    """
    return max(levels, default=Level.A)
