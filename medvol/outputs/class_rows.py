# SPDX-License-Identifier: Apache-2.0
"""`predictions.csv`: the class of each image, with the probabilities of all; loads no torch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..answer import Answer
from ..bundle.spec import Spec
from ..errors import InputError
from ..files import write_csv
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


def row_of(path: str, found: Answer | InputError) -> ClassRow:
    """What is said of an image.

    Args:
        path: of the image, as it was found.
        found: the answer to it, or why it was refused.

    Raises:
        ValueError: the answer has no classes.
    """
    if isinstance(found, InputError):
        return ClassRow(path, notes=[f"{found.code} {found.reason}"])
    if found.classes is None:
        raise ValueError(f"{found.case} has no classes; give a bundle of radiographs")
    return ClassRow(path, found.classes.probability.tolist(), [str(note) for note in found.notes])


def columns_of(names: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of a table of these classes."""
    probabilities = ("_".join(["probability", *name.split()]) for name in names)
    return ("image", "class", "index", *probabilities, "notes")


def line_of(row: ClassRow, names: Sequence[str]) -> list[object]:
    """The values of a row, one a column.

    Args:
        row: of the table.
        names: of its classes.

    Raises:
        ValueError: it has another number of probabilities.
    """
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

    def add(self, row: ClassRow) -> None:
        """Add the line of an image."""
        self.rows.append(row)
        number = int(np.argmax(row.probability)) if len(row.probability) else None
        self.count[REFUSED if number is None else self.names[number]] += 1

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
        lines = (line_of(row, self.names) for row in self.rows)
        with filling(self.path.parent) as scratch:
            write_csv(scratch / self.path.name, columns_of(self.names), lines)

    def __str__(self) -> str:
        """How many images are of each class, such as "3 images: 1 normal, 2 pneumonia"."""
        number = len(self.rows)
        found = [f"{self.count[name]} {name}" for name in self.names]
        refused = [f"{self.count[REFUSED]} refused"] if self.count[REFUSED] else []
        return f"{number} image{'s' if number > 1 else ''}: {', '.join([*found, *refused])}"
