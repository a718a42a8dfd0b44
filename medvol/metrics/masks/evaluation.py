# SPDX-License-Identifier: Apache-2.0
"""All that was measured of masks: the figures of each case, of all, and what was refused."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..evaluation import Evaluation
from ..intervals import Estimate, LeftOut, Numbers, Scale, median_estimate, ratio_estimate
from .comparison import EMPTY_RULE, Measure, RegionFigures
from .lesion_matching import MatchedLesion
from .lesion_sizes import SIZES, SizeFigures, count_sizes, size_of, summarise_sizes
from .volume_agreement import VolumeAgreement, volume_agreement

Part = Callable[[RegionFigures], float]


def _if_true(figure: Part) -> Part:
    """A figure that means take only of the cases whose truth has the region."""
    return lambda case: figure(case) if case.voxels_true else np.nan


def _lesions(name: str) -> Part:
    return lambda case: getattr(case.lesions, name) if case.lesions else np.nan


def _one(_: RegionFigures) -> float:
    return 1.0


# each is a sum over the cases above the line, divided by one below it, on a scale
RATIOS: dict[str, tuple[Part, Part, Scale]] = {
    "dice_pooled": (
        lambda x: 2 * x.voxels_both, lambda x: x.voxels_predicted + x.voxels_true, Scale.SHARE
    ),
    "dice_mean": (_if_true(lambda x: x.dice), _one, Scale.SHARE),
    "surface_dice_mean": (_if_true(lambda x: x.surface_dice), _one, Scale.SHARE),
    "hd95_mm_mean": (lambda x: x.hd95_mm, _one, Scale.AMOUNT),
    "lesion_sensitivity": (_lesions("found"), _lesions("true"), Scale.SHARE),
    "false_lesions_per_case": (_lesions("false"), _one, Scale.AMOUNT),
    "volume_error_ml_mean": (lambda x: x.volume_error_ml, _one, Scale.DIFFERENCE),
    "absolute_volume_error_ml_mean": (lambda x: abs(x.volume_error_ml), _one, Scale.AMOUNT),
}  # fmt: skip
MEDIANS: dict[str, Part] = {
    "dice_median": _if_true(lambda x: x.dice),
    "volume_error_ml_median": lambda x: x.volume_error_ml,
    "absolute_volume_error_ml_median": lambda x: abs(x.volume_error_ml),
}
WITHHELD = {  # no interval holds, see `scripts/check_intervals.py`
    "volume_error_ml_mean": "a few large volumes decide it",
    "absolute_volume_error_ml_mean": "a few large volumes decide it",
}


def summarise_region(cases: Sequence[RegionFigures], left_out: LeftOut) -> dict[str, Estimate]:
    """Every figure of `RATIOS` and of `MEDIANS` over the cases of one region.

    `dice_pooled` and `dice_mean` are those of `overlap.summarise`.

    Args:
        cases: one region of each case.
        left_out: of `intervals.leave_out` for the same cases.
    """

    def of(part: Part) -> Numbers:
        return np.array([part(case) for case in cases], dtype=np.float64)

    ratios = {
        name: ratio_estimate(of(above), of(below), left_out, scale=scale)
        for name, (above, below, scale) in RATIOS.items()
    }
    for name, reason in WITHHELD.items():
        ratios[name] = ratios[name]._replace(low=np.nan, high=np.nan, withheld=reason)
    return ratios | {name: median_estimate(of(part), left_out) for name, part in MEDIANS.items()}


@dataclass(frozen=True)
class MaskCase:
    """One case whose mask was compared with its truth.

    Args:
        case: its name.
        patient: what cases of the same person share.
        fold: of the cross-validation, None where there is none.
        regions: figures by name of the region.
        seconds: that the prediction took, in s; None where the masks were there before.
        notes: remarks, one sentence each.
        groups: kind of group, such as "scanner", to the one that the case is of.
    """

    case: str
    patient: str
    fold: int | None
    regions: Mapping[str, RegionFigures]
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class MaskEvaluation(Evaluation[MaskCase]):
    """Masks that were compared with their truth.

    Args:
        measure: tolerance and smallest lesion.
    """

    measure: Measure

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions; the first is what the bundle looks for."""
        return tuple(self.cases[0].regions)

    def cases_with(self, region: str) -> int:
        """How many cases have the region in their truth."""
        return sum(case.regions[region].voxels_true > 0 for case in self.cases)

    @cached_property
    def summary(self) -> dict[str, dict[str, Estimate]]:
        """Region to the figures of `summarise_region`, each with its interval over patients."""
        return {name: summarise_region(x, self.left_out) for name, x in self._by_region.items()}

    @cached_property
    def sizes(self) -> dict[str, list[SizeFigures]]:
        """Region to what was found and false of each size, where its components are lesions."""
        return {
            region: summarise_sizes(
                [count_sizes(x.matched, x.voxel_ml) for x in cases], self.left_out
            )
            for region, cases in self._by_region.items()
            if cases[0].lesions is not None
        }

    @cached_property
    def volumes(self) -> dict[str, VolumeAgreement]:
        """Region to how its predicted and true volumes agree."""
        return {
            region: volume_agreement(
                np.array([x.true_ml for x in cases]), np.array([x.predicted_ml for x in cases]),
                self.left_out,
            )
            for region, cases in self._by_region.items()
        }  # fmt: skip

    @property
    def _by_region(self) -> dict[str, list[RegionFigures]]:
        return {name: [case.regions[name] for case in self.cases] for name in self.regions}

    def figures_of(self, numbers: Sequence[int], left_out: LeftOut) -> dict[str, Estimate]:
        """`summarise_region` of the first region of some cases.

        Args:
            numbers: of these cases.
            left_out: (R, these cases), see `intervals.leave_out`.
        """
        key = self.regions[0]
        return summarise_region([self.cases[number].regions[key] for number in numbers], left_out)

    def estimate(self, region: str, figure: str) -> Estimate | None:
        """A figure of the summary; None where there is no such."""
        return self.summary.get(region, {}).get(figure)

    @property
    def worst_first(self) -> list[MaskCase]:
        """By Dice of the first region; cases without one, as nothing was there, come last.

        Of equal Dice, the one with more voxels missed or falsely marked comes first.
        """
        key = self.regions[0]

        def badness(case: MaskCase) -> tuple[float, int]:
            figures = case.regions[key]
            wrong = figures.voxels_predicted + figures.voxels_true - 2 * figures.voxels_both
            return (math.inf if math.isnan(figures.dice) else figures.dice, -wrong)

        return sorted(self.cases, key=badness)

    def rows(self) -> list[dict[str, Any]]:
        """A line a case and region."""
        return [
            {"case": case.case, "patient": case.patient, "fold": case.fold, "region": region}
            | figures.row()
            for case in self.cases
            for region, figures in case.regions.items()
        ]

    def lesion_rows(self) -> list[dict[str, Any]]:
        """A line each lesion of the truth and of the prediction, of the regions that have lesions.

        `shared_percent` is how much of it lies in the other mask, `partners` how many lesions of
        the other mask it touches.
        """
        return [
            {"case": case.case, "patient": case.patient, "region": region} | _lesion_row(x, lesion)
            for case in self.cases
            for region, x in case.regions.items()
            for lesion in x.matched
        ]

    def record(self) -> dict[str, Any]:
        """The summary of each region with intervals, every case, and with what was compared."""
        return {
            **asdict(self.measure),
            "empty_masks": EMPTY_RULE,
            "summary": {
                region: {name: estimate.record() for name, estimate in figures.items()}
                for region, figures in self.summary.items()
            },
            "lesions_by_size": {
                region: [row.record() for row in rows] for region, rows in self.sizes.items()
            },
            "volume_agreement": {name: found.record() for name, found in self.volumes.items()},
            "subgroups": {
                kind: [group.record() for group in groups]
                for kind, groups in self.subgroups.items()
            },
            "cases": [
                {
                    "case": case.case,
                    "patient": case.patient,
                    "fold": case.fold,
                    "groups": dict(case.groups),
                    "seconds": None if case.seconds is None else round(case.seconds, 3),
                    "notes": list(case.notes),
                    "regions": {region: figures.row() for region, figures in case.regions.items()},
                }
                for case in self.cases
            ],
        }


def _lesion_row(figures: RegionFigures, lesion: MatchedLesion) -> dict[str, Any]:
    volume_ml = lesion.voxels * figures.voxel_ml
    return {
        "mask": "truth" if lesion.true else "prediction",
        "outcome": lesion.outcome,
        "size": SIZES[size_of(volume_ml)],
        "volume_ml": volume_ml,
        "shared_percent": 100 * lesion.shared / lesion.voxels,
        "partners": lesion.partners,
        **dict(zip(("x_mm", "y_mm", "z_mm"), lesion.centre_mm, strict=True)),
    }
