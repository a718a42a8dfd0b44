# SPDX-License-Identifier: Apache-2.0
"""A folder of DICOM slices, or a multi-frame DICOM image, to one volume in HU."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from ...errors import InputError, Note
from ..checks import volume_shape
from ..files import COPY_AGAIN, truncated
from ..image import Image
from .geometry import stack_slices
from .header import Slice, judged
from .series import Study, read_study

AIR_HU = -1024  # what padding outside the scan becomes in a CT
HU_TYPES = ("", "HU", "HU_MOD", "US")  # of RescaleType; absent means HU in a CT image
_JPEG_END = b"\xff\xd9"
_PIXEL_TAGS = [
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    "PixelData",
]


def load_dicom(folder: Path, *, series: str | None = None) -> Image:
    """Read one DICOM series as a volume.

    CT values are HU by each slice's own rescale; the photometric interpretation does not change
    them. Padding (PixelPaddingValue to PixelPaddingRangeLimit) becomes `AIR_HU` in a CT. Files
    that repeat another one are used once.

    Args:
        folder: looked through with its subfolders; or one multi-frame file.
        series: SeriesInstanceUID; needed when the folder has several.

    Returns:
        Image with axes (column, row, slice), slices along the normal of the image plane. Whole
        values are int16 where they fit, else float32. The affine of a tilted gantry is sheared.

    Raises:
        InputError: E_PATH, E_EMPTY, E_FORMAT, E_TRUNCATED, E_CORRUPT, E_TOO_BIG, E_DIMS,
            E_VALUES, E_MODALITY, E_GEOMETRY, E_SERIES, E_DECODER.
    """
    folder = Path(folder)
    study = read_study(folder)
    slices = _choose(folder, study, series)
    _check_values(slices)
    _check_size(folder, slices)
    stack = stack_slices(folder, [image.place for image in slices])
    ordered = [slices[k] for k in stack.order]
    check_decoder(ordered)
    array, padded, stored_dtype = _read_values(ordered)
    notes = []
    if count := study.left_out["localizer"]:
        notes.append(Note("N_LOCALIZER", f"{count} localizer images were left out."))
    if stack.tilt_degrees:
        notes.append(
            Note(
                "N_SHEAR_RESAMPLED",
                f"the gantry was tilted by {stack.tilt_degrees:.1f} degrees; the mask comes back "
                "on the sheared grid of the slices.",
            )
        )
    first = ordered[0]
    facts: dict[str, Any] = {
        "format": "DICOM",
        "stored_dtype": stored_dtype,
        "SeriesInstanceUID": first.series,
        "Modality": first.modality,
        **first.technical,
        "TransferSyntax": first.syntax.name,
    }
    if padded:
        facts["padding_voxels"] = padded
    if study.left_out:
        facts["left_out"] = dict(study.left_out)
    return Image(array, stack.affine, folder, tuple(notes), facts)


def load_dicom_file(path: Path, *, series: str | None = None) -> Image:
    """Read one multi-frame file, see `load_dicom`.

    Raises:
        InputError: as `load_dicom`; E_DIMS, it is one slice, names its folder.
    """
    try:
        return load_dicom(path, series=series)
    except InputError as error:
        if error.code != "E_DIMS":
            raise
        reason = "it is a single DICOM slice, not a volume."
        remedy = f"Give the folder that holds all its slices, such as {path.parent}."
        raise InputError("E_DIMS", path, reason, remedy) from error


def _choose(folder: Path, study: Study, series: str | None) -> list[Slice]:
    if series is None and len(study.series) == 1:
        return next(iter(study.series.values()))
    if series is None:
        reason = f"it holds {len(study.series)} series: {study}."
        raise InputError("E_SERIES", folder, reason, "Choose one with --series UID.")
    if series not in study.series:
        reason = f"it holds no series {series}; there is {study}."
        raise InputError("E_SERIES", folder, reason, "Choose one of these with --series UID.")
    return study.series[series]


def _check_values(slices: Sequence[Slice]) -> None:
    for image in slices:
        if not image.grey:
            reason = "it is a colour image, and a volume needs one grey value a pixel."
            raise InputError("E_VALUES", image.path, reason, "Export the original slices.")
        if image.modality != "CT":
            continue
        if image.intercept is None or not image.slope:
            raise InputError(
                "E_VALUES", image.path,
                "it is a CT image without RescaleSlope and RescaleIntercept, so its values are not "
                "known HU.",
                "Export the original slices with their rescale.",
            )  # fmt: skip
        if image.rescale_type not in HU_TYPES:
            reason = f"its values are {image.rescale_type} (RescaleType), not HU."
            raise InputError("E_MODALITY", image.path, reason, "Give a series of HU.")


def _check_size(folder: Path, slices: Sequence[Slice]) -> None:
    first = slices[0]
    volume_shape((first.columns, first.rows, len(slices)), folder)
    for image in slices:
        if (image.rows, image.columns) != (first.rows, first.columns):
            raise InputError(
                "E_SERIES", folder,
                f"{first.place.name} has {first.columns} x {first.rows} pixels and "
                f"{image.place.name} {image.columns} x {image.rows}.",
                "Put the slices of one size into a folder of their own.",
            )  # fmt: skip


def check_decoder(slices: Sequence[Slice]) -> None:
    """Refuse pixels that no installed package decodes, before they are read.

    Raises:
        InputError: E_DECODER, with the packages that would.
    """
    for image in {image.syntax: image for image in slices}.values():
        try:
            with warnings.catch_warnings():  # of a damaged UID, which is not a known syntax either
                warnings.simplefilter("ignore")
                decoder = get_decoder(image.syntax)
        except NotImplementedError as error:
            reason = f"its pixels are compressed as {image.syntax.name}, which no package reads."
            remedy = "Export the series uncompressed (Explicit VR Little Endian)."
            raise InputError("E_DECODER", image.path, reason, remedy) from error
        if not decoder.is_available:
            raise InputError(
                "E_DECODER", image.path,
                f"its pixels are compressed as {image.syntax.name}, and no decoder is installed.",
                f"Install one of these packages: {'; '.join(decoder.missing_dependencies)}.",
            )  # fmt: skip


def _read_values(slices: Sequence[Slice]) -> tuple[npt.NDArray[Any], int, str]:
    """The rescaled volume (column, row, slice), how many voxels were padding, the stored type."""
    first = slices[0]
    shape = (len(slices), first.rows, first.columns)
    volume: npt.NDArray[Any] = np.empty(shape, np.int16)
    padded = 0
    for k, (image, stored) in enumerate(zip(slices, _stored(slices), strict=True)):
        values, outside = rescale(stored, image)
        if volume.dtype == np.int16 and not _fits_int16(values):
            volume = volume.astype(np.float32)
        volume[k] = values
        padded += outside
        dtype = stored.dtype.name
    return volume.transpose(2, 1, 0), padded, dtype


def rescale(stored: npt.NDArray[Any], image: Slice) -> tuple[npt.NDArray[Any], int]:
    """Stored values (rows, columns) to modality values, padding of a CT to air.

    Returns:
        Values (rows, columns) as int64 when slope and intercept are whole, else float64; and the
        number of pixels that were padding.
    """
    slope = 1.0 if image.slope is None else image.slope
    intercept = 0.0 if image.intercept is None else image.intercept
    values: npt.NDArray[Any]
    if slope.is_integer() and intercept.is_integer():
        values = stored.astype(np.int64) * int(slope) + int(intercept)
    else:
        values = stored * slope + intercept
    if image.modality != "CT":
        return values, 0
    outside = image.outside(stored)
    values[outside] = AIR_HU
    return values, int(outside.sum())


def _fits_int16(values: npt.NDArray[Any]) -> bool:
    limits = np.iinfo(np.int16)
    whole = values.dtype.kind == "i"
    return whole and limits.min <= values.min() and values.max() <= limits.max


def _stored(slices: Sequence[Slice]) -> Iterator[npt.NDArray[Any]]:
    """The stored values (rows, columns) of each slice in turn; a multi-frame file is read once."""
    for path, group in groupby(slices, key=lambda image: image.path):
        yield from decode_frames(path, [image.frame for image in group])


def decode_frames(path: Path, frames: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
    """The stored values (rows, columns) of some frames of a file; colours (rows, columns, 3).

    Raises:
        InputError: E_TRUNCATED, E_CORRUPT.
    """
    with judged(path, "its pixels cannot be decoded", COPY_AGAIN):
        content = dcmread(path, specific_tags=_PIXEL_TAGS)
        _check_length(path, content)
        arrays = list(iter_pixels(content, indices=list(frames)))
    yield from arrays


def _check_length(path: Path, content: Dataset) -> None:
    """Refuse pixels that end too early: some decoders fill the rest with anything."""
    syntax = content.file_meta.TransferSyntaxUID
    data = content.get("PixelData")
    if data is None:
        reason = "the file ends before or inside its pixels."
    elif not syntax.is_compressed and len(data) < (expected := get_expected_length(content)):
        reason = f"it has {len(data)} bytes of pixels, and its header promises {expected}."
    elif syntax in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes) and not all(
        _JPEG_END in frame[-16:]
        for frame in generate_frames(data, number_of_frames=int(content.get("NumberOfFrames") or 1))
    ):
        reason = f"its compressed pixels ({syntax.name}) have no end mark."
    else:
        return
    raise truncated(path, reason)
