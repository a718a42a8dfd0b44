# SPDX-License-Identifier: Apache-2.0
"""Weights of classes for a loss, so that rare classes are not drowned."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

EXPONENTS = {"none": 0.0, "root": 0.5, "balanced": 1.0}


def class_weights(
    items: Sequence[Mapping[str, Any]],
    classes: int | Sequence[str],
    *,
    scheme: str = "balanced",
    label_key: str = "label",
) -> Tensor:
    """Weights of classes from how often they occur; their mean over the items is 1.

    "balanced" is n / (k * n_c) for n items, k classes and n_c items of the class, as scikit-learn
    has it, so that every class counts the same. "root" weighs by the square root of that, half
    way. "none" gives ones.

    Args:
        items: of a datalist, those that are trained on.
        classes: how many, or their names.
        scheme: "balanced", "root" or "none".
        label_key: of the class in an item, 0 to classes - 1.

    Returns:
        (classes,) float32, such as for `torch.nn.CrossEntropyLoss(weight=...)`.

    Raises:
        ValueError: an unknown scheme, a label out of range, or a class without items.

    Example:
        >>> class_weights([{"label": 0}, {"label": 0}, {"label": 0}, {"label": 1}], 2).tolist()
        [0.6666666865348816, 2.0]
    """
    if scheme not in EXPONENTS:
        raise ValueError(f"scheme is {scheme!r}; give one of {', '.join(EXPONENTS)}")
    names = [str(i) for i in range(classes)] if isinstance(classes, int) else list(classes)
    labels = [int(item[label_key]) for item in items]
    beyond = sorted({label for label in labels if not 0 <= label < len(names)})
    if beyond:
        raise ValueError(f"there are labels {beyond}; give labels from 0 to {len(names) - 1}")
    counts = torch.tensor([labels.count(i) for i in range(len(names))], dtype=torch.float64)
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        raise ValueError(
            f"no item is of class {', '.join(absent)}; give items of every class, or leave it out"
        )
    weights = (counts.sum() / counts) ** EXPONENTS[scheme]
    return (weights * counts.sum() / (weights * counts).sum()).float()
