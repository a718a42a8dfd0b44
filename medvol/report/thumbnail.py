# SPDX-License-Identifier: Apache-2.0
"""Small pictures of an image and what was found in it, as JPEG."""

import io
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from ..images.image import Image
from ..labels import LabelTable
from ..metrics.measurements import Mask, voxels_per_slice
from ..spatial import feet_head_axis

SIDE = 128  # pixels of the longer side: thousands of such pictures fit a page
JPEG_QUALITY = 80
ALPHA = 0.6  # of the colour of a label


class Marks(NamedTuple):
    """A mask, and how it is shown.

    Args:
        mask: (X, Y, Z) on the image's grid.
        table: names and colours of its labels.
        focus: values of the labels that are coloured, and that choose the slice.
    """

    mask: Mask
    table: LabelTable
    focus: tuple[int, ...]


def small_radiograph(
    pixels: npt.NDArray[np.float32], attention: npt.NDArray[np.float32] | None = None
) -> bytes:
    """A radiograph, small; with a map of what speaks for its class under it.

    Args:
        pixels: (rows, columns) in [0, 1].
        attention: (rows, columns) in [0, 1]; None for the radiograph alone.
    """
    grey = _grey(pixels, (0.0, 1.0))
    if attention is None:
        return _jpeg(Picture.fromarray(grey), pixels.shape)
    from .radiographs import with_heat  # here: it loads matplotlib

    peak = float(attention.max())
    painted = with_heat(pixels.clip(0, 1), attention / peak if peak > 0 else attention)
    return _jpeg(Picture.fromarray((painted * 255).round().astype(np.uint8)), pixels.shape)


def small_slice(
    image: Image,
    window: tuple[float, float],
    *,
    marks: Marks | None = None,
    likely: npt.NDArray[np.float32] | None = None,
) -> bytes:
    """The axial slice of a volume with most of the focus, small, in radiological view.

    Args:
        image: a volume.
        window: black and white, in the image's values.
        marks: what is coloured; None where nothing is.
        likely: (N,) probability of the finding in each slice, which chooses where nothing is
            marked.
    """
    from .planes import FEET_HEAD, body_cutter  # here: they load matplotlib
    from .views import choose_slices

    shape = image.array.shape
    mask = np.zeros(shape, np.uint8) if marks is None else marks.mask
    values = marks.focus if marks is not None else ()
    cutter = body_cutter(image, mask, values=values, window_hu=window)
    amounts: list[npt.NDArray[Any]] = [*voxels_per_slice(mask, values)]
    axis = feet_head_axis(image.affine)
    if likely is not None and not amounts[axis].any():
        amounts[axis] = (1000 * likely).astype(np.int64)  # in thousandths, to compare as counts
    (k,) = choose_slices(cutter.view.along(amounts)[FEET_HEAD], 1)
    plane = cutter.plane(FEET_HEAD, k)
    picture = np.repeat(_grey(plane.image, window)[:, :, None], 3, axis=2).astype(np.float32)
    for label in marks.table if marks is not None else ():
        if label.value in values:
            inside = plane.labels == label.value
            picture[inside] += ALPHA * (np.asarray(label.color, np.float32) - picture[inside])
    height, width = plane.size_mm[::-1]
    return _jpeg(Picture.fromarray(picture.round().astype(np.uint8)), (height, width))


def _grey(values: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    low, high = window
    shown = values - low  # and in place from here: to be given memory takes longer than to fill it
    shown /= high - low
    shown.clip(0, 1, out=shown)
    shown *= 255
    return shown.round(out=shown).astype(np.uint8)


def _jpeg(picture: Picture.Image, size: tuple[float, ...]) -> bytes:
    """A JPEG whose longer side has `SIDE` pixels, of a picture of (height, width) in any unit."""
    height, width = size
    scale = SIDE / max(height, width)
    fitting = max(1, round(width * scale)), max(1, round(height * scale))
    smaller = fitting[0] < picture.width or fitting[1] < picture.height
    how = Picture.Resampling.BOX if smaller else Picture.Resampling.BICUBIC
    with io.BytesIO() as stream:
        picture.resize(fitting, how).save(stream, "JPEG", quality=JPEG_QUALITY)
        return stream.getvalue()
