# SPDX-License-Identifier: Apache-2.0
"""The DICOM images that an answer is to: their headers, read again when DICOM is written of it.

Patient and study are taken from them, as they stand there, and nowhere else from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import DA, TM

from ...errors import InputError
from ...images.archive import lying
from ...images.dicom.dataset import read_dataset
from ...images.dicom.header import judged
from ...images.files import file_size
from ...images.image import Image
from ...spatial import RAS_TO_LPS

_PLACE = "FrameOfReferenceUID"
# of patient and study, which every image has to have, if only without a value
_NAMED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime", "ReferringPhysicianName", "Manufacturer",
)  # fmt: skip
# of slices beside the first: which they are, and where they lie
_OF_SLICES = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", _PLACE, "Modality",
    "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "NumberOfFrames",
)  # fmt: skip
_SEXES = ("M", "F", "O", "")


@dataclass(frozen=True, eq=False)
class Source:
    """The files of an image, as far as DICOM that is made of it has to know them.

    Args:
        headers: of the files, without pixels: one for each slice in the order of the volume, or
            the one of a multi-frame file or a radiograph. Of patient and study only the first
            has everything.
        frames: of a multi-frame file the frame of each slice, from 0; empty of others.
    """

    headers: tuple[Dataset, ...]
    frames: tuple[int, ...] = ()

    @property
    def first(self) -> Dataset:
        """The header that patient, study and series are taken from."""
        return self.headers[0]

    @property
    def frame_count(self) -> int:
        """Frames of a multi-frame file, used or not; else the number of files."""
        return int(self.first.NumberOfFrames) if self.frames else len(self.headers)


def read_source(image: Image) -> Source:
    """Read the headers of an image again.

    What headers of patient and study lack stays empty; what no DICOM reader takes there (a date
    that is not one, a sex that is not M, F or O) is left empty too.

    Args:
        image: that `check.check_source` has let pass.

    Raises:
        InputError: E_CHANGED, other images lie there now; E_PATH, E_CORRUPT and the like, a file
            cannot be read any more.
    """
    paths = list(dict.fromkeys(instance.path for instance in image.instances))
    with lying(paths) as places:
        first = header_of(places[paths[0]], paths[0])
        headers = [first, *(header_of(places[path], path, _OF_SLICES) for path in paths[1:])]
    found = dict(zip(paths, headers, strict=True))
    for instance in image.instances:
        if str(found[instance.path].get("SOPInstanceUID", "")) != instance.uid:
            reason = "another image lies there now than the one that was read."
            raise InputError("E_CHANGED", instance.path, reason, "Run again.")
    several = int(headers[0].get("NumberOfFrames") or 1) > 1
    frames = tuple(instance.frame for instance in image.instances) if several else ()
    _complete(first, image)
    if several:
        _share(headers[0])
    else:
        _agree(headers)
    return Source(tuple(headers), frames)


def header_of(place: Path, path: Path, names: Sequence[str] | None = None) -> Dataset:
    """The header of a file without its pixels.

    Args:
        place: where it lies.
        path: what it is called in a refusal.
        names: of the elements that are read; None for all.

    Raises:
        InputError: E_PATH, E_CORRUPT and the like, it cannot be read.
    """
    file_size(place)
    with judged(path, "its DICOM header cannot be read", "Export the series again."):
        wanted = None if names is None else [*names]
        header = read_dataset(place, stop_before_pixels=True, specific_tags=wanted)
        header.decode()
    return header


def _complete(header: Dataset, image: Image) -> None:
    """Put in what every DICOM image of a patient has to have, empty where nothing is known."""
    for name in _NAMED:
        if name not in header or header[name].is_empty:
            setattr(header, name, "")
    if str(header.PatientSex).upper() not in _SEXES:
        header.PatientSex = ""
    for name, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        if not _is_valid(kind, header[name].value):
            setattr(header, name, "")
    if "Modality" not in header:
        header.Modality = image.facts.get("Modality", "OT")
    if image.array.ndim == 3 and not header.get("SliceThickness"):
        header.SliceThickness = f"{_step_mm(image):.6g}"


def _is_valid(kind: Any, value: Any) -> bool:
    try:
        parsed = kind(str(value)) if value else None
    except ValueError:
        return False
    return parsed is None or kind is TM or isinstance(parsed, date)


def _step_mm(image: Image) -> float:
    """Distance of slices along their normal, in mm; less than from slice to slice if sheared."""
    import numpy as np

    columns, rows, slices = (RAS_TO_LPS @ image.affine)[:3, :3].T
    normal = np.cross(columns, rows)
    return abs(float(slices @ normal)) / float(np.linalg.norm(normal))


def _agree(headers: Sequence[Dataset]) -> None:
    """Give all slices the orientation and spacing of the first; reading has checked that they are
    the same within its tolerance, and writers compare them digit by digit."""
    first = headers[0]
    for header in headers[1:]:
        for name in ("ImageOrientationPatient", "PixelSpacing", "SliceThickness", _PLACE):
            if name in first:
                header[name] = first[name]


def _share(header: Dataset) -> None:
    """Put orientation and spacing where all frames share them, if each frame has its own."""
    if not header.get("SharedFunctionalGroupsSequence"):
        header.SharedFunctionalGroupsSequence = Items([Dataset()])
    shared = header.SharedFunctionalGroupsSequence[0]
    own = header.PerFrameFunctionalGroupsSequence[0]
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if name not in shared and name in own:
            shared[name] = own[name]
