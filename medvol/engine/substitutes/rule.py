# SPDX-License-Identifier: Apache-2.0
"""What a faster equal is: which steps of a chain it stands for, and what it says of itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple


class Substitution(NamedTuple):
    """What became of one or several neighbouring parts of a bundle.

    Args:
        part: of the bundle, such as "preprocessing".
        replaced: names of their classes, in order.
        by: what runs in their place; empty where they run as they stand.
        why: in a few words.
    """

    part: str
    replaced: tuple[str, ...]
    by: str = ""
    why: str = ""

    def __str__(self) -> str:
        said = f"{self.part}: {', '.join(self.replaced)}"
        said += f" -> {self.by}" if self.by else " as it stands"
        return f"{said} ({self.why})" if self.why else said


class Equal(NamedTuple):
    """A faster equal of the first steps of a sequence.

    Args:
        taken: how many steps it stands for.
        step: that runs in their place, with their names and numbers.
        why: it is faster, in a few words.
    """

    taken: int
    step: Any
    why: str


# The faster equal of the first of these steps, and perhaps of some after them; None where there is
# none, as for arguments that it does not know.
Rule = Callable[[Sequence[Any]], Equal | None]


@dataclass(frozen=True)
class Substituted:
    """A chain with its faster equals.

    Args:
        steps: that run.
        said: what became of each step, in order.
    """

    steps: list[Any]
    said: list[Substitution]


def substitute(steps: Sequence[Any], rules: Sequence[Rule], *, part: str) -> Substituted:
    """Replace what a rule knows, from the first step to the last; the first rule that fits wins.

    Args:
        steps: in the order in which they run.
        rules: those that take several steps before those that take one of them.
        part: of the bundle, to be named.

    Example:
        >>> twice = lambda steps: Equal(2, "both", "at once") if steps[:2] == ["a", "b"] else None
        >>> found = substitute(["c", "a", "b"], [twice], part="preprocessing")
        >>> found.steps
        ['c', 'both']
        >>> print(*found.said, sep="; ")
        preprocessing: str as it stands; preprocessing: str, str -> str (at once)
    """
    found, said, at = list[Any](), list[Substitution](), 0
    while at < len(steps):
        equal = next(filter(None, (rule(steps[at:]) for rule in rules)), None)
        taken, step, why = equal or Equal(1, steps[at], "")
        names = tuple(map(name_of, steps[at : at + taken]))
        found.append(step)
        said.append(Substitution(part, names, name_of(step) if equal else "", why))
        at += taken
    return Substituted(found, said)


def taken_out(
    before: Sequence[Any], after: Sequence[Any], part: str, by: tuple[str, str]
) -> list[Substitution]:
    """What is said of steps that are a stage of medvol's own, such as reading; nothing of none.

    Args:
        before: all steps.
        after: those that are left, the same objects, and perhaps others in their place.
        part: of the bundle, to be named.
        by: what does their work, and why.

    Example:
        >>> print(*taken_out(["load", 2], [2], "reading", ("readers", "checks")))
        reading: str -> readers (checks)
    """
    left = {id(step) for step in after}
    names = tuple(name_of(step) for step in before if id(step) not in left)
    return [Substitution(part, names, *by)] if names else []


def name_of(step: Any) -> str:
    """The name of a step's class, or of a function, also of one whose arguments are given."""
    if isinstance(step, partial):
        return name_of(step.func)
    return step.__name__ if hasattr(step, "__name__") else type(step).__name__
