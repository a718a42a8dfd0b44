# SPDX-License-Identifier: Apache-2.0
"""The confounding test: can class or source be predicted without looking at the lungs?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import InputError
from ..images import read_image
from ..metrics.classes.confounding import (
    CLASS,
    NAME_ALONE,
    SOURCE,
    Clues,
    Confounding,
    Predicted,
    predict_from,
)
from ..slices import evenly
from ..transforms.surroundings import REGIONS, surroundings
from .comparison import watched

MOST_TRAINING = 2000  # images; more change little and take minutes

Item = Mapping[str, Any]
Seen = tuple[Item, dict[str, npt.NDArray[np.float32]]]  # an image, and each region's numbers


def predict_from_surroundings(
    training: Sequence[Item],
    measured: Sequence[Item],
    *,
    most_training: int = MOST_TRAINING,
) -> Confounding:
    """Predict class and source from the border, and from what lies around the lungs.

    A logistic regression on mean and spread of grey in fields of the picture, see
    `transforms.surroundings`, is fitted on training images and measured on others. It is simple on
    purpose: what it can do, a network can do without effort.

    Args:
        training: items of a datalist with `image`, `class`, `patient`, and perhaps `source`.
        measured: the same of the part that the network is measured on.
        most_training: as many training images at most, taken evenly.

    Returns:
        No rows where no training image can be used.
    """
    patients = {item["patient"] for item in measured}
    apart = [item for item in training if item["patient"] not in patients]
    chosen = evenly(apart, most_training)
    fitted_on, measured_on = (list(_seen(items)) for items in (chosen, measured))
    rows = [row for target in (CLASS, SOURCE) for row in _rows(target, fitted_on, measured_on)]
    lost = len(chosen) + len(measured) - len(fitted_on) - len(measured_on)
    shared = len(training) - len(apart)
    return Confounding(tuple(rows), len(fitted_on), len(measured_on), shared, lost)


def _seen(items: Iterable[Item]) -> Iterator[Seen]:
    """The images that can be read."""
    for item in watched(items, "image", words="confounding"):
        try:
            pixels = read_image(item["image"], "radiograph").array
        except InputError:
            continue
        yield item, surroundings(torch.from_numpy(pixels)[None])


def _rows(target: str, training: Sequence[Seen], measured: Sequence[Seen]) -> Iterator[Predicted]:
    """Rows of one target; none where it has one value only, or is not known."""
    parts = [[seen for seen in part if seen[0].get(target)] for part in (training, measured)]
    if not all(parts):
        return
    for region in REGIONS:
        fitted_on, measured_on = (
            _clues(np.stack([numbers[region] for _, numbers in part]), target, part)
            for part in parts
        )
        if row := predict_from(target, region, fitted_on, measured_on):
            yield row
    names = [[str(item.get(SOURCE) or "") for item, _ in part] for part in parts]
    if target == CLASS and len(set(names[0])) > 1:
        with_names = [_clues(clue, target, part) for clue, part in zip(names, parts, strict=True)]
        if row := predict_from(target, NAME_ALONE, *with_names):
            yield row


def _clues(clue: Any, target: str, part: Sequence[Seen]) -> Clues:
    labels, patients = zip(*((str(item[target]), item["patient"]) for item, _ in part), strict=True)
    return Clues(clue, labels, patients)
