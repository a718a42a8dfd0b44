# SPDX-License-Identifier: Apache-2.0
"""What a bundle's own numbers in a mask mean: labels, regions that overlap, or nobody says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import Note
from ..labels import LabelTable, default_table

WHOLE = 1e-4  # from a whole number; what is farther lies between two labels
MOST_REGIONS = 8  # that may overlap: each combination is a label of its own
HIGHEST = 65535  # value of a label
LABELS = "N_LABELS"


class Mask(NamedTuple):
    """A label map, and what its values are.

    Args:
        array: (X, Y, Z), whole numbers.
        labels: None where they are those of the bundle.
        notes: on what was made of the bundle's answer.
    """

    array: npt.NDArray[Any]
    labels: LabelTable | None = None
    notes: tuple[Note, ...] = ()


def of_regions(found: npt.NDArray[Any], names: Sequence[str]) -> Mask:
    """A label map of regions that may overlap: each combination that occurs is a label.

    Args:
        found: (C, X, Y, Z), above 0.5 inside a region, `MOST_REGIONS` at most.
        names: of the regions.

    Example:
        >>> row = np.array([[1, 1, 0], [1, 0, 0]]).reshape(2, 3, 1, 1)
        >>> mask = of_regions(row, ["whole tumour", "core"])
        >>> mask.array.ravel().tolist(), [label.name for label in mask.labels]
        ([3, 1, 0], ['whole tumour', 'core', 'whole tumour + core'])
    """
    array = np.zeros(found.shape[1:], np.uint8)
    for bit, region in enumerate(found):
        array |= (region > 0.5).astype(np.uint8) << bit
    there = sum(np.bincount(slab.ravel(), minlength=256) for slab in array)
    values: list[int] = np.flatnonzero(there).tolist()
    named = {
        value: " + ".join(name for bit, name in enumerate(names) if value >> bit & 1)
        for value in sorted({*values, *(1 << bit for bit in range(len(names)))} - {0})
    }
    parted = [value for value in values if value.bit_count() > 1]
    text = "its regions overlap, so each combination is a label of its own"
    return Mask(array, default_table(named), (Note(LABELS, f"{text}."),) if parted else ())


def of_labels(found: npt.NDArray[Any], labels: LabelTable, *, of_regions: bool) -> Mask:
    """A label map of a bundle made elsewhere.

    Args:
        found: (X, Y, Z); a value between two labels, as of interpolated ones, becomes the nearer.
        labels: that the bundle names.
        of_regions: it names regions, out of which its own postprocessing makes the values of one
            map, so that their names are not known.

    Raises:
        ValueError: values that no mask has, such as below 0.

    Example:
        >>> values, named = np.array([[[0.0, 1.4, 4.0]]]), default_table({1: "a"})
        >>> mask = of_labels(values, named, of_regions=True)
        >>> mask.array.tolist(), [label.name for label in mask.labels]
        ([[[0, 1, 4]]], ['label 1', 'label 4'])
        >>> [note.text.partition(" ")[0] for note in mask.notes]
        ['33', 'its']
    """
    low, high = float(found.min()), float(found.max())
    if not (low >= 0 and high <= HIGHEST):
        raise ValueError(f"its mask holds values from {low:g} to {high:g}")
    kind = np.uint8 if high < 255.5 else np.uint16
    exact = found.dtype.kind in "bu"
    whole = found.astype(kind, copy=False) if exact else np.empty_like(found, kind)
    between, there = 0, np.zeros(HIGHEST + 1, np.int64)
    both = (found.T, whole.T) if found.flags.f_contiguous else (found, whole)
    for slab, made in zip(*both, strict=True):  # one by one, or it would take gigabytes
        if not exact:
            made[:] = near = np.rint(slab)
            between += int((np.abs(slab - near) > WHOLE).sum())
        there += np.bincount(made.ravel(), minlength=len(there))
    notes = list[Note]()
    if between:
        percent = 100 * between / found.size
        share = f"{percent:.0f} %" if percent >= 1 else "less than 1 %"
        notes.append(Note(LABELS, f"{share} of its voxels lie between two labels and became the "
                                  "nearer one, since the bundle interpolates labels."))  # fmt: skip
    values = [int(value) for value in np.flatnonzero(there) if value]
    known = {label.value for label in labels}
    if not of_regions and known.issuperset(values):
        return Mask(whole, None, tuple(notes))
    notes.append(Note(LABELS, "its metadata do not say what its values mean."))
    named = {label.value: label.name for label in labels} if not of_regions else {}
    made = default_table({value: named.get(value, f"label {value}") for value in values or [1]})
    return Mask(whole, made, tuple(notes))
