# SPDX-License-Identifier: Apache-2.0
"""DICOM series written from nothing, so that a test can break each one in one known way."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from medvol.errors import InputError
from medvol.images.dicom.volume import load_dicom
from medvol.images.image import Image

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
STEP_MM = 2.5
ORIGIN_LPS = (-20.0, -30.0, 100.0)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SLANTED = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)  # normal (0.48, -0.64, 0.6)
PIXEL_SPACING_MM = (0.5, 0.75)  # between rows, between columns
MARKER = (3, 5, 2)  # column, row, slice of the one voxel of bone
SERIES_UID = "1.2.826.0.1.3680043.8.498.1"
OTHER_UID = SERIES_UID + ".2"


def stored_values(slices: int = 8) -> npt.NDArray[np.uint16]:
    """(slices, 16, 16) stored values: 1024 + 10 * slice + column; the marker 2024."""
    values = np.full((slices, 16, 16), 1024, np.uint16)
    values += 10 * np.arange(slices, dtype=np.uint16)[:, None, None]
    values += np.arange(16, dtype=np.uint16)[None, None, :]
    values[MARKER[2], MARKER[1], MARKER[0]] = 2024
    return values


def ct_slice(
    values: npt.NDArray[Any],
    position: Sequence[float],
    orientation: Sequence[float] = AXIAL,
    *,
    series: str = SERIES_UID,
    **changed: Any,
) -> Dataset:
    """One CT image of (rows, columns) 12-bit values; a keyword of None takes that element out."""
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = generate_uid()
    header.SeriesInstanceUID = series
    header.PatientName = "Secret^Name"
    header.PatientID = "SECRET-ID"
    header.StudyDate = "19700101"
    header.SeriesDescription = "Chest"
    header.Modality = "CT"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.Manufacturer = "Phantom Works"
    header.ConvolutionKernel = "B70f"
    header.KVP = 120
    header.SliceThickness = 2
    header.ImagePositionPatient = [round(float(x), 6) for x in position]
    header.ImageOrientationPatient = [round(float(x), 8) for x in orientation]
    header.PixelSpacing = list(PIXEL_SPACING_MM)
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns = values.shape[-2:]
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    header.RescaleSlope, header.RescaleIntercept = 1, -1024
    header.PixelData = values.astype("<u2" if values.dtype.kind == "u" else "<i2").tobytes()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in changed.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    header.file_meta.MediaStorageSOPClassUID = header.get("SOPClassUID", CTImageStorage)
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    return header


def ct_series(
    values: npt.NDArray[Any] | None = None,
    orientation: Sequence[float] = AXIAL,
    *,
    step: Sequence[float] | None = None,
    series: str = SERIES_UID,
    **changed: Any,
) -> list[Dataset]:
    """The images of one series in order; `step` is the way from one to the next in LPS mm.

    Without `step` it is `STEP_MM` along the normal.
    """
    stored = stored_values() if values is None else values
    if step is None:
        step = STEP_MM * np.cross(orientation[:3], orientation[3:])
    origin = np.array(ORIGIN_LPS)
    return [
        ct_slice(image, origin + k * np.asarray(step), orientation, series=series, **changed)
        for k, image in enumerate(stored)
    ]


def enhanced_ct(values: npt.NDArray[Any] | None = None, **changed: Any) -> Dataset:
    """The same series as one enhanced (multi-frame) CT image."""
    stored = stored_values() if values is None else values
    images = ct_series(stored)
    header = ct_slice(
        stored,
        ORIGIN_LPS,
        SOPClassUID=EnhancedCTImageStorage,
        NumberOfFrames=len(stored),
        **dict.fromkeys(
            (
                "ImagePositionPatient",
                "ImageOrientationPatient",
                "PixelSpacing",
                "RescaleSlope",
                "RescaleIntercept",
                "ConvolutionKernel",
                "SliceThickness",
                "KVP",
            )
        ),
        **changed,
    )
    shared = Dataset()
    shared.PlaneOrientationSequence = [_part(images[0], "ImageOrientationPatient")]
    shared.PixelMeasuresSequence = [_part(images[0], "PixelSpacing", "SliceThickness")]
    shared.PixelValueTransformationSequence = [_part(images[0], "RescaleSlope", "RescaleIntercept")]
    header.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for image in images:
        frame = Dataset()
        frame.PlanePositionSequence = [_part(image, "ImagePositionPatient")]
        frames.append(frame)
    header.PerFrameFunctionalGroupsSequence = frames
    return header


def write(folder: Path, images: Sequence[Dataset]) -> list[Path]:
    """Write the images as IM000.dcm, IM001.dcm, ... and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"IM{number:03d}.dcm" for number in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        image.save_as(path, enforce_file_format=True)
    return paths


def put_bytes(path: Path, name: str, value: bytes) -> None:
    """Put raw bytes, of which there must be an even number, in place of a short value of a file."""
    tag = tag_for_keyword(name)
    assert tag is not None
    content = path.read_bytes()
    start = content.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
    (length,) = struct.unpack_from("<H", content, start + 6)
    end = start + 8 + length
    short = struct.pack("<H", len(value))
    path.write_bytes(content[: start + 6] + short + value + content[end:])


def _part(image: Dataset, *names: str) -> Dataset:
    part = Dataset()
    for name in names:
        setattr(part, name, image[name].value)
    return part


def refusal(folder: Path, series: str | None = None) -> InputError:
    """What `load_dicom` says of a folder that it refuses."""
    with pytest.raises(InputError) as caught:
        load_dicom(folder, series=series)
    assert caught.value.remedy.endswith(".")
    return caught.value


def world(image: Image, voxel: Sequence[int]) -> list[float]:
    """Where a voxel lies, RAS mm."""
    point: list[float] = np.round(image.affine @ [*voxel, 1], 5)[:3].tolist()
    return point


def brightest(image: Image) -> tuple[int, ...]:
    """The voxel of the marker, wherever it went."""
    return tuple(int(x) for x in np.unravel_index(image.array.argmax(), image.array.shape))


def broken(series: list[Dataset], what: Callable[[list[Dataset]], object]) -> list[Dataset]:
    """The series after `what` was done to it."""
    what(series)
    return series


def set_on(number: int, **values: object) -> Callable[[list[Dataset]], object]:
    """A change of one image of a series; None takes the element out."""

    def change(series: list[Dataset]) -> None:
        for name, value in values.items():
            if value is None:
                delattr(series[number], name)
            else:
                setattr(series[number], name, value)

    return change
