# SPDX-License-Identifier: Apache-2.0
"""Lesions of one patient pasted onto the lungs of another, so that few patients show many cases."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from monai.transforms.transform import MapTransform, RandomizableTransform
from torch import Tensor
from torch.nn import functional as F

from .keys import placed, plain

Array = npt.NDArray[Any]
Marked = npt.NDArray[np.bool_]
Donor = tuple[Tensor, Tensor, Tensor]  # excess (X, Y, Z), label (X, Y, Z), lesion's voxels (N, 3)

LUNG_VOXELS = 100  # that the host must show, for its usual density to be known
KEPT_SHARE = 0.3  # of the host's own structure, so that its vessels stay visible in the lesion


def paste_lesion(
    image: Tensor, label: Tensor, donor: tuple[Tensor, Tensor], *, lesion: Sequence[int],
    lung: int, gain: float = 1.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Paste the donor's lesion where the host has healthy lung.

    What is pasted is how much denser the lesion is than the donor's own lung, on top of the host's
    lung: scanners, breath and the mapping of grey values shift both. Nothing becomes lighter, and
    the lesion fades in over one voxel in plane.

    Args:
        image: (X, Y, Z), the host.
        label: (X, Y, Z) of the host.
        donor: excess over the median of its own lung, and label, of the same shape.
        lesion: labels that are pasted.
        lung: label of healthy lung.
        gain: factor on the lesion's excess.

    Returns:
        Image and label, both (X, Y, Z); the given ones where the host shows fewer than
        `LUNG_VOXELS` of lung, or the lesion meets no lung.
    """
    excess, donor_label = donor
    healthy = _slices(label) == lung
    met = _is_any(_slices(donor_label), lesion) & healthy
    box = _box_around(met)
    if box is None or np.count_nonzero(healthy) < LUNG_VOXELS:
        return image, label
    lifted = _median(_slices(image)[healthy]) + gain * excess[box]
    host, places = image[box], torch.from_numpy(met).movedim(0, 2)[box]
    denser = torch.maximum(host, KEPT_SHARE * host + (1 - KEPT_SHARE) * lifted)
    share = F.avg_pool2d(places.to(image.dtype).movedim(2, 0)[:, None], 3, 1, 1)[:, 0].movedim(0, 2)
    pasted, marked = image.clone(), label.clone()
    pasted[box] = torch.lerp(host, denser, share * places)
    marked[box] = torch.where(places, donor_label[box].to(label.dtype), label[box])
    return pasted, marked


def _slices(volume: Tensor) -> Array:
    """(X, Y, Z) as (Z, X, Y) of NumPy, which selects by a mask ten times as fast as torch."""
    array: Array = volume.numpy().transpose(2, 0, 1)
    return array


def _is_any(label: Array, values: Sequence[int]) -> Marked:
    """Where a label is one of the values; for the few of a lesion faster than `isin`."""
    found: Marked = label == values[0]
    for value in values[1:]:
        found |= label == value
    return found


def _box_around(places: Marked) -> tuple[slice, ...] | None:
    """The smallest box (X, Y, Z) that holds all places (Z, X, Y); None where there are none."""
    plane = np.asarray(places.any(0))  # (X, Y)
    front = np.asarray(places.any(2))  # (Z, X)
    box = []
    for along in (plane.any(1), plane.any(0), front.any(1)):
        found = np.flatnonzero(along)
        if not len(found):
            return None
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)


def _median(values: Array) -> float:
    """As torch has it: of an even number, the lower one of the two in the middle."""
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])


def lesion_donors(
    items: Iterable[Mapping[str, Any]],
    transform: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    lesion: Sequence[int],
    lung: int,
) -> list[Donor]:
    """Prepare the cases that have a lesion and healthy lung, and keep them in memory.

    Args:
        items: of a datalist; a case listed twice is prepared once.
        transform: the chain; gives `image` and `label`, each (1, X, Y, Z).
        lesion: labels of the lesion.
        lung: label of healthy lung.

    Returns:
        Per case the image's excess over the median of its lung (X, Y, Z) float16, the label
        (X, Y, Z) uint8, and the places of the lesion (N, 3).
    """
    donors = []
    for item in {str(item["image"]): item for item in items}.values():
        data = transform(item)
        image, label = (torch.as_tensor(data[k][0]).as_subclass(Tensor) for k in ("image", "label"))
        places = torch.from_numpy(np.argwhere(_is_any(label.numpy(), lesion)))
        healthy = _slices(image)[_slices(label) == lung]
        if len(places) and len(healthy):
            donors.append(((image - _median(healthy)).half(), label.to(torch.uint8), places))
    return donors


