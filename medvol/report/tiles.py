# SPDX-License-Identifier: Apache-2.0
"""A radiograph as a small picture for a page, alone or beside where a network looked."""

import base64
import io
import os
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from ..images import read_image
from .attention_overlay import ALPHA, COLORS

SIDE = 240  # pixels of the longer side
JPEG_QUALITY = 85

Heat = npt.NDArray[np.floating[Any]]


def radiograph_tile(path: str | os.PathLike[str], attention: Heat | None = None) -> str:
    """The address of an `img`: a JPEG of the radiograph, and beside it the same with attention.

    Args:
        path: of the radiograph.
        attention: (rows, columns) in [0, 1] over the whole picture, on any grid; None for the
            radiograph alone.

    Raises:
        InputError: it cannot be read; the code says why.
    """
    grey = small(read_image(path, "radiograph").array)
    tile = np.repeat(grey[:, :, None], 3, axis=2)
    if attention is not None:
        tile = np.concatenate([tile, with_heat(grey, attention)], axis=1)
    with io.BytesIO() as stream:
        picture = Image.fromarray((tile * 255).round().astype(np.uint8))
        picture.save(stream, "JPEG", quality=JPEG_QUALITY)
        return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def small(pixels: npt.NDArray[np.float32], *, side: int = SIDE) -> npt.NDArray[np.float32]:
    """The picture with a longer side of so many pixels at most; a smaller one as it is.

    Example:
        >>> small(np.zeros((480, 120), np.float32)).shape
        (240, 60)
    """
    scale = side / max(pixels.shape)
    if scale >= 1:
        return pixels
    rows, columns = (max(1, round(length * scale)) for length in pixels.shape)
    return _resized(pixels, rows, columns)


def with_heat(grey: npt.NDArray[np.float32], attention: Heat) -> npt.NDArray[np.float32]:
    """Lay attention as colour over grey: nothing where it is 0, most where it is 1.

    Args:
        grey: (rows, columns) in [0, 1].
        attention: (any, any) in [0, 1] over the same field.

    Returns:
        (rows, columns, 3) in [0, 1].
    """
    heat = _resized(attention.astype(np.float32), *grey.shape).clip(0, 1)
    color = colormaps[COLORS](heat)[:, :, :3].astype(np.float32)
    alpha = (ALPHA * heat)[:, :, None]
    return np.asarray((1 - alpha) * grey[:, :, None] + alpha * color, np.float32)


def _resized(values: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float32]:
    picture = Image.fromarray(values).resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)
