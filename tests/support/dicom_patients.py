# SPDX-License-Identifier: Apache-2.0
"""DICOM series of a patient who was made up, complete enough for every judge, on any grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dicom_phantoms import write
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from medvol.spatial import RAS_TO_LPS

ROOT = "1.2.826.0.1.3680043.8.498.7"
STUDY_UID, SERIES_UID, PLACE_UID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
PATIENT_NAME, PATIENT_ID = "Phantom^Made Up", "PHANTOM-ID-1"
AIR_HU = -1024


def study_slices(
    hounsfield: npt.NDArray[Any], affine: npt.NDArray[np.float64], **changed: Any
) -> list[Dataset]:
    """CT images of a volume, one for each index of its last axis.

    Args:
        hounsfield: (X, Y, Z) in HU: columns, rows, slices.
        affine: (4, 4), voxel index to RAS mm; any orientation of right angles, or a sheared one.
        changed: keyword to value in every header; None takes the element out.
    """
    to_lps = RAS_TO_LPS @ affine
    steps = np.linalg.norm(to_lps[:3, :3], axis=0)
    row, column = (to_lps[:3, axis] / steps[axis] for axis in (0, 1))
    thickness = abs(float(to_lps[:3, 2] @ np.cross(row, column)))
    return [
        _slice(
            hounsfield[:, :, k].T, to_lps[:3, 3] + k * to_lps[:3, 2], (*row, *column),
            (steps[1], steps[0]), k, **{"SliceThickness": _text(thickness), **changed},
        )
        for k in range(hounsfield.shape[2])
    ]  # fmt: skip


def write_study(
    folder: Path, hounsfield: npt.NDArray[Any], affine: npt.NDArray[np.float64], **changed: Any
) -> Path:
    """Write the images of `study_slices` into a folder, and return it."""
    write(folder, study_slices(hounsfield, affine, **changed))
    return folder


def radiograph(grey: npt.NDArray[Any], **changed: Any) -> Dataset:
    """A digital radiograph.

    Args:
        grey: (rows, columns) 0 to 255, bones white.
        changed: as for `study_slices`.
    """
    header = _of_patient("DX", DigitalXRayImageStorageForPresentation, f"{ROOT}.5.1")
    header.PresentationIntentType = "FOR PRESENTATION"
    header.ImageType = ["ORIGINAL", "PRIMARY", ""]
    header.BurnedInAnnotation, header.LossyImageCompression = "NO", "00"
    header.ImagerPixelSpacing = [0.2, 0.2]
    header.PixelSpacing = [0.2, 0.2]
    header.WindowCenter, header.WindowWidth = 128, 256
    header.PresentationLUTShape = "IDENTITY"
    _put_pixels(header, grey.astype(np.uint16), bits=8)
    return _changed(header, changed)


def _slice(
    values: npt.NDArray[Any], position: Sequence[float], orientation: Sequence[float],
    spacing: Sequence[float], number: int, **changed: Any,
) -> Dataset:  # fmt: skip
    header = _of_patient("CT", CTImageStorage, f"{ROOT}.4.{number + 1}")
    header.InstanceNumber = number + 1
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = PLACE_UID, ""
    header.ImagePositionPatient = [_text(x) for x in position]
    header.ImageOrientationPatient = [_text(x) for x in orientation]
    header.PixelSpacing = [_text(x) for x in spacing]
    header.KVP, header.ConvolutionKernel, header.AcquisitionNumber = 120, "B70f", 1
    header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, AIR_HU, "HU"
    _put_pixels(header, (values - AIR_HU).astype(np.uint16), bits=12)
    return _changed(header, changed)


def _of_patient(modality: str, kind: str, uid: str) -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.PatientName, header.PatientID = PATIENT_NAME, PATIENT_ID
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19700101", "O", "050Y"
    header.StudyInstanceUID, header.SeriesInstanceUID = STUDY_UID, SERIES_UID
    header.StudyDate, header.StudyTime = "20200203", "040506"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "A1", "S1", ""
    header.SeriesNumber, header.SeriesDescription, header.InstanceNumber = 3, "Chest", 1
    header.Modality, header.SOPClassUID, header.SOPInstanceUID = modality, kind, uid
    header.Manufacturer, header.ManufacturerModelName = "Phantom Works", "P1"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header


def _put_pixels(header: Dataset, values: npt.NDArray[Any], *, bits: int) -> None:
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = values.shape
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, bits, bits - 1
    header.PixelRepresentation = 0
    header.PixelData = values.astype("<u2").tobytes()


def _changed(header: Dataset, changed: dict[str, Any]) -> Dataset:
    with disable_value_validation():  # values may be odd
        for name, value in changed.items():
            if name in header:
                delattr(header, name)
            if value is not None:
                setattr(header, name, value)
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    return header


def _text(number: float) -> str:
    """A number as DICOM writes it, in at most 16 letters."""
    return f"{number:.9g}" if abs(number) >= 1e-9 else "0"
