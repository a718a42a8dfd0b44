# SPDX-License-Identifier: Apache-2.0
"""medvol's reading behind MONAI's `ImageReader`, so that `LoadImaged` in a config uses it."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monai.data import ImageReader
from monai.transforms import LoadImaged

from .checks import Kind
from .volume import is_volume, load_image, meta_of


class VolumeReader(ImageReader):
    """Reads what `load_image` reads, with all its refusals.

    `LoadImage` answers an exception of `read` by trying its other readers, which accept cut files;
    so `read` only passes the name on, and `get_data` reads.

    Args:
        series: SeriesInstanceUID, where a folder holds several.
        kind: "mask" for label maps: whole numbers, one value everywhere allowed.

    Raises:
        ValueError: `kind` is neither "image" nor "mask".

    Example:
        >>> from monai.transforms import LoadImaged
        >>> load = LoadImaged(keys="image", reader=VolumeReader())
    """

    def __init__(self, *, series: str | None = None, kind: Kind = "image") -> None:
        if kind not in ("image", "mask"):
            raise ValueError(f"kind is {kind!r}; give 'image' or 'mask'")
        self.series = series
        self.kind = kind

    def verify_suffix(self, filename: Sequence[Any] | Any) -> bool:
        """Whether the name looks like a volume."""
        return is_volume(_one(filename))

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Path:  # noqa: ARG002
        """The path itself; see the class for why nothing is read here."""
        return _one(data)

    def get_data(self, img: Path) -> tuple[npt.NDArray[Any], dict[str, object]]:
        """Read the volume.

        Returns:
            (X, Y, Z) float32 (a mask: uint8 or uint16), and its metadata with the RAS affine.

        Raises:
            InputError: it cannot be used; the code says why.
        """
        image = load_image(img, series=self.series, kind=self.kind)
        array = image.array
        if self.kind == "image":
            array = array.astype(np.float32, order="K", copy=False)
        return array, {**meta_of(image), "affine": image.affine}


def load_volumed(keys: str, *, kind: Kind = "image", series: str | None = None) -> LoadImaged:
    """MONAI's `LoadImaged` with `VolumeReader`, made without the remarks of readers not used.

    `LoadImaged` makes all of MONAI's own readers first, and the one for nvImageCodec says on every
    machine without it that it is missing.

    Args:
        keys: item with a path.
        kind, series: as for `VolumeReader`.
    """
    logger = logging.getLogger("monai.data.nvimgcodec_pydicom_plugin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
            return LoadImaged(keys, reader=VolumeReader(kind=kind, series=series))
    finally:
        logger.setLevel(level)


def _one(names: Sequence[Any] | Any) -> Path:
    """The one path of `LoadImage`'s tuple.

    Raises:
        ValueError: several are given.
    """
    if isinstance(names, (list, tuple)):
        if len(names) != 1:
            raise ValueError(f"{len(names)} files are given as one image; give one per key")
        return Path(names[0])
    return Path(str(names))
