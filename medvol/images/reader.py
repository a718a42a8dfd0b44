# SPDX-License-Identifier: Apache-2.0
"""medvol's reading behind MONAI's `ImageReader`, so that `LoadImaged` in a config uses it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai.data
import numpy as np
import numpy.typing as npt
import torch
from monai.transforms import LoadImaged

from ..quiet import quiet
from . import read_image
from .checks import odd_values
from .find import is_radiograph, is_volume
from .image import Kind, check_kind
from .modality import checked_ct
from .sequences import is_patient

_LOOKS_LIKE = {
    "volume": is_volume, "mask": is_volume, "sequences": is_patient, "radiograph": is_radiograph
}  # fmt: skip


class ImageReader(monai.data.ImageReader):
    """Reads what `read_image` reads, with all its refusals.

    `LoadImage` answers an exception of `read` by trying its other readers, which accept cut files;
    so `read` only passes the name on, and `get_data` reads.

    Args:
        kind: as for `read_image`.
        series: SeriesInstanceUID, where a folder holds several.
        modality: "CT" refuses values that are not HU.

    Raises:
        ValueError: another kind or modality.

    Example:
        >>> from monai.transforms import LoadImaged
        >>> load = LoadImaged(keys="image", reader=ImageReader(kind="radiograph"))
    """

    def __init__(
        self, *, kind: Kind = "volume", series: str | None = None, modality: str | None = None
    ) -> None:
        check_kind(kind)
        if modality not in (None, "CT"):
            raise ValueError(f"modality is {modality!r}; give 'CT', or None for no check")
        self.kind = kind
        self.series = series
        self.modality = modality

    def verify_suffix(self, filename: Sequence[Any] | Any) -> bool:
        """Whether the name looks like an image of this kind."""
        return _LOOKS_LIKE[self.kind](_one(filename))

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Path:  # noqa: ARG002
        """The path itself; see the class for why nothing is read here."""
        return _one(data)

    def get_data(self, img: Path) -> tuple[npt.NDArray[Any], dict[str, object]]:
        """Read the image.

        Returns:
            A volume (X, Y, Z) float32, a mask (X, Y, Z) uint8 or uint16, sequences (C, X, Y, Z)
            float32, a radiograph (rows, columns) float32 in [0, 1]; and the metadata, with the RAS
            affine where the image has a place.

        Raises:
            InputError: it cannot be used; the code says why.
        """
        image = read_image(img, self.kind, series=self.series)
        if self.modality == "CT":
            image = checked_ct(image)
        array = image.seen
        if self.kind != "mask":
            array = array.astype(np.float32, order="K", copy=False)
        place = {} if self.kind == "radiograph" else {"affine": image.affine}
        return array, {**image.meta, **place}


class LoadMaskd(LoadImaged):
    """MONAI's `LoadImaged` of a mask whose item says what its values mean.

    `label_numbers` of an item leads from the values in its file to labels, as
    `medvol.data.items.load_items` puts it there. It is taken out; without it values stay.
    """

    def __call__(self, data: Any, reader: Any = None) -> Any:
        result = super().__call__(data, reader)
        numbers: Mapping[int, int] | None = result.pop("label_numbers", None)
        if numbers is None:
            return result
        for key in self.keys:
            values = result[key].as_tensor()
            there = torch.bincount(values.flatten().int()).nonzero().flatten().tolist()
            if odd := [value for value in there if value not in numbers]:
                raise odd_values(Path(data[key]), odd, numbers)
            if any(numbers[value] != value for value in there):
                table = torch.tensor([numbers.get(value, 0) for value in range(there[-1] + 1)])
                values.copy_(table[values.long()])
        return result


def load_imaged(keys: str, *, kind: Kind = "volume", modality: str | None = None) -> LoadImaged:
    """MONAI's `LoadImaged` with `ImageReader`, made without the remarks of readers not used.

    `LoadImaged` makes all of MONAI's own readers first, and the one for nvImageCodec says on every
    machine without it that it is missing.

    Args:
        keys: item with a path.
        kind: as for `read_image`.
        modality: as for `ImageReader`.

    Raises:
        ValueError: as for `ImageReader`.
    """
    with quiet():
        made = LoadMaskd if kind == "mask" else LoadImaged
        return made(keys, reader=ImageReader(kind=kind, modality=modality))


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
