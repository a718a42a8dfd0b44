# SPDX-License-Identifier: Apache-2.0
"""`summary.dcm`: the picture of an answer as a Secondary Capture, for archives that show no SEG."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from ..pictures import write_attention_summary
from .common import Making, making, write_dataset

if TYPE_CHECKING:
    from ..save import Saving

NAME = "dicom-sc"
PICTURES = ("png", "profile")  # of `registry.OUTPUTS`, the first that an answer has


def write(path: Path, saving: "Saving") -> None:
    """Write the overlay page of a mask, the profile of slices, or a radiograph with its map.

    Raises:
        InputError: E_NOT_DICOM, E_CHANGED, as for `source`; E_NOSPACE, it cannot be written.
    """
    with making(NAME, saving) as made:
        write_dataset(path, capture(made, _pixels(saving)))


def capture(made: Making, pixels: npt.NDArray[np.uint8]) -> Dataset:
    """A picture as a Secondary Capture of the patient and study of an image.

    Args:
        made: the answer and the images that it is to.
        pixels: (rows, columns, 3).
    """
    dataset = SCImage.from_ref_dataset(
        made.source.first,
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),  # asked for; taken out below, since a page has several
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **made.described,
    )
    dataset.PatientOrientation = None
    dataset.Laterality = None  # not known, since no part of the body is named either
    dataset.BurnedInAnnotation = "YES"  # its title is the name of the case
    dataset.ConversionType = "WSD"  # workstation
    dataset.Modality = "OT"
    dataset.LossyImageCompression = "00"
    dataset.SourceImageSequence = [_reference(header) for header in made.source.headers]
    return dataset


def _reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def _pixels(saving: "Saving") -> npt.NDArray[Any]:
    """The picture, (rows, columns, 3) uint8."""
    from PIL import Image as Picture

    drawn: bytes | None = None
    if saving.answer.classes is not None:
        path = saving.folder / f"{NAME}.png"
        write_attention_summary(path, saving)
        drawn = path.read_bytes()
        path.unlink()
    for name in PICTURES:
        drawn = drawn or saving.picture(name)
    if drawn is None:
        raise ValueError("the answer has no picture; see Output.fits")
    with Picture.open(io.BytesIO(drawn)) as picture:
        return np.asarray(picture.convert("RGB"))
