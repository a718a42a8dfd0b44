# SPDX-License-Identifier: Apache-2.0
"""A folder of DICOM slices, or a multi-frame DICOM image, to one volume in HU."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, Note
from ..checks import check_bytes, volume_shape
from ..image import Image, Instance
from .choice import matching, not_one
from .geometry import stack_slices
from .header import Slice
from .mixing import check_likeness, check_one_scan
from .pixels import check_decoder, decode_frames, notes_on_bits
from .series import Study, read_study

LARGEST_WHOLE = 2**30  # times 32 bits it fits into 64
AIR_HU = -1024  # what padding outside the scan becomes in a CT
# Padding lies outside what a body can be: not above air, or above the 12 bits that scanners use.
# Lung is -950 to -700 HU; -1000 in it is noise, which 24 HU less do not change.
BODY_HU = (-1000, 3071)
# Tissue of slices beside each other, each with its own rescale, may be this much further apart (by
# the median) than with the same rescale. In a chest CT of 4 mm a factor of 1.05 is found, 1.03 not.
MAX_RESCALE_JUMP_HU = 25.0
TISSUE_HU = -300  # and above; air keeps its value whatever the factor
NEIGHBOUR_STEP = 4  # every fourth pixel either way is looked at for it
# of RescaleType; absent means HU in a CT image, US is "unspecified"
HU_TYPES = ("", "HU", "HU_MOD", "US", "H", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS")


def load_dicom(folder: Path, *, series: str | None = None) -> Image:
    """Read one DICOM series as a volume.

    CT values are HU by each slice's own rescale; the photometric interpretation does not change
    them. Padding (PixelPaddingValue to PixelPaddingRangeLimit) becomes `AIR_HU` in a CT, but only
    outside `BODY_HU`: where a header calls water or lung padding, the values are kept. Files that
    repeat another one are used once.

    Args:
        folder: looked through with its subfolders; or one multi-frame file.
        series: SeriesInstanceUID, number or description (see `choice.matching`); needed when the
            folder has several.

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
    check_one_scan(folder, slices)
    stack = stack_slices(folder, [image.place for image in slices])
    ordered = [slices[k] for k in stack.order]
    check_decoder(ordered)
    array, padding, stored_dtype = _read_values(ordered)
    if ordered[0].modality in ("CT", ""):
        check_likeness(folder, array)
    notes = [*study.notes, *notes_on_bits(ordered)]
    if stack.tilt_degrees:
        notes.append(
            Note(
                "N_SHEAR_RESAMPLED",
                f"the gantry was tilted by {stack.tilt_degrees:.1f} degrees; the mask comes back "
                "on the sheared grid of the slices.",
            )
        )
    if padding["kept"]:
        notes.append(
            Note(
                "N_PADDING",
                f"{padding['kept']} voxels have the header's padding value, but are between "
                f"{BODY_HU[0]} and {BODY_HU[1]} HU as a body is; they were left as they are.",
            )
        )
    first = ordered[0]
    facts: dict[str, Any] = {
        "format": "DICOM",
        "stored_dtype": stored_dtype,
        "SeriesInstanceUID": first.series,
        **({"Modality": first.modality} if first.modality else {}),
        **first.technical,
        "TransferSyntax": first.syntax.name,
    }
    if padding["applied"]:
        facts["padding_voxels"] = padding["applied"]
    if study.left_out:
        facts["left_out"] = dict(study.left_out)
    instances = tuple(Instance(image.instance, image.frame, image.path) for image in ordered)
    return Image(
        array, stack.affine, folder, tuple(notes), facts, instances=instances
    )  # fmt: skip


def _choose(folder: Path, study: Study, series: str | None) -> list[Slice]:
    known = study.choices
    found = known if series is None else matching(known, series)
    if len(found) != 1:
        raise not_one(folder, known, found, series)
    return study.series[found[0].uid]


def _check_values(slices: Sequence[Slice]) -> None:
    for image in slices:
        if not image.grey:
            reason = "it is a colour image, and a volume needs one grey value a pixel."
            raise InputError("E_VALUES", image.path, reason, "Export the original slices.")
        scale = {"RescaleSlope": image.slope, "RescaleIntercept": image.intercept}
        odd = [name for name, number in scale.items() if number is not None and math.isnan(number)]
        if image.modality == "CT" and not odd:
            odd = [name for name, number in scale.items() if number is None]
        if odd or (image.modality == "CT" and not image.slope):
            fault = f"has no number in {' and '.join(odd)}" if odd else "has a RescaleSlope of 0"
            reason = f"its header {fault}, so its true values are not known."
            remedy = "Export the original slices with their rescale."
            raise InputError("E_VALUES", image.path, reason, remedy)
        if image.modality == "CT" and image.rescale_type not in HU_TYPES:
            reason = f"its values are {image.rescale_type} (RescaleType), not HU."
            raise InputError("E_MODALITY", image.path, reason, "Give a series of HU.")


