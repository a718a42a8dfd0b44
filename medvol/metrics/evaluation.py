# SPDX-License-Identifier: Apache-2.0
"""All that was measured on a set of cases: the figures of each, of all, and what was refused."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..errors import InputError
from .bootstrap import Estimate, draw_patients
from .comparison import Measure, RegionFigures
from .summary import summarise_region

FEW_PATIENTS = 10  # an interval from fewer says little


@dataclass(frozen=True)
class CaseFigures:
    """One case.

    Args:
        case: its name.
        patient: what cases of the same person share.
        fold: of the cross-validation, None where there is none.
        regions: figures by name of the region.
        seconds: the prediction took; None where the masks were there before.
        notes: remarks, one sentence each.
    """

    case: str
    patient: str
    fold: int | None
    regions: Mapping[str, RegionFigures]
    seconds: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Cases that were measured, and those that could not be.

    Args:
        cases: one or more.
        refused: name of the case, and why.
        measure: tolerance and smallest lesion.

    Raises:
        ValueError: no case.
    """

    cases: tuple[CaseFigures, ...]
    refused: tuple[tuple[str, InputError], ...]
    measure: Measure

    def __post_init__(self) -> None:
        if not self.cases:
            raise ValueError("an evaluation needs one case or more")

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions; the first is what the bundle looks for."""
        return tuple(self.cases[0].regions)

    @property
    def patients(self) -> int:
        """How many persons the cases are of."""
        return len({case.patient for case in self.cases})

    @cached_property
    def summary(self) -> dict[str, dict[str, Estimate]]:
        """Region to the figures of `summarise_region`, each with its interval over patients."""
        draws = draw_patients([case.patient for case in self.cases])
        return {
            region: summarise_region([case.regions[region] for case in self.cases], draws)
            for region in self.regions
        }

    @property
    def worst_first(self) -> list[CaseFigures]:
        """By Dice of the first region; cases without one, as nothing was there, come last.

        Of equal Dice, the one with more voxels missed or falsely marked comes first.
        """
        key = self.regions[0]

        def badness(case: CaseFigures) -> tuple[float, int]:
            figures = case.regions[key]
            wrong = figures.voxels_predicted + figures.voxels_true - 2 * figures.voxels_both
            return (math.inf if math.isnan(figures.dice) else figures.dice, -wrong)

        return sorted(self.cases, key=badness)
