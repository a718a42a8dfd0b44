# SPDX-License-Identifier: Apache-2.0
"""Bringing pictures to one size without aliasing: what becomes smaller is averaged, not skipped."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import interpolate, pad

from .keys import ItemTransform

Size = tuple[int, int]  # rows, columns


def picture_size(size: int | Sequence[int]) -> Size:
    """A side of a square, or rows and columns, as rows and columns.

    Raises:
        ValueError: not one or two whole numbers of at least 1.

    Example:
        >>> picture_size(224), picture_size([320, 256])
        ((224, 224), (320, 256))
    """
    sides = [size, size] if isinstance(size, int) else list(size)
    if len(sides) != 2 or any(not isinstance(side, int) or side < 1 for side in sides):
        raise ValueError(f"size is {size}; give one whole number of pixels, or rows and columns")
    return sides[0], sides[1]


def resize_picture(picture: Tensor, size: Size, *, keep_aspect: bool = False) -> Tensor:
    """Scale a picture to a size, linearly, over all pixels that go into a new one.

    A picture that has the size already comes back as it is.

    Args:
        picture: (C, rows, columns), float.
        size: rows and columns of the result.
        keep_aspect: scale both axes alike, as far as the picture fits, and put 0 on both sides of
            the other axis; of an odd number of lines the last side gets one more.

    Returns:
        (C, *size), within the range of the picture and 0.

    Example:
        >>> resize_picture(Tensor([[[1, 1]]]), (2, 2), keep_aspect=True).tolist()
        [[[1.0, 1.0], [0.0, 0.0]]]
    """
    inner = fitted(picture.shape[1:], size) if keep_aspect else size
    if tuple(picture.shape[1:]) != inner:
        low, high = picture.aminmax()
        picture = _scaled(picture, inner)
        picture = picture.clamp_(low, high)  # weights add up to 1 within rounding only
    rows, columns = (whole - part for whole, part in zip(size, inner, strict=True))
    if not rows and not columns:
        return picture
    return pad(picture, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def restore_picture(picture: Tensor, shape: Size, *, keep_aspect: bool = False) -> Tensor:
    """Bring what lies on the grid of a resized picture back to that of the picture itself.

    The reverse of `resize_picture`: lines that were put on both sides are taken away, and the rest
    is scaled to the shape, linearly.

    Args:
        picture: (C, rows, columns), float, as `resize_picture` gave it.
        shape: rows and columns of the picture before.
        keep_aspect: as it was for `resize_picture`.

    Returns:
        (C, *shape).

    Example:
        >>> import torch
        >>> resized = resize_picture(torch.ones(1, 2, 4), (4, 4), keep_aspect=True)
        >>> restore_picture(resized, (2, 4), keep_aspect=True)[0].tolist()
        [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """
    whole = picture.shape[1], picture.shape[2]
    inner = fitted(shape, whole) if keep_aspect else whole
    top, left = ((w - part) // 2 for w, part in zip(whole, inner, strict=True))
    picture = picture[:, top : top + inner[0], left : left + inner[1]]
    return interpolate(picture[None], shape, mode="bilinear", antialias=True)[0]


def _scaled(picture: Tensor, size: Size) -> Tensor:
    """What torch's `interpolate` with `antialias` makes of a picture (C, rows, columns).

    Where both sides shrink, in half its time: first the rows, each of which is a sum of some old
    ones, added as a whole.
    """
    sides = list(zip(picture.shape[1:], size, strict=True))
    if picture.device.type != "cpu" or any(old < new for old, new in sides):
        return interpolate(picture[None], size, mode="bilinear", antialias=True)[0]
    rows, columns = (_weights(old, new) for old, new in sides)
    half = [torch.from_numpy(rows @ channel).T.contiguous() for channel in picture.numpy()]
    return torch.stack([torch.from_numpy(columns @ turned.numpy()).T for turned in half])


@lru_cache(maxsize=64)  # pictures of one detector have one size
def _weights(old: int, new: int) -> csr_array:
    """Of old pixels in new ones along a side, (new, old) float32: a triangle around each middle.

    They are computed with torch's roundings: a middle has its error, of which all its weights know.
    """
    reach = np.float32(old) / np.float32(new)  # to both sides, and from a middle to the next
    half = np.float32(0.5)
    middles = (np.arange(new, dtype=np.float32) + half) * reach
    first = np.maximum((middles - reach + half).astype(np.int32), 0)
    behind = np.minimum((middles + reach + half).astype(np.int32), old)
    number = int((behind - first).max())
    pixels = first[:, None] + np.arange(number, dtype=np.int32)
    away = np.abs(pixels - middles[:, None] + half) / reach
    weights = np.where(pixels < behind[:, None], (1 - away).clip(0), 0).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    ends = np.arange(new + 1, dtype=np.int32) * number
    return csr_array(
        (weights.ravel(), pixels.clip(max=old - 1).ravel(), ends), shape=(new, old)
    )  # fmt: skip


def fitted(shape: Sequence[int], size: Size) -> Size:
    """The largest size of this shape's proportions inside `size`, at least one pixel a side.

    Example:
        >>> fitted((1000, 500), (224, 224))
        (224, 112)
    """
    scale = min(whole / side for whole, side in zip(size, shape, strict=True))
    rows, columns = (
        min(whole, max(1, round(side * scale))) for whole, side in zip(size, shape, strict=True)
    )
    return rows, columns


class ResizePictured(ItemTransform):
    """Dictionary transform around `resize_picture`.

    Args:
        keys: items (C, rows, columns).
        size: side of a square in pixels, or rows and columns.
        keep_aspect: as for `resize_picture`.

    Raises:
        ValueError: another size.
    """

    def __init__(
        self, keys: KeysCollection, size: int | Sequence[int], *, keep_aspect: bool = False
    ) -> None:
        super().__init__(keys)
        self.size = picture_size(size)
        self.keep_aspect = keep_aspect

    def change(self, item: Tensor, *_: Any) -> Tensor:
        return resize_picture(item, self.size, keep_aspect=self.keep_aspect)
