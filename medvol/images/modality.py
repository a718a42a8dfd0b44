# SPDX-License-Identifier: Apache-2.0
"""What the values of a volume look like: a CT in HU, or something that must be converted first."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note
from .checks import check_body_size
from .hounsfield import are_neighbours_alike, check_slices, levels_of
from .image import Image

CT, OFFSET_CT, SCALED_CT, GREY, UNIT, OTHER = (
    "CT in HU",
    "CT in HU + 1024",
    "CT of another scale or offset",
    "windowed grey 0-255",
    "scaled to 0-1",
    "MR or other",
)
SEQUENCES_OF_MR = "MR sequences"  # not by the values: several images on one grid
SAMPLE_VOXELS = 200_000
WHITE_PERCENTILE = 99.5  # the brightest fat and vessels may be white
AIR_HU = (-1100, -500)  # outside the patient and in healthy lung
SOFT_TISSUE_HU = (-150, 200)  # fat, muscle, blood, consolidated lung
# Smallest share of voxels. In 12 chest CTs air was 0.23-0.68 and soft tissue 0.21-0.71; inside
# lung masks alone soft tissue (vessels) went down to 0.003, and a CT whose offset was subtracted
# twice, so that bone takes the place of tissue, came up to 0.001.
MIN_AIR, MIN_SOFT_TISSUE = 0.02, 0.002
MIN_OFFSET_TISSUE = 0.15  # MR, too, has many voxels near 0 and a few near 1024
PADDING_SHARE = 0.2  # noise gives no single HU so many voxels
STORED_OFFSET = 1024  # of CT kept as unsigned numbers
_CONVERT = {
    OFFSET_CT: "Subtract 1024 from every voxel, or export it again with its rescale intercept.",
    SCALED_CT: "Export it again with its rescale slope and intercept: air -1000, water 0.",
    GREY: "Export it again in HU; or, if its window is known, turn grey into "
    "low + grey / 255 * (high - low).",
    UNIT: "Export it again in HU; or, if its window is known, turn each value into "
    "low + value * (high - low).",
    OTHER: "Give a CT in Hounsfield units, exported without windowing or normalisation.",
}


def guess_modality(array: npt.NDArray[Any]) -> str:
    """What kind of image these values are, judged by their distribution alone.

    Args:
        array: (X, Y, Z), any real type; about 200,000 voxels of it are looked at.

    Returns:
        `CT`, `OFFSET_CT`, `SCALED_CT`, `GREY`, `UNIT` or `OTHER`.
    """
    return _judged(array)[0]


def _judged(array: npt.NDArray[Any]) -> tuple[str, list[Note]]:
    """The same, and of a CT a note where gas or tissue lies elsewhere than in other CTs."""
    values, step = sampled(array), _step(array)
    low, high = np.percentile(values, (0.1, 99.9))
    if _looks_like_ct(values, MIN_SOFT_TISSUE):
        if not are_neighbours_alike(array, step):
            return OTHER, []
        levels = levels_of(values)
        return (CT, levels.notes()) if levels.are_hu else (SCALED_CT, [])
    if low >= -1 and high <= 1:
        return UNIT, []
    if low >= 0 and high <= 255:
        return GREY, []
    if _looks_like_ct(values - STORED_OFFSET, MIN_OFFSET_TISSUE):
        return OFFSET_CT, []
    return OTHER, []


def checked_ct(image: Image) -> Image:
    """A volume whose values are HU of a part of the body with air and soft tissue.

    The modality that its DICOM header says, such as "MR", outweighs the values.

    Returns:
        The image, with a note where gas or tissue lies elsewhere than in other CTs.

    Raises:
        InputError: E_MODALITY, with what was seen and how to convert; E_VALUES, a slice contradicts
            those beside it; E_GEOMETRY, too small for a part of a body.
    """
    array, path, modality = image.array, image.path, image.facts.get("Modality")
    if modality not in (None, "CT"):
        reason = f"its DICOM header says {modality}; a CT is expected."
        raise InputError("E_MODALITY", path, reason, "Give the CT series.")
    check_body_size(array.shape, image.affine, path)
    seen, notes = _judged(array)
    if seen == CT:
        check_slices(array, path)
        return replace(image, notes=(*image.notes, *notes), looks_like=seen)
    low, middle, high = np.percentile(sampled(array), (0.1, 50, 99.9))
    reason = (
        f"a CT in HU is expected (air -1000, soft tissue 0 to 100); its values go from {low:.4g} "
        f"to {high:.4g}, median {middle:.4g}, and look like {seen}."
    )
    raise InputError("E_MODALITY", path, reason, _CONVERT[seen])


def grey_window(array: npt.NDArray[Any]) -> tuple[float, float]:
    """(black, white) in which an image (X, Y, Z) without units, such as MR, is shown.

    It goes from 0 to the bright end of its values.
    """
    seen = sampled(array)
    low, high = min(0.0, float(seen.min())), float(np.percentile(seen, WHITE_PERCENTILE))
    return (low, high) if high > low else (low, max(float(array.max()), low + 1))


def sampled(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """About 200,000 values (n,) of an image of any shape, on a sub-grid; all of a small one.

    Example:
        >>> sampled(np.array([[0, 1], [2, 3]])).tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    grid = (slice(None, None, _step(array)),) * array.ndim
    return array[grid].astype(np.float32).ravel()


def _step(array: npt.NDArray[Any]) -> int:
    return max(1, round((array.size / SAMPLE_VOXELS) ** (1 / array.ndim)))


def _looks_like_ct(values: npt.NDArray[np.float32], min_tissue: float) -> bool:
    """Whether air is there, and enough soft tissue among the voxels that are not padding."""
    inside = _without_padding(values)
    return _share(values, AIR_HU) >= MIN_AIR and _share(inside, SOFT_TISSUE_HU) >= min_tissue


def _without_padding(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Without the values as dark as air that more than `PADDING_SHARE` of all voxels have."""
    levels, counts = np.unique(values, return_counts=True)
    padding = levels[(counts > PADDING_SHARE * values.size) & (levels <= AIR_HU[1])]
    return values[~np.isin(values, padding)]


def _share(values: npt.NDArray[np.float32], limits: tuple[float, float]) -> float:
    return float(np.mean((values >= limits[0]) & (values <= limits[1]))) if values.size else 0.0
