# SPDX-License-Identifier: Apache-2.0
"""All that was measured of a classifier on a set of images: each image, all, what was refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .bootstrap import Draws, Estimate, Numbers, draw_patients
from .calibration import (
    fit_class_temperature,
    image_losses,
    top_calibration_error,
    with_temperature,
)
from .class_figures import all_figures, class_figures
from .confusion import confusion_matrix
from .thresholds import best_threshold

POSITIVE = 1  # the class that a threshold of a network of two classes is for


@dataclass(frozen=True, eq=False)
class ImageAnswer:
    """One image: what it is, and what the network says.

    Args:
        case: its name.
        path: its file.
        patient: what images of the same person share.
        truth: number of its class.
        probability: (classes,), adds up to 1.
        notes: remarks on how it was read, one sentence each.
    """

    case: str
    path: Path
    patient: str
    truth: int
    probability: npt.NDArray[np.floating]
    notes: tuple[str, ...] = ()

    @property
    def predicted(self) -> int:
        """Number of the most probable class."""
        return int(np.argmax(self.probability))

    @property
    def loss(self) -> float:
        """Less the logarithm of the probability of the true class."""
        return float(image_losses(self.probability[None], [self.truth])[0])


@dataclass(frozen=True)
class Tuned:
    """What was chosen on other images than those that are measured.

    Args:
        temperature: divides logits, see `calibration.fit_class_temperature`.
        threshold: of the second of two classes; None of more classes, or where it has no meaning.
        images: how many it was chosen on.
    """

    temperature: float
    threshold: float | None
    images: int


@dataclass(frozen=True, eq=False)
class ClassEvaluation:
    """Images that were measured, and those that could not be.

    Args:
        names: of the classes; the first is that of number 0.
        images: one or more.
        refused: name of the case, and why.
        tuned: chosen on the validation part; None where that was not asked for.

    Raises:
        ValueError: no image.
    """

    names: tuple[str, ...]
    images: tuple[ImageAnswer, ...]
    refused: tuple[tuple[str, InputError], ...] = ()
    tuned: Tuned | None = None

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("an evaluation needs one image or more")

    @cached_property
    def probability(self) -> Numbers:
        """(N, classes) as the network gives them."""
        return np.stack([image.probability for image in self.images]).astype(np.float64)

    @cached_property
    def truth(self) -> npt.NDArray[np.int64]:
        """(N,)."""
        return np.array([image.truth for image in self.images], dtype=np.int64)

    @property
    def patients(self) -> int:
        """How many persons the images are of."""
        return len({image.patient for image in self.images})

    @cached_property
    def draws(self) -> Draws:
        """Of patients, for intervals."""
        return draw_patients([image.patient for image in self.images])

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """(true classes, predicted classes)."""
        predicted = self.probability.argmax(1)
        return confusion_matrix(self.truth, predicted, classes=len(self.names))

    @cached_property
    def summary(self) -> dict[str, Estimate]:
        """See `class_figures.all_figures`."""
        return all_figures(self.probability, self.truth, self.draws)

    @cached_property
    def classes(self) -> dict[str, dict[str, Estimate]]:
        """Name of each class to its figures, see `class_figures.class_figures`."""
        found = class_figures(self.probability, self.truth, self.draws)
        return dict(zip(self.names, found, strict=True))

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
                "calibration_error": top_calibration_error(table, self.truth),
            }
            for name, table in tables.items()
            if table is not None
        }

    @cached_property
    def worst_first(self) -> list[ImageAnswer]:
        """By loss, the largest first."""
        return sorted(self.images, key=lambda image: -image.loss)


def tune(images: Sequence[ImageAnswer]) -> Tuned:
    """Choose temperature and threshold on images of which no figure will be given.

    Args:
        images: of a validation part, one or more.
    """
    probability = np.stack([image.probability for image in images]).astype(np.float64)
    truth = np.array([image.truth for image in images], dtype=np.int64)
    threshold = None
    if probability.shape[1] == POSITIVE + 1:
        best = best_threshold(probability[:, POSITIVE], truth)
        threshold = None if np.isnan(best) else best
    return Tuned(fit_class_temperature(probability, truth), threshold, len(images))
