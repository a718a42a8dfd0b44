# SPDX-License-Identifier: Apache-2.0
"""What a prediction gives back: labels on the input's grid, measured, named and saved."""

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.description import Description
from ..errors import Note
from ..io.image import Image
from ..io.naming import case_name
from ..labels import LabelTable
from ..metrics.measurements import Measurement, Reference, measure

HASH_CHUNK = 1 << 20


@dataclass(frozen=True)
class Run:
    """How a result came about.

    Args:
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        chain_fingerprint: of the chain that prepared the image; None for a chain that has none.
        times_s: stage to seconds.
        peak_memory_bytes: largest resident memory of the process so far.
        remarks: what was given up for memory, in words.
        settings: window, overlap, windows at once, threads.
    """

    device: str
    precision: str
    chain_fingerprint: str | None
    times_s: dict[str, float]
    peak_memory_bytes: int
    remarks: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Result:
    """Labels of one image.

    Args:
        image: as it was read.
        labels: (X, Y, Z) uint8 or uint16 on the image's own grid.
        bundle: that made them.
        run: how they came about.
        name: of the case, where images of one name must be told apart; empty takes the image's.
    """

    image: Image
    labels: npt.NDArray[Any]
    bundle: Description
    run: Run
    name: str = ""

    @property
    def table(self) -> LabelTable:
        """Names, colours and codes of the labels."""
        return self.bundle.labels

    @property
    def notes(self) -> tuple[Note, ...]:
        """Remarks about the image."""
        return self.image.notes

    @property
    def case(self) -> str:
        """Name of the case: that of the image without its suffix where nothing else is said."""
        return self.name or case_name(self.image.path)

    @property
    def reference(self) -> Reference | None:
        """The organ that shares are of."""
        organ = self.bundle.reference
        return Reference(*organ) if organ else None

    @cached_property
    def measurements(self) -> list[Measurement]:
        """Voxels, ml, mean HU and share of the reference organ, per label."""
        return measure(
            self.labels, self.image.array, self.image.affine, self.table, reference=self.reference
        )

    @property
    def volume_ml(self) -> dict[str, float]:
        """Volume in ml by name of the label."""
        return {row.name: row.volume_ml for row in self.measurements}

    def save(
        self, folder: str | os.PathLike[str], *, formats: Collection[str] | None = None
    ) -> dict[str, Path]:
        """Write the files of a case; each appears whole or not at all.

        Args:
            folder: made when it is not there.
            formats: of `medvol.predict.save.FORMATS`; None writes all.

        Returns:
            Format to path of what was written.

        Raises:
            InputError: E_NOSPACE, something cannot be written.
            ValueError: an unknown format.
        """
        from .save import save

        return save(self, Path(folder), formats=formats)


def input_sha256(path: Path, pair: Sequence[Path] = ()) -> str:
    """SHA-256 of a file; of several, of their names and hashes in the order of names.

    Args:
        path: file or folder.
        pair: header and data file, where the image at `path` is two files (`Image.pair`).
    """
    if path.is_dir() or pair:
        folder = path if path.is_dir() else path.parent
        files = sorted(pair or (f for f in path.rglob("*") if f.is_file()))
        lines = [f"{f.relative_to(folder).as_posix()} {input_sha256(f)}\n" for f in files]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hu_range(array: npt.NDArray[Any]) -> str:
    """Smallest and largest value, in words."""
    return f"{np.min(array):.0f} to {np.max(array):.0f} HU"
