# SPDX-License-Identifier: Apache-2.0
"""All that was measured of a classifier of images: each image, all, and what was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..evaluation import Evaluation
from ..intervals import Estimate, LeftOut, Numbers, defined
from .calibration import (
    NO_INTERVAL,
    SMALLEST,
    expected_calibration_error,
    fit_class_temperature,
    image_losses,
    top,
    with_temperature,
)
from .confounding import Confounding
from .confusion import confusion_matrix
from .decision import decided
from .figures import all_figures, class_figures
from .ranking import ThresholdRow, best_threshold, threshold_rows

POSITIVE = 1  # the class that a threshold of a network of two classes is for


@dataclass(frozen=True, eq=False)
class ClassCase:
    """One image: which class it is of, and what the network predicts.

    Args:
        case: its name.
        image: its file, as a table shows it.
        patient: what images of the same person share.
        truth: number of its class.
        probability: (classes,), adds up to 1.
        notes: remarks on how it was read, one sentence each.
        groups: kind of group, such as "scanner", to the one that the image is of.
        threshold: from which it counts as the second of two classes; None for the most probable.
    """

    case: str
    image: str
    patient: str
    truth: int
    probability: npt.NDArray[np.floating]
    notes: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    threshold: float | None = None

    @property
    def predicted(self) -> int:
        """Number of the class that it counts as."""
        return int(decided(self.probability, self.threshold))

    @property
    def loss(self) -> float:
        """Less the logarithm of the probability of the true class."""
        return float(image_losses(self.probability[None], [self.truth])[0])


@dataclass(frozen=True)
class Tuned:
    """What was chosen on other images than those that are measured.

    Args:
        temperature: above 0, divides logits, see `calibration.fit_class_temperature`.
        threshold: of the second of two classes; None of more classes, or where it has no meaning.
        images: how many it was chosen on.
    """

    temperature: float
    threshold: float | None
    images: int


@dataclass(frozen=True, eq=False)
class ClassEvaluation(Evaluation[ClassCase]):
    """Images whose classes were compared with the true ones.

    Args:
        names: of the classes; the first is that of number 0.
        tuned: chosen on the validation part; None where that was not asked for.
        confounding: what predicts the class beside the lungs; None where it was not tested.
    """

    noun = "image"

    names: tuple[str, ...]
    tuned: Tuned | None = None
    confounding: Confounding | None = None

    @cached_property
    def probability(self) -> Numbers:
        """(N, classes) as the network gives them."""
        return np.stack([case.probability for case in self.cases]).astype(np.float64)

    @cached_property
    def truth(self) -> npt.NDArray[np.int64]:
        """(N,) classes."""
        return np.array([case.truth for case in self.cases], dtype=np.int64)

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(N,) classes that the images count as."""
        return np.array([case.predicted for case in self.cases], dtype=np.int64)

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """(true classes, predicted classes)."""
        return confusion_matrix(self.truth, self.predicted, classes=len(self.names))

    @cached_property
    def summary(self) -> dict[str, Estimate]:
        """See `figures.all_figures`."""
        return all_figures(self.probability, self.truth, self.left_out, self.predicted)

    def figures_of(self, numbers: Sequence[int], left_out: LeftOut) -> dict[str, Estimate]:
        """See `figures.all_figures`.

        Args:
            numbers: of some images.
            left_out: (R, these images), see `intervals.leave_out`.
        """
        predicted = self.predicted[numbers]
        return all_figures(self.probability[numbers], self.truth[numbers], left_out, predicted)

    def estimate(self, region: str, figure: str) -> Estimate | None:
        """A figure of a class, or of all; None where there is no such."""
        return (self.classes.get(region, {}) if region else self.summary).get(figure)

    @cached_property
    def classes(self) -> dict[str, dict[str, Estimate]]:
        """Name of each class to its figures, see `figures.class_figures`."""
        found = class_figures(self.probability, self.truth, self.left_out, self.predicted)
        return dict(zip(self.names, found, strict=True))

    @property
    def two(self) -> bool:
        """Whether there are two classes, so that a threshold is of the second."""
        return len(self.names) == POSITIVE + 1

    @cached_property
    def calibrated(self) -> Numbers | None:
        """(N, classes) after the temperature; None without one."""
        if self.tuned is None:
            return None
        return with_temperature(self.probability, self.tuned.temperature)

    @cached_property
    def calibration(self) -> dict[str, dict[str, float]]:
        """Log loss and expected calibration error, as given and after the temperature."""
        tables = {"as given": self.probability, "with temperature": self.calibrated}
        return {
            name: {
                "log_loss": float(image_losses(table, self.truth).mean()),
                "calibration_error": expected_calibration_error(*top(table, self.truth)),
            }
            for name, table in tables.items()
            if table is not None
        }

    @cached_property
    def worst_first(self) -> list[ClassCase]:
        """By loss, the largest first."""
        return sorted(self.cases, key=lambda case: -case.loss)

    @cached_property
    def thresholds(self) -> list[ThresholdRow]:
        """What thresholds on the second of two classes do, also the chosen one, from the lowest up.

        None of more classes.
        """
        if not self.two:
            return []
        score = self.probability[:, POSITIVE]
        rows = threshold_rows(score, self.truth)
        if self.tuned is not None and self.tuned.threshold is not None:
            rows += threshold_rows(score, self.truth, [self.tuned.threshold])
        return sorted(set(rows))

    def rows(self) -> list[dict[str, Any]]:
        """A line an image; `probability_<class>` for each class, with spaces as underscores."""
        columns = ["_".join(["probability", *name.split()]) for name in self.names]
        return [
            {
                "image": case.image,
                "case": case.case,
                "patient": case.patient,
                "truth": self.names[case.truth],
                "predicted": self.names[case.predicted],
                **dict(zip(columns, map(float, case.probability), strict=True)),
                "loss": case.loss,
                "notes": " ".join(case.notes),
            }
            for case in self.cases
        ]

    def record(self) -> dict[str, Any]:
        """Figures of all and of each class with intervals, confusion, calibration, thresholds."""
        confounding, tuned = self.confounding, self.tuned
        return {
            "class_names": list(self.names),
            "images": len(self.cases),
            "smallest_probability_of_log_loss": SMALLEST,
            "summary": {name: figure.record() for name, figure in self.summary.items()},
            "classes": {
                name: {key: figure.record() for key, figure in figures.items()}
                for name, figures in self.classes.items()
            },
            "subgroups": {
                kind: [group.record() for group in groups]
                for kind, groups in self.subgroups.items()
            },
            "confusion": {
                "rows": "truth",
                "columns": "predicted",
                "counts": self.confusion.tolist(),
            },
            "calibration": {name: defined(x) for name, x in self.calibration.items()},
            "calibration_error_withheld": NO_INTERVAL,
            "tuned": None if tuned is None else asdict(tuned),
            "thresholds": [row.record() for row in self.thresholds],
            "confounding": None if confounding is None else confounding.record(),
        }


class SliceEvaluation(ClassEvaluation):
    """Slices of volumes whose classes were compared with the true ones."""

    noun = "slice"
    source = "volume"


def tune(cases: Sequence[ClassCase]) -> Tuned:
    """Choose temperature and threshold on images of which no figure will be given.

    Args:
        cases: of a validation part, one or more.
    """
    probability = np.stack([case.probability for case in cases]).astype(np.float64)
    truth = np.array([case.truth for case in cases], dtype=np.int64)
    threshold = None
    if probability.shape[1] == POSITIVE + 1:
        best = best_threshold(probability[:, POSITIVE], truth)
        threshold = None if np.isnan(best) else best
    return Tuned(fit_class_temperature(probability, truth), threshold, len(cases))
