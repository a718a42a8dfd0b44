# SPDX-License-Identifier: Apache-2.0
"""What a prediction gives back: labels on the input's grid, measured, named and saved."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .bundle.description import Description
from .errors import Note
from .images.find import case_name
from .images.image import Image
from .labels import LabelTable
from .metrics.measurements import Measurement, Reference, measure
from .slices import longest_run_mm


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
class Slices:
    """What was found in each slice of an image, between feet and head, in the array's order.

    Args:
        probability: (N,) of a finding, 0 to 1.
        threshold: lowest probability that counts.
        z_mm: (N,) middle of each slice, RAS.
        segmented: slices of the network that a gate let pass; None where no gate was asked.
    """

    probability: npt.NDArray[np.float32]
    threshold: float
    z_mm: npt.NDArray[np.float64]
    segmented: int | None = None

    @property
    def number_found(self) -> int:
        """Slices at or above the threshold."""
        return int((self.probability >= self.threshold).sum())

    @property
    def length_mm(self) -> float:
        """Length of the longest run of slices at or above the threshold."""
        step = abs(float(self.z_mm[-1] - self.z_mm[0])) / max(1, len(self.z_mm) - 1)
        return longest_run_mm(self.probability, self.threshold, step)

    def __str__(self) -> str:
        slices = len(self.probability)
        if slices == 1:
            return f"probability {self.probability[0]:.2f}, threshold {self.threshold:.2f}"
        return (
            f"{self.number_found} of {slices} slices at or above "
            f"{self.threshold:.2f}, the longest run {self.length_mm:.0f} mm"
        )


@dataclass(frozen=True, eq=False)
class Result:
    """What a bundle says of one image.

    Args:
        image: as it was read.
        mask: (X, Y, Z) uint8 or uint16 on the image's own grid; None for a bundle that answers
            with classes of slices.
        bundle: that made it.
        run: how it came about.
        slices: what was found in each slice, by a classifier or a gate; None without any.
        name: of the case, where images of one name must be told apart; empty takes the image's.
    """

    image: Image
    mask: npt.NDArray[Any] | None
    bundle: Description
    run: Run
    slices: Slices | None = None
    name: str = ""

    @property
    def labels(self) -> npt.NDArray[Any]:
        """The mask.

        Raises:
            ValueError: the bundle answers with classes of slices.
        """
        if self.mask is None:
            raise ValueError(f"{self.bundle.name} marks no voxels; read `slices` instead of labels")
        return self.mask

    @property
    def found(self) -> bool | None:
        """The volume's answer: by the bundle's rule for slices, False where a gate let none pass.

        None where neither says so: the labels are the answer then.
        """
        if self.slices is None:
            return None
        rule = self.bundle.slice_rule
        if rule is not None:
            return self.slices.length_mm >= rule.length_mm
        return False if self.slices.segmented == 0 else None

    @property
    def answer(self) -> str:
        """The volume's answer in words, such as "lesion found", "no lesion found"; or empty."""
        if self.found is None:
            return ""
        return f"{'' if self.found else 'no '}{self.bundle.focus_name} found"

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
        """Voxels, ml, mean value and share of the reference organ, per label; or no rows."""
        if self.mask is None:
            return []
        return measure(
            self.mask, self.image.array, self.image.affine, self.table, reference=self.reference
        )

    @property
    def volume_ml(self) -> dict[str, float]:
        """Volume in ml by name of the label."""
        return {row.name: row.volume_ml for row in self.measurements}


def value_range(low: float, high: float, values: str) -> str:
    """A range in words, such as "-1350 to 150 HU"."""
    return f"{low:.0f} to {high:.0f}" + (f" {values}" if values == "HU" else "")
