# SPDX-License-Identifier: Apache-2.0
"""A bundle's transforms without those that read or write files, which are stages of their own."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    LoadImaged,
    SaveClassificationd,
    SaveImage,
    SaveImaged,
    Spacingd,
    WriteFileMapping,
    WriteFileMappingd,
)

from ..images.image import Image
from ..images.reader import ImageReader
from ..kinds import is_of

IMAGE, PRED = "image", "pred"
Data = dict[str, Any]
AS_STORED = (np.int16, np.int8, np.uint8, np.float32)  # types that torch computes with
WRITERS = (SaveClassificationd, SaveImage, SaveImaged, WriteFileMapping, WriteFileMappingd)


def tensor_of(image: Image, as_stored: bool) -> MetaTensor:
    """What the network sees of an image, before any transform.

    Args:
        image: with its voxels.
        as_stored: without a copy, in the type and the order in memory that they have; else float32.

    Returns:
        (X, Y, Z), or (C, X, Y, Z) with channels.
    """
    array = image.seen
    if not as_stored or array.dtype not in AS_STORED:
        array = np.ascontiguousarray(array, dtype=np.float32)
    elif min(array.strides, default=0) < 0 or not array.flags.writeable:  # torch refuses them
        array = array.copy(order="K")
    affine = torch.from_numpy(image.affine)
    return MetaTensor(torch.from_numpy(array), affine=affine, meta=image.meta)


def reads_its_own_way(step: Any) -> bool:
    """Whether a step loads files by another reader than medvol's."""
    return isinstance(step, LoadImaged) and not any(
        is_of(reader, ImageReader) for reader in step._loader.readers
    )


def without_loading(steps: Sequence[Any]) -> list[Any]:
    """The steps after loading; a loader that adds the channel axis leaves that step behind."""
    kept_steps: list[Any] = []
    for step in steps:
        if not isinstance(step, LoadImaged):
            kept_steps.append(step)
        elif step._loader.ensure_channel_first:
            kept_steps.append(partial(add_channel, keys=step.keys))
    return kept_steps


def without_writing(steps: Sequence[Any]) -> list[Any]:
    """The steps but those that write files; within one that holds others they do nothing any more.

    Args:
        steps: of a `Compose`. One of them that is a `Compose`, `OneOf` and the like is changed
            itself, since `Invertd` and the trace of what was applied refer to it.
    """
    kept_steps = [step for step in steps if not _writes(step)]
    for step in kept_steps:
        _keep_from_writing(step)
    return kept_steps


def spacing_of(preprocessing: Compose) -> tuple[float, ...] | None:
    """Spacing of the network's input, as a chain of medvol or MONAI's `Spacingd` has it.

    None where nothing resamples, or where an axis keeps the spacing of the file.
    """
    spacing: Any = getattr(preprocessing, "settings", {}).get("spacing_mm")
    for step in preprocessing.flatten().transforms:
        if isinstance(step, Spacingd):
            spacing = step.spacing_transform.pixdim
    if np.ndim(spacing) != 1:  # none, or one number for a picture
        return None
    found = tuple(float(s) for s in np.asarray(spacing))
    return found if all(mm > 0 for mm in found) else None  # -1 and NaN: an axis stays as it is


def _writes(step: Any) -> bool:
    return isinstance(step, WRITERS) or getattr(step, "writes_files", False)


def _keep_from_writing(step: Any) -> None:
    inner = step.transforms if isinstance(step, Compose) else ()
    for one in inner:
        _keep_from_writing(one)
    if any(map(_writes, inner)):  # as many as before: OneOf has a weight for each
        step.transforms = [_as_it_is if _writes(one) else one for one in inner]


def _as_it_is(data: Data) -> Data:
    return data


def add_channel(data: Data, keys: Sequence[Any]) -> Data:
    """The same with a channel axis, where the images have none.

    Args:
        data: of one case.
        keys: of the images, of any shape.
    """
    images: dict[Any, MetaTensor] = {key: data[key] for key in keys}
    return {**data} | {
        key: image.unsqueeze(0)
        for key, image in images.items()
        if image.meta.get("original_channel_dim") != 0
    }
