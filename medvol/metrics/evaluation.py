# SPDX-License-Identifier: Apache-2.0
"""What every evaluation has, of masks or of classes: cases, patients, and what was refused."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from ..errors import InputError
from .intervals import Estimate, LeftOut, leave_out

FEW_PATIENTS = 10  # an interval from fewer says little
MOST_GROUPS = 20  # of one kind; more say nothing, as each has a few cases
NOT_SAID = "not said"  # group of a case of which the datalist says nothing


class Case(Protocol):
    """Anything that was measured: a volume with its truth, or an image with its class."""

    @property
    def case(self) -> str:
        """Its name."""

    @property
    def patient(self) -> str:
        """What cases of the same person share."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on how it was read, one sentence each."""

    @property
    def groups(self) -> Mapping[str, str]:
        """Kind of group, such as "scanner", to the one that the case is of."""


Refused = tuple[tuple[str, InputError], ...]  # name of a case, and why it could not be measured
CaseT = TypeVar("CaseT", bound=Case, covariant=True)


class Group(NamedTuple):
    """The cases of one source, scanner or the like.

    Args:
        name: of the group.
        cases: how many.
        patients: that they are of.
        figures: by name, each with its interval over these patients.
    """

    name: str
    cases: int
    patients: int
    figures: Mapping[str, Estimate]

    def record(self) -> dict[str, Any]:
        """By name, for JSON."""
        figures = {name: estimate.record() for name, estimate in self.figures.items()}
        return {**self._asdict(), "figures": figures}


@dataclass(frozen=True, eq=False)
class Evaluation(ABC, Generic[CaseT]):
    """Cases that were measured, and those that could not be.

    Args:
        cases: one or more.
        refused: the others.

    Attributes:
        noun: what a case is called in words.
        source: what is refused as a whole, where that is more than a case.

    Raises:
        ValueError: no case.
    """

    noun: ClassVar[str] = "case"
    source: ClassVar[str] = ""

    cases: tuple[CaseT, ...]
    refused: Refused

    def __post_init__(self) -> None:
        if not self.cases:
            raise ValueError("an evaluation needs one case or more")

    @property
    def patients(self) -> int:
        """How many persons the cases are of."""
        return len({case.patient for case in self.cases})

    @cached_property
    def left_out(self) -> LeftOut:
        """(R, cases) which stay when one patient after another is left out, for intervals."""
        return leave_out([case.patient for case in self.cases])

    @cached_property
    def subgroups(self) -> dict[str, list[Group]]:
        """Kind of group to the figures of each, where there are 2 to `MOST_GROUPS` of a kind."""
        kinds = dict.fromkeys(kind for case in self.cases for kind in case.groups)
        found: dict[str, list[Group]] = {}
        for kind in kinds:
            of = [case.groups.get(kind, NOT_SAID) for case in self.cases]
            if 1 < len(set(of)) <= MOST_GROUPS:
                found[kind] = [self._group(name, of) for name in sorted(set(of))]
        return found

    def _group(self, name: str, of: Sequence[str]) -> Group:
        """The figures of the cases whose group has a name."""
        numbers = [number for number, own in enumerate(of) if own == name]
        patients = [self.cases[number].patient for number in numbers]
        figures = self.figures_of(numbers, leave_out(patients))
        return Group(name, len(numbers), len(set(patients)), figures)

    @abstractmethod
    def figures_of(self, numbers: Sequence[int], left_out: LeftOut) -> dict[str, Estimate]:
        """The main figures of some of the cases.

        Args:
            numbers: of the cases.
            left_out: (R, these cases), see `intervals.leave_out`.
        """

    @abstractmethod
    def estimate(self, region: str, figure: str) -> Estimate | None:
        """A figure over all cases; None where there is no such.

        Args:
            region: or class; "" for all classes.
            figure: its name, such as "dice_mean".
        """

    @property
    @abstractmethod
    def worst_first(self) -> Sequence[CaseT]:
        """The cases, those that went wrong most in front."""

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """Lines of a table, each by column; None where a figure is not defined."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """All figures, for JSON."""
