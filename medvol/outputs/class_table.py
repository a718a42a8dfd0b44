# SPDX-License-Identifier: Apache-2.0
"""`predictions.csv` out of `monai.bundle run`: a handler that a bundle's inference names."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..metrics.evaluator import EvaluatorTable, Row
from .cases import column


class ClassRow(NamedTuple):
    """What is said of one image.

    Args:
        image: its path.
        probability: of each class, 0 to 1.
        notes: remarks on how it was read, one line each.
    """

    image: str
    probability: Sequence[float]
    notes: Sequence[str] = ()


class SaveClasses(EvaluatorTable[ClassRow]):
    """Collect the classes that an evaluator gives, and write them as a table when it is done.

    A handler for a bundle's inference, whose post-processing ends in probabilities `pred`
    (classes,). Columns: `image`, `class`, `index` (of the class, from 0), `probability_<name>` for
    each class, as `medvol predict` has them in `cases.csv`, and `notes`. The class is the one with
    the highest probability, of equal ones the first.

    Args:
        path: of the CSV.
        names: of the classes, in the order of the network's outputs.
        image_key: item with the network's input, whose metadata name the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], names: Sequence[str], image_key: str = "image"
    ) -> None:
        super().__init__(path)
        self.names = tuple(names)
        probabilities = (column("probability", name) for name in names)
        self.columns = ("image", "class", "index", *probabilities, "notes")
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
        )
        if len(row.probability) != len(self.names):
            raise ValueError(
                f"{row.image} has {len(row.probability)} probabilities, but {len(self.names)} "
                "classes are named; name as many classes as the network has outputs"
            )
        return row

    def rows(self) -> Iterator[Row]:
        """A line an image."""
        for _, (image, probability, notes) in self.cases:
            index = int(np.argmax(probability))
            shares = (f"{p:.6g}" for p in probability)
            yield (image, self.names[index], index, *shares, " ".join(notes))
