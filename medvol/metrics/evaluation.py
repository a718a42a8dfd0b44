# SPDX-License-Identifier: Apache-2.0
"""What every evaluation has, of masks or of classes: cases, patients, and what was refused."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ..errors import InputError
from .intervals import Draws, draw_patients

FEW_PATIENTS = 10  # an interval from fewer says little


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


Refused = tuple[tuple[str, InputError], ...]  # name of a case, and why it could not be measured
CaseT = TypeVar("CaseT", bound=Case, covariant=True)


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
    def draws(self) -> Draws:
        """(resamples, cases) how often each case is taken, for intervals over patients."""
        return draw_patients([case.patient for case in self.cases])

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
