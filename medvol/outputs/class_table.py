# SPDX-License-Identifier: Apache-2.0
"""`predictions.csv` out of `monai.bundle run`: a handler that a bundle's inference names."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..metrics.evaluator import EvaluatorTable, Row
from .class_rows import ClassRow, columns_of, line_of


class SaveClasses(EvaluatorTable[ClassRow]):
    """Collect the classes that an evaluator gives, and write them as a table when it is done.

    A handler for a bundle's inference, whose post-processing ends in probabilities `pred`
    (classes,); `medvol predict` writes the same table itself.

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
        self.columns = columns_of(names)
        self.image_key = image_key

    def name(self, item: Mapping[str, Any], given: Any) -> str:  # noqa: ARG002
        """Path of the image."""
        return str(item[self.image_key].meta["filename_or_obj"])

    def measure(self, item: Mapping[str, Any]) -> ClassRow:
        """What is predicted for the image, and the notes on how it was read."""
        notes = str(item[self.image_key].meta.get("notes", "")).splitlines()
        return ClassRow(self.name(item, None), item["pred"].tolist(), notes)

    def rows(self) -> Iterator[Row]:
        """A line an image."""
        return (tuple(line_of(row, self.names)) for _, row in self.cases)