def _check_size(folder: Path, slices: Sequence[Slice]) -> None:
    first = slices[0]
    if len(slices) == 1 and folder.is_file():
        reason = "it is a single DICOM slice, not a volume."
        remedy = "Give the folder that holds all its slices, or a .zip of it."
        raise InputError("E_DIMS", folder, reason, remedy)
    shape, _ = volume_shape((first.columns, first.rows, len(slices)), folder)
    check_bytes(shape, np.float32, folder)
    for image in slices:
        if (image.rows, image.columns) != (first.rows, first.columns):
            raise InputError(
                "E_SERIES", folder,
                f"{first.place.name} has {first.columns} x {first.rows} pixels and "
                f"{image.place.name} {image.columns} x {image.rows}.",
                "Put the slices of one size into a folder of their own.",
            )  # fmt: skip


def _read_values(slices: Sequence[Slice]) -> tuple[npt.NDArray[Any], Counter[str], str]:
    """The rescaled volume (column, row, slice), voxels of padding as in `rescale`, stored type."""
    first = slices[0]
    shape = (len(slices), first.rows, first.columns)
    volume: npt.NDArray[Any] = np.empty(shape, np.int16)
    padding: Counter[str] = Counter()
    usual = Counter((image.slope, image.intercept) for image in slices)
    before: tuple[Slice, npt.NDArray[Any]] | None = None
    for k, (image, stored) in enumerate(zip(slices, _stored(slices), strict=True)):
        here = image, stored[::NEIGHBOUR_STEP, ::NEIGHBOUR_STEP]
        if before and len(usual) > 1 and image.modality == "CT":
            _check_rescales(before, here, usual)
        before = here
        values, counts = rescale(stored, image)
        if volume.dtype == np.int16 and not _fits_int16(values):
            volume = volume.astype(np.float32)
        volume[k] = values
        padding += counts
        dtype = stored.dtype.name
    return volume.transpose(2, 1, 0), padding, dtype


def _check_rescales(
    one: tuple[Slice, npt.NDArray[Any]],
    other: tuple[Slice, npt.NDArray[Any]],
    usual: Counter[tuple[float | None, float | None]],
) -> None:
    """Refuse neighbours (slice, stored values) whose rescales differ where their values do not.

    A scanner may give each slice its own rescale; then the stored values differ, and the HU agree.
    """
    (odd, stored), (even, beside) = sorted(
        (one, other), key=lambda pair: usual[pair[0].slope, pair[0].intercept]
    )
    if (odd.slope, odd.intercept) == (even.slope, even.intercept):
        return
    values = rescale(beside, even)[0]
    tissue = values > TISSUE_HU
    if not tissue.any():
        tissue[...] = True
    alike = replace(odd, slope=even.slope, intercept=even.intercept)
    own, same = (
        float(np.median(np.abs(rescale(stored, image)[0] - values)[tissue]))
        for image in (odd, alike)
    )
    if own - same <= MAX_RESCALE_JUMP_HU:
        return
    words = [f"slope {image.slope:g} and intercept {image.intercept:g}" for image in (odd, even)]
    reason = (
        f"its rescale ({words[0]}) is not that of {even.place.name} beside it ({words[1]}), and "
        f"puts the two {own:.0f} HU apart; with the same rescale they are {same:.0f} HU apart."
    )
    raise InputError("E_VALUES", odd.path, reason, "Export the original slices again.")


def rescale(stored: npt.NDArray[Any], image: Slice) -> tuple[npt.NDArray[Any], Counter[str]]:
    """Stored values (rows, columns) to modality values, padding of a CT to air.

    Returns:
        Values (rows, columns) as int64 when slope and intercept are whole, else float64; and how
        many pixels of padding were "applied", and "kept" since they lie in `BODY_HU`.
    """
    slope = 1.0 if image.slope is None else image.slope
    intercept = 0.0 if image.intercept is None else image.intercept
    values: npt.NDArray[Any]
    whole = slope.is_integer() and intercept.is_integer()
    if whole and max(abs(slope), abs(intercept)) < LARGEST_WHOLE:
        values = stored.astype(np.int64) * int(slope) + int(intercept)
    else:
        values = stored * slope + intercept
    if image.modality != "CT" or image.padding is None:
        return values, Counter()
    padding = image.outside(stored)
    kept = padding & (values > BODY_HU[0]) & (values <= BODY_HU[1])
    values[padding ^ kept] = AIR_HU
    count = int(kept.sum())
    return values, Counter(applied=int(padding.sum()) - count, kept=count)


def _fits_int16(values: npt.NDArray[Any]) -> bool:
    limits = np.iinfo(np.int16)
    whole = values.dtype.kind == "i"
    return whole and limits.min <= values.min() and values.max() <= limits.max


def _stored(slices: Sequence[Slice]) -> Iterator[npt.NDArray[Any]]:
    """The stored values (rows, columns) of each slice in turn; a multi-frame file is read once."""
    for path, group in groupby(slices, key=lambda image: image.path):
        yield from decode_frames(path, [image.frame for image in group])
