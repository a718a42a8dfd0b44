# SPDX-License-Identifier: Apache-2.0
"""`predictions.csv`: the class of each image, with the probabilities of all classes."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..answer import Answer, Refusal
from ..bundle.spec import Spec
from ..files import write_csv
from ..metrics.evaluator import EvaluatorTable, Row
from ..owned import filling, withdraw

REFUSED = ""  # in the count of classes


class ClassRow(NamedTuple):
    """What is said of one image.

    Args:
        image: its path.
        probability: of each class, 0 to 1; empty for an image that was refused.
        notes: remarks on how it was read, or why it was refused, one line each.
    """

    image: str
    probability: Sequence[float] = ()
    notes: Sequence[str] = ()


def _columns(names: Sequence[str]) -> tuple[str, ...]:
    probabilities = ("_".join(["probability", *name.split()]) for name in names)
    return ("image", "class", "index", *probabilities, "notes")


def _line(row: ClassRow, names: Sequence[str]) -> list[object]:
    notes = " ".join(row.notes)
    if not len(row.probability):
        return [row.image, "", "", *[""] * len(names), notes]
    if len(row.probability) != len(names):
        raise ValueError(
            f"{row.image} has {len(row.probability)} probabilities, but {len(names)} classes "
            "are named; name as many classes as the network has outputs"
        )
    index = int(np.argmax(row.probability))
    return [row.image, names[index], index, *(f"{p:.6g}" for p in row.probability), notes]


class ClassTable:
    """The table of a run of `medvol predict`: rows are added one by one, and written at the end.

    Args:
        path: of the CSV; one of an older run is taken away at once.
        spec: of the bundle, which names the classes.

    Raises:
        InputError: E_OUTPUT, a file of that name is there which is not medvol's own; E_NOSPACE, the
            folder cannot be written.
    """

    def __init__(self, path: Path, spec: Spec) -> None:
        withdraw(path.parent, [path.name])
        self.path = path
        self.names = spec.classes
        self.rows: list[ClassRow] = []
        self.count: Counter[str] = Counter()

    def add(self, path: str, answer: Answer | Refusal) -> None:
        """Add the line of an image.

        Args:
            path: of the image, as it was found.
            answer: to it, or why it was refused.
        """
        if isinstance(answer, Refusal):
            self.rows.append(ClassRow(path, notes=[f"{answer.error.code} {answer.error.reason}"]))
            self.count[REFUSED] += 1
        elif answer.classes is not None:
            notes = [str(note) for note in answer.notes]
            self.rows.append(ClassRow(path, answer.classes.probability.tolist(), notes))
            self.count[answer.classes.name] += 1

    def write(self) -> None:
        """Write the table, whole or not at all: a line an image.

        Columns: `image`, `class`, `index` (of the class, from 0), `probability_<name>` for each
        class, spaces as underscores, and `notes`. The class is the one with the highest
        probability, of equal ones the first. Of a refused image, class, index and probabilities
        are empty.

        Raises:
            ValueError: a row has another number of probabilities.
            InputError: E_OUTPUT, as for the table; E_NOSPACE, it cannot be written.
        """
        lines = (_line(row, self.names) for row in self.rows)
        with filling(self.path.parent) as scratch:
            write_csv(scratch / self.path.name, _columns(self.names), lines)

    def __str__(self) -> str:
        """How many images are of each class, such as "3 images: 1 normal, 2 pneumonia"."""
        number = len(self.rows)
        found = [f"{self.count[name]} {name}" for name in self.names]
        refused = [f"{self.count[REFUSED]} refused"] if self.count[REFUSED] else []
        return f"{number} image{'s' if number > 1 else ''}: {', '.join([*found, *refused])}"


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
        self.columns = _columns(names)
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
        return (tuple(_line(row, self.names)) for _, row in self.cases)
