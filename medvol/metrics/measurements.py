# SPDX-License-Identifier: Apache-2.0
"""What a mask says in numbers, label by label: voxels, volume, share of an organ, spread of HU."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..labels import LabelTable
from ..spatial import Affine, box_of, voxel_volume_ml

Mask = npt.NDArray[np.integer[Any]]
Volume = npt.NDArray[np.floating[Any] | np.integer[Any]]
Counts = npt.NDArray[np.int64]
CHEST_RANGE_HU = (-1100.0, 300.0)  # air to contrast-filled vessels
BIN_HU = 20.0
FEW_VALUES = 8  # as many comparisons are quicker than looking each label up in a table


@dataclass(frozen=True)
class Reference:
    """The organ that labels are a share of: its name, and the label values that make it up.

    The values name the whole organ. Where a lesion has a value of its own and lies in the lung,
    the lung is the lesion's value and the value of the rest of the lung together.
    """

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Measurement:
    """One label of one mask in numbers.

    Args:
        value: of the label in the mask.
        name: of the label.
        voxels: how many have this value.
        volume_ml: their volume in millilitres.
        mean_value: of the image in them, HU for CT; None when there are none.
        share_percent: of the reference organ's voxels, 0 to 100; None when there is no reference
            or the organ is empty.
    """

    value: int
    name: str
    voxels: int
    volume_ml: float
    mean_value: float | None
    share_percent: float | None


def measure(
    labels: Mask,
    volume_hu: Volume,
    affine: Affine,
    table: LabelTable,
    *,
    reference: Reference | None = None,
) -> list[Measurement]:
    """Measure every label of the table, present or not, in the order of values.

    Reads the arrays slab by slab; no copy of a volume is made.

    Args:
        labels: (X, Y, Z) integers, 0 for background.
        volume_hu: (X, Y, Z), the image on the same grid.
        affine: (4, 4) voxel to mm.
        table: names every value of `labels` but 0.
        reference: the organ for `share_percent`.

    Raises:
        ValueError: shapes differ, labels are not integers, or the mask or the reference has a value
            that is not in the table.

    Example:
        >>> from medvol.labels import Label
        >>> cube = np.zeros((10, 10, 10), np.uint8)
        >>> cube[:, :, 0] = 1
        >>> table = LabelTable((Label(1, "slab", (255, 0, 0)),))
        >>> measure(cube, np.full(cube.shape, 40.0), np.eye(4), table)[0].volume_ml
        0.1
    """
    if labels.shape != volume_hu.shape:
        raise ValueError(
            f"the mask has shape {labels.shape} and the volume {volume_hu.shape}; "
            "give a mask on the volume's grid"
        )
    known = [label.value for label in table]
    strange = sorted(set(reference.values) - set(known)) if reference else []
    if strange:
        raise ValueError(f"the reference's values {strange} are not in the table, {known}")
    voxels, sums = _counts_and_sums(labels, volume_hu, top=max(known, default=0))
    strange = sorted(set(np.flatnonzero(voxels).tolist()) - set(known))
    if strange:
        raise ValueError(f"the mask's values {strange[:5]} are not in the table, {known}")
    one_ml = voxel_volume_ml(affine)
    organ = sum(int(voxels[value]) for value in set(reference.values)) if reference else 0
    rows = []
    for label in table:
        count = int(voxels[label.value])
        mean = float(sums[label.value]) / count if count else None
        share = 100.0 * count / organ if organ else None
        rows.append(Measurement(label.value, label.name, count, count * one_ml, mean, share))
    return rows


@dataclass(frozen=True)
class Histogram:
    """Voxels per HU bin, label by label.

    Args:
        edges_hu: (B + 1,) borders of the bins; a value on a border belongs to the upper bin.
        counts: label value to (B,) voxels; what lies outside the borders is not counted.
    """

    edges_hu: npt.NDArray[np.float64]
    counts: Mapping[int, Counts]

    def shares_percent(self, value: int) -> npt.NDArray[np.float64]:
        """Percent of the label's counted voxels in each bin, (B,); all 0 when there are none."""
        counts = self.counts[value]
        return 100.0 * counts / max(int(counts.sum()), 1)


def hu_histogram(
    labels: Mask,
    volume_hu: Volume,
    values: Collection[int],
    *,
    range_hu: tuple[float, float] = CHEST_RANGE_HU,
    bin_hu: float = BIN_HU,
) -> Histogram:
    """Count the HU of each label in equal bins, slab by slab.

    Args:
        labels: (X, Y, Z) integers, 0 for background.
        volume_hu: (X, Y, Z), the image on the same grid.
        values: labels to count.
        range_hu: lowest and highest border.
        bin_hu: width of a bin.

    Raises:
        ValueError: the range is empty or not a multiple of the bin.
    """
    low, high = range_hu
    bins = round((high - low) / bin_hu)
    if bins < 1 or abs(bins * bin_hu - (high - low)) > 1e-6:
        raise ValueError(
            f"range_hu {range_hu} is not a multiple of bin_hu {bin_hu}; give one that is"
        )
    row_of = np.full(max(values, default=0) + 2, -1, np.int64)  # the last one: all above
    row_of[list(values)] = np.arange(len(values))
    counts = np.zeros(len(values) * bins, np.int64)
    for marked, image in slabs(labels, volume_hu):
        row = row_of.take(marked, mode="clip")
        column = np.floor((image - low) / bin_hu)
        counted = (row >= 0) & (column >= 0) & (column < bins)
        cell = row[counted] * bins + column[counted].astype(np.int64)
        counts += np.bincount(cell, minlength=counts.size)
    edges = np.linspace(low, high, bins + 1)
    rows = counts.reshape(len(values), bins)
    return Histogram(edges, {value: rows[index] for index, value in enumerate(values)})


