# SPDX-License-Identifier: Apache-2.0
"""The series of a study as a user tells them apart, chooses one, and which suits a chest CT."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...text import NONE, aligned, counted
from .header import Slice

SHOWN_SERIES = 20  # in a message, which is one line; a CT study has 3 to 15
AXIAL_COSINE = (
    0.9  # of the slices' normal with the patient's long axis; a gantry tilts to 25 degrees
)
THIN_MM = 3.0  # from slice to slice: the lesions that are marked are some millimetres large
LONG_MM = 150.0  # from the first slice to the last; lungs are 200 mm high or more
# in ImageType: made of another series, and often without its noise or its small lesions
REFORMATTED = ("MPR", "MIP", "MINIP", "REFORMATTED", "PROJECTION IMAGE", "AVERAGE")
LUNG = "lung"  # in a kernel's name or a description


@dataclass(frozen=True)
class Series:
    """What tells a series apart from the others of its study.

    Args:
        uid: SeriesInstanceUID.
        number: SeriesNumber; None where it has none.
        description: SeriesDescription, as the scanner or a person wrote it; "" without one.
        modality: such as "CT"; "" where it is not known.
        images: how many.
        size: columns and rows of the first.
        step_mm: usual distance from slice to slice; None where positions are missing.
        extent_mm: from the first slice to the last; 0 where positions are missing.
        axial: whether its slices lie across the patient's long axis.
        reformatted: whether its header says that it was made of another series.
        kernel: ConvolutionKernel; "" without one.
        study: PatientID and StudyInstanceUID, which are compared and never shown.
    """

    uid: str
    number: int | None
    description: str
    modality: str
    images: int
    size: tuple[int, int]
    step_mm: float | None
    extent_mm: float
    axial: bool
    reformatted: bool
    kernel: str
    study: tuple[str, str]

    def __str__(self) -> str:
        """In words, without its number or UID."""
        step = None if self.step_mm is None else f"{self.step_mm:.3g} mm apart"
        words = (
            self.modality or "no modality",
            f"{counted(self.images, 'image')} of {self.size[0]} x {self.size[1]}",
            step,
            self.kernel,
        )
        described = f'"{self.description}" ' if self.description else ""
        return f"{described}({', '.join(filter(None, words))})"

    @property
    def suits(self) -> tuple[bool, bool, float, bool, int] | None:
        """What is larger for what suits a chest CT better: long, thin, mm from slice to slice
        (negative), of a lung kernel, images. None where it does not suit: not CT, not axial, or not
        a stack."""
        if self.modality != "CT" or not self.axial or not self.step_mm or self.reformatted:
            return None
        is_lung = LUNG in f"{self.kernel} {self.description}".casefold()
        thin = self.step_mm <= THIN_MM
        return self.extent_mm >= LONG_MM, thin, -round(self.step_mm, 1), is_lung, self.images


def series_of(uid: str, slices: Sequence[Slice]) -> Series:
    """What its slices say of a series.

    Args:
        uid: SeriesInstanceUID.
        slices: of the series, at least one.
    """
    first = slices[0]
    step_mm, extent_mm, axial = _heights(slices)
    return Series(
        uid=uid,
        number=first.number,
        description=first.description,
        modality=first.modality,
        images=len(slices),
        size=(first.columns, first.rows),
        step_mm=step_mm,
        extent_mm=extent_mm,
        axial=axial,
        reformatted=any(word in first.image_type for word in REFORMATTED),
        kernel=str(first.technical.get("ConvolutionKernel", "")),
        study=(first.origin.get("PatientID", ""), first.origin.get("StudyInstanceUID", "")),
    )


def _heights(slices: Sequence[Slice]) -> tuple[float | None, float, bool]:
    """Usual step and extent along the normal, in mm, and whether it is the patient's long axis."""
    orientation = slices[0].place.orientation
    positions = [image.place.position for image in slices]
    if orientation is None or any(position is None for position in positions):
        return None, 0.0, False
    normal = np.cross(orientation[:3], orientation[3:])
    heights = np.unique(np.round(np.array(positions) @ normal, 2))
    if not np.isfinite(heights).all() or len(heights) < 2:
        return None, 0.0, False
    axial = bool(abs(normal[2]) >= AXIAL_COSINE)
    return float(np.median(np.diff(heights))), float(np.ptp(heights)), axial


