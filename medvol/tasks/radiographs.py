# SPDX-License-Identifier: Apache-2.0
"""Bundles that predict the class of a radiograph."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..answer import Answer, Classes
from ..bundle.spec import Spec
from ..errors import InputError
from ..images.dicom import is_dicom
from ..images.find import find_radiographs
from ..images.image import Image, Kind
from ..images.radiograph_picture import load_radiograph_picture
from ..images.unchanged import read_unchanged
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
        """Read a radiograph; for a bundle made elsewhere that takes colours, a picture in them.

        Raises:
            InputError: it cannot be used; the code says why.
        """
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        in_colours = not self.spec.is_medvols and len(self.spec.channels) > 1
        if in_colours and path is not None and not path.is_dir() and not is_dicom(path):
            return read_unchanged(path, partial(load_radiograph_picture, path, colours=True))
        return opened(source, self.kind, reading)

    def answer(self, processed: "Processed", pipeline: "Pipeline") -> Answer:  # noqa: ARG002
        """The probability of each class.

        Raises:
            InputError: E_BUNDLE, the postprocessing gave none.
        """
        from ..engine.steps import PRED

        image, data, run = processed
        names = self.spec.classes
        probability = np.asarray(data[PRED].cpu(), np.float32)
        if probability.shape != (len(names),):
            raise self._no_answer(
                f"its answer has shape {probability.shape}, but it names {len(names)} classes."
            )
        each = not self.spec.is_medvols and probability.max() <= 1  # a yes or no to every class
        apart = abs(probability.sum() - 1) >= SUM_TOLERANCE
        if not probability.min() >= 0 or (apart and not each):
            raise self._no_answer("its answer does not give probabilities that add up to 1.")
        found = Classes(names, probability, threshold=self.spec.decision.threshold)
        return Answer(image, self.spec, run, classes=found)

    def _no_answer(self, reason: str) -> InputError:
        return InputError(
            "E_BUNDLE", self.spec.folder, reason,
            "End its postprocessing with Activationsd(keys='pred', softmax=True).",
        )  # fmt: skip