def voxels_per_slice(labels: Mask, values: Collection[int]) -> tuple[Counts, Counts, Counts]:
    """How many voxels have one of `values`, in every slice across each of the three axes.

    Args:
        labels: (X, Y, Z) integers.
        values: positive label values, counted together.

    Returns:
        Three arrays of counts, (X,), (Y,) and (Z,); each sums to the number of all voxels counted.
    """
    counts = [np.zeros(n, np.int64) for n in labels.shape]
    if (box := box_of(labels)) is None:
        return counts[0], counts[1], counts[2]
    slow, x, y = _slowest_first(labels)
    inner, parts = labels[box], [part[at] for part, at in zip(counts, box, strict=True)]
    through = np.zeros((inner.shape[x], inner.shape[y]), np.int32)
    for index, slab in enumerate(inner.transpose(slow, x, y)):
        inside = one_of(slab, values)
        parts[slow][index] = np.count_nonzero(inside)
        through += inside
    parts[x][:], parts[y][:] = through.sum(axis=1), through.sum(axis=0)
    return counts[0], counts[1], counts[2]


def one_of(labels: Mask, values: Collection[int]) -> npt.NDArray[np.bool_]:
    """Where labels, of any shape, have one of some values, 0 or above.

    Example:
        >>> one_of(np.array([0, 1, 2, 9]), [2, 0]).tolist()
        [True, False, True, False]
    """
    if len(values) > FEW_VALUES:
        wanted = np.zeros(max(values) + 2, bool)  # the last one stands for all above
        wanted[list(values)] = True
        return wanted.take(labels, mode="clip")
    inside = np.zeros(labels.shape, bool)
    for value in values:
        inside |= labels == value
    return inside


def marked(labels: Mask, values: Collection[int]) -> npt.NDArray[np.bool_]:
    """Where a mask has one of some values, (X, Y, Z) in the mask's own order in memory.

    Args:
        labels: (X, Y, Z) integers.
        values: of labels, or 0 for the background.

    Example:
        >>> marked(np.arange(4, dtype=np.uint8).reshape(1, 2, 2), [0, 3]).tolist()
        [[[True, False], [False, True]]]
    """
    found = np.empty_like(labels, dtype=bool)
    order = _slowest_first(labels)
    for slab, inside in zip(labels.transpose(order), found.transpose(order), strict=True):
        inside[...] = one_of(slab, values)
    return found


def count_voxels(labels: Mask, *, top: int) -> Counts:
    """Voxels of each value 0 to `top`, (top + 1,); a higher value raises ValueError."""
    counts = np.zeros(top + 1, np.int64)
    inner = labels[box_of(labels) or (slice(0, 0),) * 3]
    for slab in inner.transpose(_slowest_first(labels)):
        counts += np.bincount(slab.ravel(), minlength=top + 1)
    counts[0] += labels.size - inner.size
    return counts


def slabs(labels: Mask, volume_hu: Volume) -> Iterator[tuple[Mask, Volume]]:
    """Marked voxels of slab after slab: their labels and their HU, (N,) each, in memory order."""
    order = _slowest_first(labels)
    box = box_of(labels) or (slice(0, 0),) * 3
    near = box[order[1]], box[order[2]]
    for part, image in zip(labels.transpose(order), volume_hu.transpose(order), strict=True):
        inside = part[near] != 0
        yield part[near][inside], image[near][inside]


def _counts_and_sums(
    labels: Mask, volume_hu: Volume, *, top: int
) -> tuple[Counts, npt.NDArray[np.float64]]:
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"the mask holds {labels.dtype}; give integers")
    voxels, sums = np.zeros(top + 1, np.int64), np.zeros(top + 1)
    for marked, image in slabs(labels, volume_hu):
        if marked.size and not 0 < marked.min() <= marked.max() <= top:
            raise ValueError(
                f"the mask holds values from {marked.min()} to {marked.max()}; "
                f"the table names values up to {top}"
            )
        voxels += np.bincount(marked, minlength=top + 1)
        sums += np.bincount(marked, weights=image, minlength=top + 1)
    return voxels, sums


def _slowest_first(array: npt.NDArray[Any]) -> tuple[int, int, int]:
    """Axes from the farthest steps in memory to the nearest, so that slabs are read in order."""
    slow, middle, fast = sorted(range(3), key=lambda axis: -abs(array.strides[axis]))
    return slow, middle, fast
