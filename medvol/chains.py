# SPDX-License-Identifier: Apache-2.0
"""The shared transform chains: one function per kind of image, the same in training and use.

A chain is a MONAI `Compose` with a fingerprint. Weights are good for the chain they were trained
with and no other, so a bundle's metadata records the fingerprint and prediction compares it.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from monai.transforms import (
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    EnsureTyped,
    NormalizeIntensityd,
    Orientationd,
)

from .images.reader import load_imaged
from .spatial import AXIS_CODES
from .transforms.body import Foreground
from .transforms.head import HeadBox, StandardiseHeadd
from .transforms.intensity import LUNG_WINDOW_HU, PaddingToAird, WindowHUd
from .transforms.middle import BY, NormaliseByMiddled, OnlyMiddled
from .transforms.resample import ResampleSpacingd
from .transforms.resize_picture import ResizePictured, picture_size

CROP_MARGIN_MM = 40.0  # consolidation at the diaphragm is dense, so it lies below the lowest slice
# in which lung_mask sees air
HEAD_MARGIN_MM = 10.0  # the box of the head already holds skin and skull
IMAGENET_MEAN, IMAGENET_STD = 0.449, 0.226  # of its three channels, the mean of each
# of each chain; raised where what the network sees moves by more than 1e-3, and never otherwise:
# fingerprints change with it, and the weights of that chain need to be trained or measured again
REVISIONS = {"lung_ct": 1, "brain_mri": 1, "radiograph": 1}


class Chain(Compose):
    """A `Compose` that knows what it was made from.

    Args:
        transforms: the steps.
        name: the function that made it.
        settings: everything that changes a number in the result.

    Attributes:
        fingerprint: first 16 hexadecimal digits of the SHA-256 of name, settings and revision, see
            `REVISIONS`.
    """

    def __init__(self, transforms: Sequence[Any], *, name: str, settings: dict[str, Any]) -> None:
        super().__init__(transforms)
        self.name = name
        self.settings = settings
        text = json.dumps([name, settings, REVISIONS.get(name, 1)], sort_keys=True)
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]


def lung_ct(
    *,
    spacing_mm: Sequence[float] = (1.6, 1.6, 5.0),
    window_hu: Sequence[float] = LUNG_WINDOW_HU,
    crop: str | None = "chest",
    crop_margin_mm: float = CROP_MARGIN_MM,
    image_key: str = "image",
    label_key: str | None = None,
) -> Chain:
    """The chain of chest CT: load, RAS, resample, crop, HU window to [0, 1].

    Args:
        spacing_mm: voxel spacing along R, A and S, in mm.
        window_hu: (low, high) in HU that become 0 and 1.
        crop: "chest" (the body's width and depth, the lungs' height), "lungs", "body", or None for
            the whole volume.
        crop_margin_mm: added to the crop's box, in mm; for "chest" above and below, else on every
            side.
        image_key: item with the path of a CT, as `read_image` reads it.
        label_key: item with the path of a label map on the same grid, for training.

    Returns:
        a `Chain`: {image_key: path} to {image_key: (1, X, Y, Z) float32 in [0, 1]}, invertible.

    Raises:
        ValueError: a value out of its range.
    """
    _check_margin(crop_margin_mm)
    settings: dict[str, Any] = {
        "spacing_mm": [float(s) for s in spacing_mm],
        "window_hu": [float(h) for h in window_hu],
        "crop": crop,
        "crop_margin_mm": float(crop_margin_mm) if crop else 0.0,
    }
    keys = [image_key, *([label_key] if label_key else [])]
    steps: list[Any] = [load_imaged(image_key, modality="CT")]
    if label_key:
        steps.append(load_imaged(label_key, kind="mask"))
    steps += [
        EnsureChannelFirstd(keys, channel_dim="no_channel"),
        PaddingToAird(image_key),
        Orientationd(keys, axcodes="RAS", labels=AXIS_CODES),
        ResampleSpacingd(keys, spacing_mm, mode=["linear", "labels"][: len(keys)]),
    ]
    if crop:
        margin = [round(crop_margin_mm / s) for s in settings["spacing_mm"]]
        if crop == "chest":  # the body's width holds all of the lungs
            margin[:2] = [0, 0]
        steps.append(_crop(keys, Foreground(crop), margin))
    steps += [WindowHUd(image_key, window_hu), _as_float32(image_key)]
    return Chain(steps, name="lung_ct", settings=settings)


def brain_mri(
    *,
    spacing_mm: float = 1.0,
    crop_margin_mm: float = HEAD_MARGIN_MM,
    image_key: str = "image",
    label_key: str | None = None,
) -> Chain:
    """The chain of brain MR: load three sequences, RAS, resample in plane, crop, standardise.

    The slices stay as they are: the networks behind it look at one slice at a time. The same chain
    serves pictures of slices and volumes, see `images.sequences`.

    Args:
        spacing_mm: pixel spacing within the slices, in mm.
        crop_margin_mm: added around the head's box within the slices, in mm.
        image_key: item with the path of a patient's folder or slice.
        label_key: item with the path of a label map on the same grid, for training.

    Returns:
        a `Chain`: {image_key: path} to {image_key: (3, X, Y, Z) float32}, the channels in the order
        of `images.slice_images.SEQUENCES`, each with mean 0 and spread 1 in the head; invertible.

    Raises:
        ValueError: a value out of its range.
    """
    _check_margin(crop_margin_mm)
    settings = {"spacing_mm": float(spacing_mm), "crop_margin_mm": float(crop_margin_mm)}
    keys = [image_key, *([label_key] if label_key else [])]
    steps: list[Any] = [load_imaged(image_key, kind="sequences")]
    if label_key:
        steps.append(load_imaged(label_key, kind="mask"))
        steps.append(EnsureChannelFirstd(label_key, channel_dim="no_channel"))
    steps += [
        EnsureChannelFirstd(image_key, channel_dim=0),
        Orientationd(keys, axcodes="RAS", labels=AXIS_CODES),
        ResampleSpacingd(
            keys, (spacing_mm, spacing_mm, None), mode=["linear", "labels"][: len(keys)]
        ),
        _crop(keys, HeadBox(), [round(crop_margin_mm / spacing_mm)] * 2 + [0]),
        StandardiseHeadd(image_key),
        _as_float32(image_key),
    ]
    return Chain(steps, name="brain_mri", settings=settings)


def radiograph(
    *,
    size: int | Sequence[int] = 224,
    keep_aspect: bool = False,
    normalise: str | Sequence[float] = "image",
    only_middle: bool = False,
    image_key: str = "image",
) -> Chain:
    """The chain of radiographs: load, resize, normalise.

    Args:
        size: side of a square in pixels, or rows and columns.
        keep_aspect: scale both axes alike and fill up with 0, black; else each axis by itself.
        normalise: "none" leaves [0, 1]; "image" makes mean 0 and standard deviation 1 of each
            image; "middle" does so with those of the part where lungs lie, which border and letters
            leave alone, and cuts at 4 deviations; "ranks" takes the place of a grey among those of
            that part, whatever the grey scale; "imagenet" takes the mean and deviation of
            photographs, for weights that were trained on them; or (mean, standard deviation) of a
            data set.
        only_middle: hide what lies beside the part where lungs lie, see `transforms.middle`.
        image_key: item with the path of a radiograph, as `read_image` reads it.

    Returns:
        a `Chain`: {image_key: path} to {image_key: (1, rows, columns) float32}.

    Raises:
        ValueError: a value out of its range, or `only_middle` with normalise "image", by which
            the rest would show.
    """
    sides = picture_size(size)
    scale = _scale(normalise)
    settings = {
        "size": list(sides),
        "keep_aspect": bool(keep_aspect),
        "normalise": scale if isinstance(scale, str) else list(scale),
    }
    if only_middle:
        if scale == "image":
            allowed = ", ".join(map(repr, BY))
            raise ValueError(f"normalise is 'image' with only_middle; give one of {allowed}")
        settings["only_middle"] = True  # no entry where it is not: older fingerprints hold
    steps: list[Any] = [
        load_imaged(image_key, kind="radiograph"),
        EnsureChannelFirstd(image_key, channel_dim="no_channel"),
        ResizePictured(image_key, sides, keep_aspect=keep_aspect),
    ]
    if scale in BY:
        steps.append(NormaliseByMiddled(image_key, str(scale)))
    elif scale == "image":
        steps.append(NormalizeIntensityd(image_key))
    elif not isinstance(scale, str) and scale != (0.0, 1.0):
        steps.append(NormalizeIntensityd(image_key, subtrahend=scale[0], divisor=scale[1]))
    if only_middle:
        steps.append(OnlyMiddled(image_key))
    steps.append(_as_float32(image_key))
    return Chain(steps, name="radiograph", settings=settings)


def _check_margin(crop_margin_mm: float) -> None:
    if crop_margin_mm < 0:
        raise ValueError(f"crop_margin_mm is {crop_margin_mm}; give 0 or more")


def _crop(keys: list[str], inside: Callable[..., Any], margin: list[int]) -> CropForegroundd:
    """All items to the box that `inside` finds in the first, some voxels wider."""
    return CropForegroundd(
        keys, source_key=keys[0], select_fn=inside, margin=margin, allow_smaller=True,
        start_coord_key=None, end_coord_key=None,
    )  # fmt: skip


def _as_float32(key: str) -> EnsureTyped:
    return EnsureTyped(key, dtype="float32", track_meta=True)


def _scale(normalise: str | Sequence[float]) -> tuple[float, float] | str:
    """Mean and standard deviation, the same for all images; or the name of how each has its own."""
    known: dict[str, tuple[float, float] | str] = {
        "none": (0.0, 1.0), "image": "image", **{name: name for name in BY},
        "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    }  # fmt: skip
    if isinstance(normalise, str) and normalise in known:
        return known[normalise]
    if not isinstance(normalise, str) and len(normalise) == 2:
        mean, std = (float(number) for number in normalise)
        if math.isfinite(mean) and math.isfinite(std) and std > 0:
            return mean, std
    allowed = ", ".join(map(repr, known))
    raise ValueError(
        f"normalise is {normalise!r}; give {allowed}, or a mean and a standard deviation above 0"
    )
