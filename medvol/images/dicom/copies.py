# SPDX-License-Identifier: Apache-2.0
"""Files of one DICOM series that repeat another one: used once, or refused where they differ."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...text import counted
from .dataset import read_dataset
from .header import Slice, judged

Pair = tuple[Slice, Slice]


def without_copies(slices: Sequence[Slice], left_out: Counter[str]) -> list[Slice]:
    """Drop what repeats another file: the same place, rescale and pixel bytes.

    Such a file has the SOPInstanceUID of the other, or a new one from a program that copied it.
    Different images of one place stay, for the geometry to refuse.

    Args:
        slices: of one series.
        left_out: files that are dropped are counted here as "duplicate".

    Raises:
        InputError: E_SERIES, files of one SOPInstanceUID that differ; E_CORRUPT and the like, a
            file that cannot be compared.
    """
    same_pixels = cache(_same_pixels)  # of files, once for all their frames

    def same(pair: Pair) -> bool:
        return _same_header(*pair) and same_pixels(pair[0].path, pair[1].path)

    dropped: set[Slice] = set()
    for pair in _pairs(slices, _instance):
        if not same(pair):
            raise _clash(pair, slices)
        dropped.add(pair[1])
    rest = [image for image in slices if image not in dropped]
    dropped.update(pair[1] for pair in _pairs(rest, _place) if same(pair))
    left_out["duplicate"] += len({image.path for image in dropped})
    return [image for image in slices if image not in dropped]


def _pairs(slices: Sequence[Slice], key: Callable[[Slice], Hashable]) -> list[Pair]:
    """Each image that has the key of an image of another file before it, behind that one."""
    first: dict[Hashable, Slice] = {}
    pairs = [(first.setdefault(key(image), image), image) for image in slices]
    return [(one, other) for one, other in pairs if one.path != other.path]


def _instance(image: Slice) -> Hashable:
    return (image.instance or image.path, image.frame)


def _place(image: Slice) -> Hashable:
    """Where an image lies, to 0.001 mm; its own file where that is not known."""
    if image.place.position is None or np.isnan(image.place.position).any():
        return image.path
    return (*image.place.position.round(3).tolist(), image.frame)


def _same_header(one: Slice, other: Slice) -> bool:
    """Whether two images have one place and one rescale, as far as their headers say."""
    pairs = [
        (one.place.position, other.place.position),
        (one.place.orientation, other.place.orientation),
        (one.slope, other.slope),
        (one.intercept, other.intercept),
    ]
    numbers = ([np.nan if x is None else x for x in pair] for pair in pairs)
    return all(np.array_equal(first, second, equal_nan=True) for first, second in numbers)


def _same_pixels(first: Path, second: Path) -> bool:
    with judged(second, "its pixels cannot be read", "Export the series again."):
        one, other = (read_dataset(path, specific_tags=["PixelData"]) for path in (first, second))
    return bool(
        one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID
        and one.get("PixelData") == other.get("PixelData")
    )


def _clash(pair: Pair, slices: Sequence[Slice]) -> InputError:
    first, image = pair
    files = {other.path for other in slices if other.instance == image.instance}
    reason = (
        f"{counted(len(files), 'file')} of the series have one SOPInstanceUID, this and "
        f"{first.place.name} among them, but differ in place or pixels."
    )
    remedy = "Export the series again, each image with a UID of its own."
    return InputError("E_SERIES", image.path, reason, remedy)
