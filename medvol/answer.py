# SPDX-License-Identifier: Apache-2.0
"""What a bundle finds in an image: a mask, slices or classes, with how it came about."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .bundle.spec import Spec
from .errors import InputError, Note
from .images.find import case_name
from .images.image import Image
from .images.memory import MaskKind, mask_as
from .metrics.classes.decision import decided
from .metrics.coverage import cut_note
from .metrics.measurements import Measurement, Reference, marked, measure, voxels_per_slice
from .slices import longest_run_mm
from .spatial import feet_head_axis, slice_z_mm

PART = "N_COVERAGE"  # of a note on an image that shows a part of the organ only

if TYPE_CHECKING:
    from .metrics.burden import Burden
    from .metrics.masks.comparison import RegionFigures


@dataclass(frozen=True)
class Run:
    """How an answer came about.

    Args:
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        chain_fingerprint: of the chain that prepared the image; None for a chain that has none.
        times_s: stage to seconds.
        peak_memory_bytes: largest resident memory of the process so far.
        remarks: what was given up for memory, in words.
        settings: window, overlap, windows at once, threads.
        notes: that the bundle's transforms made while they worked on the image.
        engine: what ran the network and why, and what took the place of the bundle's parts, see
            `engine.explained`; empty where no network ran.
        undecided: of what is marked, the share with a score near the middle, 0 to 1, see
            `transforms.undecided`; None where the bundle does not say it.
    """

    device: str
    precision: str
    chain_fingerprint: str | None
    times_s: dict[str, float]
    peak_memory_bytes: int
    remarks: tuple[str, ...]
    settings: dict[str, Any]
    notes: tuple[Note, ...] = ()
    engine: dict[str, Any] = field(default_factory=dict)
    undecided: float | None = None


@dataclass(frozen=True, eq=False)
class Slices:
    """What was found in each slice of an image, between feet and head, in the array's order.

    Args:
        probability: (N,) of a finding, 0 to 1.
        threshold: lowest probability that counts.
        z_mm: (N,) middle of each slice, RAS.
        segmented: slices of the network that a gate let pass; None where no gate was asked.
        judged: slices of the network that it was asked about; they need not be the image's.
    """

    probability: npt.NDArray[np.float32]
    threshold: float
    z_mm: npt.NDArray[np.float64]
    segmented: int | None = None
    judged: int | None = None

    @property
    def passed_by(self) -> bool:
        """Whether a gate kept slices from the segmenter, so that nothing is marked there."""
        return self.segmented is not None and self.segmented != self.judged

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
class Attention:
    """Where a network looked: what in a radiograph speaks for a class.

    Args:
        method: that made the map, such as "grad-cam".
        heat: (rows, columns) in [0, 1], on the image's own grid.
    """

    method: str
    heat: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Classes:
    """The class of an image.

    Args:
        names: of the classes.
        probability: (classes,), 0 to 1, together 1.
        attention: what speaks for the class; None where no map was asked for.
        threshold: from which the second of two classes is the answer; None for the most probable.

    Example:
        >>> found = Classes(("normal", "pneumonia"), np.float32([0.25, 0.75]))
        >>> found.index, found.name, str(found)
        (1, 'pneumonia', 'pneumonia 0.75')
    """

    names: tuple[str, ...]
    probability: npt.NDArray[np.float32]
    attention: Attention | None = None
    threshold: float | None = None

    @property
    def index(self) -> int:
        """Number of the class; of equally probable ones the first."""
        return int(decided(self.probability, self.threshold))

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.names[self.index]

    def __str__(self) -> str:
        return f"{self.name} {self.probability[self.index]:.2f}"


@dataclass(frozen=True, eq=False)
class GivenMask:
    """A mask that was drawn or corrected by hand, and is measured in place of a prediction.

    Args:
        file: its name, without folders.
        sha256: of the file.
        predicted: (X, Y, Z), the prediction that it is compared with; None where there is none.
    """

    file: str
    sha256: str
    predicted: npt.NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What a bundle finds in one image; what its task does not give is None.

    Args:
        image: as it was read.
        spec: of the bundle.
        run: how the answer came about.
        mask: (X, Y, Z) uint8 or uint16 on the image's own grid.
        slices: what was found in each slice, by a classifier of slices or a gate.
        classes: the class of a radiograph, with the probability of each, (classes,).
        case: name, where two images have one name; empty takes the image's.
        given: where the mask comes from, when no network made it.
    """

    image: Image
    spec: Spec
    run: Run
    mask: npt.NDArray[Any] | None = None
    slices: Slices | None = None
    classes: Classes | None = None
    case: str = ""
    given: GivenMask | None = None

    def __post_init__(self) -> None:
        if not self.case:
            object.__setattr__(self, "case", case_name(self.image.path))

    @property
    def found(self) -> bool | None:
        """Whether the volume has the finding: by the bundle's rule for slices, or by its gate.

        False where a gate let no slice pass; None where neither decides.
        """
        if self.slices is None:
            return None
        rule = self.spec.slice_rule
        if rule is not None:
            return self.slices.length_mm >= rule.length_mm
        return False if self.slices.segmented == 0 else None

    @property
    def finding(self) -> str:
        """The image's answer in words, such as "no lesion found" or "pneumonia"; or empty.

        Where only a part of the organ is shown, nothing is said of the rest.
        """
        if self.classes is not None:
            return self.classes.name
        if self.found is None:
            return ""
        if self.part_shown:
            return f"{self.spec.focus_name if self.found else 'nothing'} found in the part shown"
        return f"{'' if self.found else 'no '}{self.spec.focus_name} found"

    @property
    def part_shown(self) -> bool:
        """Whether the image shows a part of the organ only, as a note then says."""
        return any(note.code == PART for note in self.notes)

    def mask_as(self, kind: MaskKind) -> Any:
        """The mask as an object of another package, on the image's own grid.

        Args:
            kind: "numpy" gives (X, Y, Z) and its affine, "metatensor" MONAI's (1, X, Y, Z);
                "nibabel", "simpleitk", "itk" an image of theirs.

        Raises:
            ValueError: there is no mask, or another kind.
            ImportError: the package is not installed; says how to install it.
        """
        if self.mask is None:
            raise ValueError(f"{self.spec.name} gives no mask, but {self.spec.task}")
        return mask_as(self.mask, self.image.affine, kind)

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """Remarks on the image, as it was read and as it was worked on, and on what it shows."""
        return (*self.image.notes, *self.run.notes, *self._cut(), *self._levels())

    @cached_property
    def reference(self) -> Reference | None:
        """The organ that shares are of; None where a mask by hand marks nothing of it but lesions,
        of which it would be full."""
        organ = self.spec.reference
        if organ is None or self.mask is None or self.given is None:
            return organ
        beside = [value for value in organ.values if value not in self.spec.focus]
        return organ if not beside or marked(self.mask, beside).any() else None

    def _levels(self) -> list[Note]:
        """N_SHIFT where the HU of the organ lie beyond the training data of what marked it."""
        organ, levels = self.reference, self.spec.organ_levels
        if self.mask is None or organ is None or levels is None or self.given is not None:
            return []
        return levels.notes(self.mask, self.image.array, organ.values, name=organ.name)

    def _cut(self) -> list[Note]:
        """N_COVERAGE where the mask says that the organ goes on beyond the stack."""
        organ, known = self.reference, any(note.code == PART for note in self.image.notes)
        asked = self.spec.coverage is not None or self.spec.lung_regions
        if self.mask is None or organ is None or not asked or known:
            return []
        if self.slices is not None and self.slices.passed_by:  # nothing is marked there
            return []
        affine = self.image.affine
        areas = voxels_per_slice(self.mask, organ.values)[feet_head_axis(affine)]
        z_mm = slice_z_mm(self.mask.shape, affine)
        return cut_note(areas if z_mm[0] < z_mm[-1] else areas[::-1], organ.name)

    @cached_property
    def measurements(self) -> list[Measurement]:
        """Voxels, ml, mean value and share of the reference organ, per label; or no rows."""
        if self.mask is None:
            return []
        return measure(
            self.mask, self.image.array, self.image.affine, self.spec.labels,
            reference=self.reference,
        )  # fmt: skip

    @cached_property
    def difference(self) -> "dict[str, RegionFigures]":
        """The prediction beside a mask given by hand, region by region; empty without either."""
        from .metrics.masks.comparison import compare  # here: it loads torch

        if self.given is None or self.given.predicted is None or self.mask is None:
            return {}
        focus = set(self.spec.focus)
        return compare(
            self.given.predicted, self.mask, self.image.affine, self.spec.regions,
            lesions=[name for name, values in self.spec.regions.items() if set(values) <= focus],
        )  # fmt: skip

    @cached_property
    def burden(self) -> "Burden | None":
        """Where the lesions lie: by lung and third, and one by one; None of other organs.

        There are no thirds where a part of the lungs is shown, or where a gate passed slices by.
        """
        from .metrics.burden import lung_burden  # here: it loads SciPy

        spec, gated = self.spec, self.slices is not None and self.slices.passed_by
        organ = self.reference
        if self.mask is None or organ is None or not spec.lung_regions:
            return None
        return lung_burden(
            self.mask, self.image.array, self.image.affine,
            organ=organ.values, focus=spec.focus,
            whole=not (self.part_shown or gated),
        )  # fmt: skip

    @property
    def ct_score(self) -> int | None:
        """CT score of both lungs, 0 to 24; None where not all of both is there and shown."""
        return self.burden.score if self.burden else None

    @property
    def volume_ml(self) -> dict[str, float]:
        """Volume in ml by name of the label."""
        return {row.name: row.volume_ml for row in self.measurements}


class Refusal(NamedTuple):
    """An image that cannot be used, and why.

    Args:
        case: its name.
        path: of its file or folder, as it was given; a word for an image in memory.
        error: why.
    """

    case: str
    path: str
    error: InputError
