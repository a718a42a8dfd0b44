# SPDX-License-Identifier: Apache-2.0
"""What the header of a DICOM file says of the slices in it; the pixels are not read."""

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ...errors import InputError
from ...failures import of_the_system
from ...quiet import quiet
from ..files import truncated
from .dataset import read_dataset
from .elements import numbers, value_of, whole_number
from .geometry import Place
from .strays import known_kind

logging.getLogger("pydicom").addHandler(logging.NullHandler())  # else it prints beside a refusal

NO_IMAGE = "DICOM without an image"
SCREENSHOT = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture, all its kinds
TECHNICAL: dict[str, type[str] | type[float]] = {  # facts that name no person and no day
    "ConvolutionKernel": str,
    "KVP": float,
    "SliceThickness": float,
    "Manufacturer": str,
}
ORIGIN = (  # what tells scans apart; by some of it an archive finds the patient, so never shown
    "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "AcquisitionNumber", "InstanceNumber",
)  # fmt: skip
_TAGS = [
    *ORIGIN,
    *("SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", *TECHNICAL),
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]


@dataclass(frozen=True, eq=False)
class Slice:
    """What the header says of one image, or of one frame of a multi-frame image.

    Args:
        path: its file.
        frame: number of the frame in the file, from 0.
        instance: SOPInstanceUID.
        series: SeriesInstanceUID.
        number: SeriesNumber; None where it has none.
        description: SeriesDescription, which is shown where a series is chosen, and never written.
        image_type: ImageType in capitals, such as "ORIGINAL\\PRIMARY\\AXIAL".
        modality: such as "CT", by Modality or else by the class of a CT; "" where neither says it.
        localizer: whether it is an overview, no slice of a volume.
        screenshot: whether it is a secondary capture without a place in the patient.
        syntax: transfer syntax.
        rows, columns: size in pixels.
        grey: one monochrome sample a pixel.
        place: where it lies, as far as given.
        slope, intercept: factor and addend from stored to modality value (in HU for CT); None when
            absent, NaN when they are not numbers.
        rescale_type: unit of the modality value, such as "HU"; "" when absent.
        bits: "BitsStored 12 and HighBit 15", where these two contradict each other; else "".
        padding: lowest and highest stored value that stand for "outside the scan".
        technical: the values of `TECHNICAL` that are given and can be read.
        origin: the values of `ORIGIN` that are given and can be read.
    """

    path: Path
    frame: int
    instance: str
    series: str
    number: int | None
    description: str = field(repr=False)
    image_type: str
    modality: str
    localizer: bool
    screenshot: bool
    syntax: UID
    rows: int
    columns: int
    grey: bool
    place: Place
    slope: float | None
    intercept: float | None
    rescale_type: str
    bits: str
    padding: tuple[int, int] | None
    technical: dict[str, str | float]
    origin: dict[str, str] = field(repr=False)

    def outside(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Where stored values (rows, columns) stand for "outside the scan"."""
        if self.padding is None:
            return np.zeros(stored.shape, bool)
        low, high = self.padding
        return (stored >= low) & (stored <= high)


def read_slices(path: Path, folder: Path, left_out: Counter[str]) -> list[Slice]:
    """The slices of one DICOM file below `folder`.

    A file that holds no image gives none, and its kind is counted in `left_out`.

    Raises:
        InputError: E_FORMAT, E_TRUNCATED, E_CORRUPT, E_TOO_BIG, E_DIMS; the path is the file's.
    """
    name = str(path.relative_to(folder)) if path != folder else path.name
    with judged(path, "its DICOM header cannot be read", "Export the series again."):
        header = read_dataset(path, stop_before_pixels=True, specific_tags=_TAGS)
        if not _is_image(header, path):
            left_out[str(header.get("Modality") or known_kind(path) or NO_IMAGE)] += 1
            return []
        frames = _frames(header, path)
        if len(frames) == 1:
            return [_slice(path, name, 0, frames[0])]
        return [_slice(path, f"{name} frame {k + 1}", k, x) for k, x in enumerate(frames)]


@contextmanager
def judged(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Refuse damaged data of a file; of odd data pydicom prints nothing, since it is judged here.

    Args:
        path: the file.
        what: cannot be done with it, such as "its pixels cannot be decoded".
        remedy: what the user can do, one sentence.

    Raises:
        InputError: E_CORRUPT, pydicom or a decoder failed; what the block itself refuses.
        MemoryError, OSError: memory, disk or network share failed, see `of_the_system`.
    """
    try:
        with quiet():
            yield
    except InputError:
        raise
    except Exception as error:  # damaged data makes pydicom and the decoders raise nearly anything
        if of_the_system(error):
            raise
        lines = [line.strip() for line in str(error).strip().split("\n")]
        why = "; ".join(lines[1:] or lines)  # of several decoders, what each says
        raise InputError("E_CORRUPT", path, f"{what} ({why}).", remedy) from error


def _is_image(header: Dataset, path: Path) -> bool:
    """Whether the class is one of images, or unknown but with rows; by both places that name it.

    Without rows an unknown class is not an image where both places name it; else the file is cut.
    """
    given = (header.file_meta.get("MediaStorageSOPClassUID"), header.get("SOPClassUID"))
    names = [UID(uid).name for uid in given if uid]
    image = any("Image Storage" in name for name in names)
    known = any(name not in given for name in names)
    if "Rows" not in header and (image or not (known or (given[0] and given[0] == given[1]))):
        raise truncated(path, "its header has no Rows, as if the file ended inside it.")
    return image or ("Rows" in header and not known)


def _frames(header: Dataset, path: Path) -> list[Dataset]:
    """One flat header a frame: the functional groups of a multi-frame image laid over its own."""
    count = int(header.get("NumberOfFrames") or 1)
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    if count == 1 and not per_frame:
        return [header]
    if len(per_frame) != count:
        reason = f"it has {count} frames, and its header says of {len(per_frame)} where they lie."
        remedy = "Export each frame as a file of its own, or all as an enhanced CT or MR image."
        raise InputError("E_DIMS", path, reason, remedy)
    shared = list(header.get("SharedFunctionalGroupsSequence") or [])
    return [_flat(header, [*shared, own]) for own in per_frame]


def _flat(header: Dataset, groups: Sequence[Dataset]) -> Dataset:
    flat = Dataset()
    flat.file_meta = header.file_meta
    items = [
        item
        for group in groups
        for sequence in group
        if sequence.VR == "SQ"
        and not sequence.tag.is_private  # which may hold a whole other header
        for item in sequence.value[:1]
    ]
    for part in (header, *items):
        for tag in _TAGS[:-2]:
            if tag in part:
                flat[tag] = part[tag]
    return flat


def _slice(path: Path, name: str, number: int, header: Dataset) -> Slice:
    position = numbers(header, "ImagePositionPatient", 3)
    slope, intercept = (numbers(header, f"Rescale{x}", 1) for x in ("Slope", "Intercept"))
    return Slice(
        path=path,
        frame=number,
        instance=str(header.get("SOPInstanceUID", "")),
        series=str(header.get("SeriesInstanceUID", "")),
        number=_number(header, "SeriesNumber"),
        description=_word(header, "SeriesDescription"),
        image_type=_image_type(header),
        modality=_modality(header),
        localizer="LOCALIZER" in _image_type(header),
        screenshot=str(header.get("SOPClassUID", "")).startswith(SCREENSHOT) and position is None,
        syntax=UID(header.file_meta.TransferSyntaxUID),
        rows=whole_number(header, "Rows", path),
        columns=whole_number(header, "Columns", path),
        grey=header.get("SamplesPerPixel") in (None, 1)
        and str(header.get("PhotometricInterpretation") or "MONOCHROME").startswith("MONOCHROME"),
        place=Place(
            path,
            name,
            position,
            numbers(header, "ImageOrientationPatient", 6),
            numbers(header, "PixelSpacing", 2),
        ),
        slope=None if slope is None else float(slope[0]),
        intercept=None if intercept is None else float(intercept[0]),
        rescale_type=str(header.get("RescaleType") or "").strip().upper(),
        bits=_odd_bits(header),
        padding=_padding(header),
        technical={
            name: fact for name in TECHNICAL if (fact := _fact(header, name)) not in (None, "")
        },
        origin={name: word for name in ORIGIN if (word := _word(header, name)) not in ("", "?")},
    )


def _image_type(header: Dataset) -> str:
    value = value_of(header, "ImageType")
    return "\\".join(map(str, [value] if isinstance(value, str) else value or [])).upper()


def _number(header: Dataset, name: str) -> int | None:
    value = value_of(header, name)
    return int(value) if isinstance(value, int) else None


def _modality(header: Dataset) -> str:
    given = str(header.get("Modality") or "").strip().upper()
    by_class = "CT Image Storage" in UID(header.get("SOPClassUID") or "").name
    return given or ("CT" if by_class else "")


def _fact(header: Dataset, name: str) -> str | float | None:
    """A technical value; None where it is absent or no such value (120 kV, ********, 6,00)."""
    value = value_of(header, name)
    try:
        fact = None if value is None else TECHNICAL[name](value)
    except (TypeError, ValueError):
        return None
    return fact if isinstance(fact, str) or (fact is not None and math.isfinite(fact)) else None


def _word(header: Dataset, name: str) -> str:
    """A value as text without blanks around it; "" where it is absent, "?" where unreadable."""
    value = value_of(header, name)
    return "" if value is None else str(value).strip()


def _odd_bits(header: Dataset) -> str:
    stored, high = header.get("BitsStored"), header.get("HighBit")
    odd = isinstance(stored, int) and isinstance(high, int) and high != stored - 1
    return f"BitsStored {stored} and HighBit {high}" if odd else ""


def _padding(header: Dataset) -> tuple[int, int] | None:
    first = header.get("PixelPaddingValue")
    if not isinstance(first, int):
        return None
    last = header.get("PixelPaddingRangeLimit")
    ends = [first, last if isinstance(last, int) else first]
    if header.get("PixelRepresentation") == 1:  # some writers store a negative value as unsigned
        half = 1 << (int(header.get("BitsAllocated", 16)) - 1)
        ends = [end - 2 * half if end >= half else end for end in ends]
    return min(ends), max(ends)
