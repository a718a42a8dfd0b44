# SPDX-License-Identifier: Apache-2.0
"""Bundles that predict the class of a radiograph."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..answer import Answer, Classes
from ..bundle.spec import Spec
from ..errors import InputError
from ..images.find import find_radiographs
from ..images.image import Image, Kind
from .cases import Reading, Source, opened

if TYPE_CHECKING:
    from ..engine.pipeline import Pipeline, Processed

BATCH = 16  # more is not faster on a CPU, and little on a GPU behind the reading of files
SUM_TOLERANCE = 1e-3  # of probabilities; those of bf16 add up to 1 within 0.0005


class Radiographs:
    """Reads radiographs, and answers with the probability of each class.

    Args:
        spec: of the bundle.
    """

    takes = "radiographs"
    kind: Kind = "radiograph"
    options = frozenset({"attention", "batch_size"})
    gives = frozenset({"classes"})
    formats = ("cases", "index", "cases-json")
    report = ("attention", "html")
    batch_size = BATCH
    pictures = True
    any_reader = False  # another reader has another grey scale, which the bundle's chain knows

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def find(self, folder: Path) -> list[Path]:
        """The radiographs in a folder and in all folders in it."""
        return find_radiographs(folder)

    def read(self, source: Source, reading: Reading) -> Image:
        """Read a radiograph.

        Raises:
            InputError: it cannot be used; the code says why.
        """
        return opened(source, self.kind, reading)

    def answer(self, processed: "Processed", pipeline: "Pipeline") -> Answer:  # noqa: ARG002
        """The probability of each class.

        Raises:
            InputError: E_BUNDLE, the postprocessing gave none.
        """
        from ..engine.pipeline import PRED

        image, data, run = processed
        names = self.spec.classes
        probability = np.asarray(data[PRED].cpu(), np.float32)
        if probability.shape != (len(names),):
            raise self._no_answer(
                f"its answer has shape {probability.shape}, but it names {len(names)} classes."
            )
        if not (abs(probability.sum() - 1) < SUM_TOLERANCE and probability.min() >= 0):
            raise self._no_answer("its answer does not give probabilities that add up to 1.")
        return Answer(image, self.spec, run, classes=Classes(names, probability))

    def _no_answer(self, reason: str) -> InputError:
        return InputError(
            "E_BUNDLE", self.spec.folder, reason,
            "End its postprocessing with Activationsd(keys='pred', softmax=True).",
        )  # fmt: skip