class Drawn(NamedTuple):
    """What `RandPasteLesiond` drew for a host.

    Attributes:
        donor: one of `lesion_donors`: excess and label, both (X, Y, Z), and places (N, 3).
        mirrored: the donor is read from right to left.
        onto: (3,) voxel of the host's lung.
        place: (3,) voxel of the donor's lesion that comes to lie on it.
        gain: factor on the lesion's excess.
    """

    donor: Donor
    mirrored: bool
    onto: Tensor
    place: Tensor
    gain: float


def donor_block(drawn: Drawn, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The donor's excess and label around the place, as large as the host; 0 where the donor ends.

    Args:
        drawn: donor and places.
        shape: (X, Y, Z) of the host.

    Returns:
        Excess (X, Y, Z) float32 and label (X, Y, Z), with `place` lying on `onto`.
    """
    x, y, z = drawn.onto.tolist()
    at = (shape[0] - 1 - x if drawn.mirrored else x, y, z)  # what is flipped afterwards lies right
    blocks = []
    for volume in drawn.donor[:2]:
        block = volume.new_zeros((shape[2], *shape[:2])).movedim(0, 2)  # slice by slice in memory
        here, there = [], []
        for place, onto, size, extent in zip(
            drawn.place.tolist(), at, shape, volume.shape, strict=True
        ):
            first = place - onto
            low, high = max(first, 0), min(first + size, extent)
            here.append(slice(low - first, high - first))
            there.append(slice(low, high))
        block[tuple(here)] = volume[tuple(there)]
        blocks.append(block.flip(0) if drawn.mirrored else block)
    return blocks[0].to(torch.float32), blocks[1]


class RandPasteLesiond(RandomizableTransform, MapTransform):
    """`paste_lesion` of a random case: a voxel of its lesion comes to lie on a voxel of lung.

    The idea is TumorCP (Yang et al., MICCAI 2021, doi 10.1007/978-3-030-87193-2_55): few patients
    do not show how lesions and lungs combine.

    Args:
        donors: as `lesion_donors` gives them, the cases of the same training.
        image_key: item (1, X, Y, Z), or slabs (slices, X, Y).
        label_key: item of the same shape.
        lesion: labels that are pasted.
        lung: label of healthy lung.
        prob: how often, a probability.
        gain: (low, high) of the factor on the lesion's density, above 0.

    Raises:
        ValueError: the range of the factor is not one above 0.
    """

    def __init__(
        self,
        donors: Sequence[Donor],
        image_key: str = "image",
        label_key: str = "label",
        *,
        lesion: Sequence[int],
        lung: int,
        prob: float = 0.5,
        gain: tuple[float, float] = (0.6, 1.4),
    ) -> None:
        RandomizableTransform.__init__(self, prob)
        MapTransform.__init__(self, [image_key, label_key])
        if not 0 < gain[0] <= gain[1]:
            raise ValueError(f"gain is {gain}; give a range (low, high) above 0")
        self.donors = donors
        self.image_key, self.label_key = image_key, label_key
        self.lesion, self.lung = list(lesion), lung
        self.gain = gain
        self.drawn: Drawn | None = None

    def randomize(self, data: Tensor) -> None:
        """Draw which lesion goes where; nothing where none goes, or where the host has no lung.

        Args:
            data: label (X, Y, Z) of the host.
        """
        super().randomize(None)
        self.drawn = None
        if not self._do_transform or not self.donors:
            return
        healthy = np.flatnonzero(data.numpy() == self.lung)
        if len(healthy) == 0:
            return
        donor = self.donors[self.R.randint(len(self.donors))]
        mirrored = bool(self.R.rand() < 0.5)
        onto = torch.tensor(np.unravel_index(healthy[self.R.randint(len(healthy))], data.shape))
        place = donor[2][self.R.randint(len(donor[2]))]
        self.drawn = Drawn(donor, mirrored, onto, place, gain=float(self.R.uniform(*self.gain)))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        image, label = (_volume(data[key]) for key in (self.image_key, self.label_key))
        self.randomize(label)
        if self.drawn is None:
            return result
        pasted = paste_lesion(
            image, label, donor_block(self.drawn, label.shape), lesion=self.lesion, lung=self.lung,
            gain=self.drawn.gain,
        )  # fmt: skip
        for key, volume in zip((self.image_key, self.label_key), pasted, strict=True):
            shaped = volume[None] if data[key].ndim == 4 else volume.movedim(-1, 0)
            result[key] = placed(shaped, data[key])
        return result


def _volume(given: Tensor) -> Tensor:
    """(1, X, Y, Z) or (slices, X, Y) as a plain (X, Y, Z)."""
    volume = plain(given)
    return volume[0] if volume.ndim == 4 else volume.movedim(0, -1)
