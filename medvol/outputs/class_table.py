# SPDX-License-Identifier: Apache-2.0
"""`predictions.csv` out of `monai.bundle run`: a handler that a bundle's inference names."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..metrics.classes.decision import decided
from ..metrics.evaluator import EvaluatorTable, Row
from .cases import column


class ClassRow(NamedTuple):
    """What is said of one image.

    Args:
        image: its path.
        probability: of each class, 0 to 1.
        notes: remarks on how it was read, one line each.
        truth: number of its class; None where nobody knows.
    """

    image: str
    probability: Sequence[float]
    notes: Sequence[str] = ()
    truth: int | None = None


class SaveClasses(EvaluatorTable[ClassRow]):
    """Collect the classes that an evaluator gives, and write them as a table when it is done.

    A handler for a bundle's inference, whose post-processing ends in probabilities `pred`
    (classes,). Columns: `image`, `class`, `index` (of the class, from 0), `probability_<name>` for
    each class, as `medvol predict` has them in `cases.csv`, and `notes`. With `label_key` also
    `truth`, the number of the true class.

    Args:
        path: of the CSV.
        names: of the classes, in the order of the network's outputs.
        image_key: item with the network's input, whose metadata name the file.
        threshold: from which the second of two classes is the class; None for the class with the
            highest probability, of equal ones the first.
        label_key: item with the number of the true class; None where nobody knows it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: Sequence[str],
        image_key: str = "image",
        *,
        threshold: float | None = None,
        label_key: str | None = None,
    ) -> None:
        super().__init__(path)
        self.names = tuple(names)
        self.threshold = threshold
        self.label_key = label_key
        probabilities = (column("probability", name) for name in names)
        truth = ("truth",) if label_key else ()
        self.columns = ("image", "class", "index", *probabilities, *truth, "notes")
        self.image_key = image_key

    def name(self, item: Mapping[str, Any], given: Any) -> str:  # noqa: ARG002
        """Path of the image."""
        return str(item[self.image_key].meta["filename_or_obj"])

    def measure(self, item: Mapping[str, Any]) -> ClassRow:
        """What is predicted for the image, and the notes on how it was read.

        Raises:
            ValueError: there is another number of probabilities than of names.
        """
        row = ClassRow(
            self.name(item, None),
            item["pred"].tolist(),
            str(item[self.image_key].meta.get("notes", "")).splitlines(),
            None if self.label_key is None else int(item[self.label_key]),
        )
        if len(row.probability) != len(self.names):
            raise ValueError(
                f"{row.image} has {len(row.probability)} probabilities, but {len(self.names)} "
                "classes are named; name as many classes as the network has outputs"
            )
        return row

    def rows(self) -> Iterator[Row]:
        """A line an image."""
        for _, (image, probability, notes, truth) in self.cases:
            index = int(decided(np.array(probability, np.float32), self.threshold))
            shares = (f"{p:.6g}" for p in probability)
            known = () if truth is None else (truth,)
            yield (image, self.names[index], index, *shares, *known, " ".join(notes))