def matching(series: Sequence[Series], wanted: str) -> list[Series]:
    """The series that are meant: by UID, by number, by the whole description, or by a part of it.

    The first of these ways that finds any counts. Capitals and blanks at the ends do not. Digits
    alone are a number or a whole description, never a part of one.

    Args:
        series: of one or more studies.
        wanted: such as "1.2.840.7", "3" or "Lung 1.0".
    """
    word = wanted.strip().casefold()
    ways: list[Callable[[Series], Any]] = [
        lambda one: one.uid == wanted.strip(),
        lambda one: word.isdecimal() and one.number == int(word),
        lambda one: one.description.casefold() == word,
        lambda one: word and not word.isdecimal() and word in one.description.casefold(),
    ]
    for way in ways:
        if found := [one for one in series if way(one)]:
            return found
    return []


def suggestion(series: Sequence[Series]) -> Series | None:
    """The series that suits a chest CT best; None where none does.

    It is CT in axial slices as they were reconstructed, long enough for lungs; of such the one with
    the thinnest steps, of a lung kernel, and with most slices.

    Args:
        series: of a study.
    """
    known = [(one.suits, one) for one in series if one.suits is not None]
    return max(known, key=lambda pair: pair[0] or (), default=(None, None))[1]


def reason(series: Series) -> str:
    """Why a series is suggested, in words."""
    long = "" if series.extent_mm >= LONG_MM else ", though short"
    words = f"axial, {counted(series.images, 'slice')} {series.step_mm:.3g} mm apart"
    return f"{words} over {series.extent_mm:.0f} mm{long}"


def numbered(series: Sequence[Series]) -> list[Series]:
    """The series in the order of their numbers, those without one last, the largest first."""
    return sorted(series, key=lambda x: (x.number is None, x.number or 0, -x.images, x.uid))


def choices(series: Sequence[Series]) -> Mapping[str, Series]:
    """What `--series` takes for each of some series: its number, or its UID where that is not
    enough."""
    count = Counter(one.number for one in series)
    alone = [one.number is not None and count[one.number] == 1 for one in series]
    return {str(one.number) if x else one.uid: one for one, x in zip(series, alone, strict=True)}


def listed(series: Sequence[Series]) -> str:
    """The series in one line, without a name or a day of a patient."""
    words = [f"{name} {one}" for name, one in choices(numbered(series)).items()]
    more = [f"and {len(words) - SHOWN_SERIES} more"] if len(words) > SHOWN_SERIES else []
    return "; ".join([*words[:SHOWN_SERIES], *more])


def remedy(series: Sequence[Series]) -> str:
    """How one of some series is chosen, with the suggestion."""
    best = suggestion(series)
    example = next((name for name, one in choices(series).items() if one == best), None)
    if best is None or example is None:
        return "Choose one with --series NUMBER, UID or DESCRIPTION, or take --all-series."
    return f"Choose one with --series, such as {example} ({reason(best)}), or take --all-series."


def table(series: Sequence[Series]) -> str:
    """The series as lines with columns, the suggested one with the reason."""
    best = suggestion(series)
    rows = [("series", "description", "modality", "slices", "mm apart", "kernel", "suggested")]
    rows += [
        (
            name,
            one.description or NONE,
            one.modality or NONE,
            str(one.images),
            NONE if one.step_mm is None else f"{one.step_mm:.3g}",
            one.kernel or NONE,
            reason(one) if one == best else "",
        )
        for name, one in choices(numbered(series)).items()
    ]
    return aligned(rows, right=(3, 4))


def not_one(
    folder: Path, known: Sequence[Series], found: Sequence[Series], wanted: str | None
) -> InputError:
    """E_SERIES of a study of which not one series is meant, with the list.

    Args:
        folder: of the study.
        known: its series.
        found: those that are meant; none or several.
        wanted: what was asked for; None for nothing.
    """
    if wanted is None:
        reason = f"it holds {len(known)} series: {listed(known)}."
    elif not found:
        reason = f"it holds no series {wanted!r}; there is {listed(known)}."
    else:
        reason = f"it holds {len(found)} series {wanted!r}: {listed(found)}."
    return InputError("E_SERIES", folder, reason, remedy(found or known))
