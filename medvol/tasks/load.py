# SPDX-License-Identifier: Apache-2.0
"""A bundle by its name, as what runs it: on volumes, or on radiographs."""

import os

from ..bundle.description import describe
from ..errors import InputError
from .classifier import ImageClassifier
from .predictor import Predictor


def load_bundle(
    name_or_folder: str | os.PathLike[str],
    *,
    device: str = "auto",
    precision: str | None = None,
    gate: float | str | None = None,
) -> Predictor | ImageClassifier:
    """Load a bundle for prediction.

    Args:
        name_or_folder: name of a shipped bundle, or a bundle's folder.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        gate: threshold of the bundle's gate, 0 to 1, or "off"; None keeps the bundle's own.

    Returns:
        An `ImageClassifier` for a bundle that takes radiographs, else a `Predictor`. Both have
        `predict(path)`.

    Raises:
        InputError: E_BUNDLE, no such bundle, or one that cannot be built.
        ValueError: no such device or precision.
    """
    bundle = describe(name_or_folder)
    if not bundle.takes_radiographs:
        return Predictor(bundle, device=device, precision=precision, gate=gate)
    if gate is not None:
        raise InputError(
            "E_BUNDLE", bundle.folder, "it takes radiographs, so it has no gate.",
            "Leave the threshold out.",
        )  # fmt: skip
    return ImageClassifier(bundle, device=device, precision=precision)
