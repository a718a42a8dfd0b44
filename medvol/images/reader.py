# SPDX-License-Identifier: Apache-2.0
"""medvol's reading behind MONAI's `ImageReader`, so that `LoadImaged` in a config uses it."""

import logging
import warnings
from collections.abc import Sequence
from os import fspath
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monai.data import ImageReader
from monai.transforms import LoadImaged

from .checks import Kind
from .modality import check_ct
from .radiograph import is_radiograph, load_radiograph
from .sequences import is_patient, load_sequences
from .volume import is_volume, load_image, meta_of


class VolumeReader(ImageReader):
    """Reads what `load_image` reads, with all its refusals.

    `LoadImage` answers an exception of `read` by trying its other readers, which accept cut files;
    so `read` only passes the name on, and `get_data` reads.

    Args:
        series: SeriesInstanceUID, where a folder holds several.
        kind: "mask" for label maps: whole numbers, one value everywhere allowed.
        modality: "CT" refuses values that are no HU.

    Raises:
        ValueError: another kind or modality.

    Example:
        >>> from monai.transforms import LoadImaged
        >>> load = LoadImaged(keys="image", reader=VolumeReader())
    """

    def __init__(
        self, *, series: str | None = None, kind: Kind = "image", modality: str | None = None
    ) -> None:
        if kind not in ("image", "mask"):
            raise ValueError(f"kind is {kind!r}; give 'image' or 'mask'")
        if modality not in (None, "CT"):
            raise ValueError(f"modality is {modality!r}; give 'CT', or None for no check")
        self.series = series
        self.kind = kind
        self.modality = modality

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
        if self.modality == "CT":
            check_ct(image.array, image.path, modality=image.facts.get("Modality"))
        array = image.array
        if self.kind == "image":
            array = array.astype(np.float32, order="K", copy=False)
        return array, {**meta_of(image), "affine": image.affine}


class SequenceReader(VolumeReader):
    """Reads what `load_sequences` reads: one patient's MR sequences as channels."""

    def verify_suffix(self, filename: Sequence[Any] | Any) -> bool:
        """Whether the name looks like a slice picture or a patient's folder."""
        return is_patient(_one(filename))

    def get_data(self, img: Path) -> tuple[npt.NDArray[Any], dict[str, object]]:
        """Read the sequences.

        Returns:
            (3, X, Y, Z) float32, and its metadata with the RAS affine.

        Raises:
            InputError: they cannot be used; the code says why.
        """
        image = load_sequences(img)
        return image.seen.astype(np.float32), {**meta_of(image), "affine": image.affine}


class RadiographReader(ImageReader):
    """Reads what `load_radiograph` reads, with all its refusals; `read` as in `VolumeReader`.

    Example:
        >>> from monai.transforms import LoadImaged
        >>> load = LoadImaged(keys="image", reader=RadiographReader())
    """

    def verify_suffix(self, filename: Sequence[Any] | Any) -> bool:
        """Whether the name looks like a radiograph."""
        return is_radiograph(_one(filename))

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Path:  # noqa: ARG002
        """The path itself; see `VolumeReader` for why nothing is read here."""
        return _one(data)

    def get_data(self, img: Path) -> tuple[npt.NDArray[Any], dict[str, object]]:
        """Read the radiograph.

        Returns:
            (rows, columns) float32 in [0, 1], and its metadata, of one form for all radiographs, so
            that a `DataLoader` can make a batch of them; `notes` has a line a note.

        Raises:
            InputError: it cannot be used; the code says why.
        """
        radiograph = load_radiograph(img)
        return radiograph.pixels, {
            "filename_or_obj": fspath(radiograph.path),
            "spatial_shape": list(radiograph.pixels.shape),
            "original_channel_dim": "no_channel",
            "notes": "\n".join(str(note) for note in radiograph.notes),
        }


def load_volumed(keys: str, *, kind: Kind = "image", modality: str | None = None) -> LoadImaged:
    """MONAI's `LoadImaged` with `VolumeReader`, made without the remarks of readers not used.

    `LoadImaged` makes all of MONAI's own readers first, and the one for nvImageCodec says on every
    machine without it that it is missing.

    Args:
        keys: item with a path.
        kind, modality: as for `VolumeReader`.
    """
    return _loader(keys, VolumeReader(kind=kind, modality=modality))


def load_sequencesd(keys: str) -> LoadImaged:
    """As `load_volumed`, with `SequenceReader`."""
    return _loader(keys, SequenceReader())


def load_radiographd(keys: str) -> LoadImaged:
    """As `load_volumed`, with `RadiographReader`."""
    return _loader(keys, RadiographReader())


def _loader(keys: str, reader: ImageReader) -> LoadImaged:
    logger = logging.getLogger("monai.data.nvimgcodec_pydicom_plugin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
            return LoadImaged(keys, reader=reader)
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
