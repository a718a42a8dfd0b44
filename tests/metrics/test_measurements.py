# SPDX-License-Identifier: Apache-2.0
"""Measurements of small masks, worked out by hand."""

import numpy as np
import pytest

from medvol.labels import Label, LabelTable
from medvol.metrics.measurements import (
    Reference,
    count_voxels,
    hu_histogram,
    measure,
    slabs,
    voxels_per_slice,
)

TABLE = LabelTable(
    (
        Label(1, "ground-glass", (255, 170, 60)),
        Label(2, "consolidation", (214, 60, 90)),
        Label(300, "lung, rest", (90, 170, 230)),
    )
)
LUNG = Reference("lung", (1, 2, 300))
AFFINE = np.diag([-2.0, -2.5, 4.0, 1.0])  # 20 mm^3 = 0.02 ml a voxel


def phantom(order: str = "C") -> tuple[np.ndarray, np.ndarray]:
    """Six voxels marked: two ground-glass (-600, -500), four lung (-800, -900, -900, -800)."""
    labels = np.zeros((4, 3, 2), np.uint16, order=order)
    volume = np.full(labels.shape, 40.0, np.float32, order=order)
    labels[1, 0, :] = 1
    volume[1, 0, :] = (-600, -500)
    labels[2, 1:, :] = 300
    volume[2, 1:, :] = ((-800, -900), (-900, -800))
    return labels, volume


@pytest.mark.parametrize("order", ["C", "F"])
def test_measurements_worked_by_hand(order: str) -> None:
    labels, volume = phantom(order)
    glass, consolidation, rest = measure(labels, volume, AFFINE, TABLE, reference=LUNG)
    assert (glass.value, glass.name, glass.voxels) == (1, "ground-glass", 2)
    assert glass.volume_ml == pytest.approx(0.04)
    assert glass.mean_value == -550
    assert glass.share_percent == pytest.approx(100 * 2 / 6)
    assert (consolidation.voxels, consolidation.volume_ml) == (0, 0)
    assert consolidation.mean_value is None
    assert consolidation.share_percent == 0
    assert (rest.voxels, rest.mean_value) == (4, -850)
    assert rest.volume_ml == pytest.approx(0.08)
    assert rest.share_percent == pytest.approx(100 * 4 / 6)


def test_mask_and_volume_in_different_memory_order() -> None:
    labels, volume = phantom()
    turned = np.asfortranarray(volume)
    assert measure(labels, turned, AFFINE, TABLE) == measure(labels, volume, AFFINE, TABLE)


def test_no_reference_gives_no_share() -> None:
    assert [row.share_percent for row in measure(*phantom(), AFFINE, TABLE)] == [None] * 3


def test_empty_mask() -> None:
    labels, volume = phantom()
    rows = measure(np.zeros_like(labels), volume, AFFINE, TABLE, reference=LUNG)
    assert [row.voxels for row in rows] == [0, 0, 0]
    assert [row.mean_value for row in rows] == [None, None, None]
    assert [row.share_percent for row in rows] == [None, None, None]


def test_reference_is_empty_but_a_label_is_not() -> None:
    rows = measure(*phantom(), AFFINE, TABLE, reference=Reference("effusion", (2,)))
    assert [row.share_percent for row in rows] == [None, None, None]


def test_sheared_voxels_have_the_volume_of_the_determinant() -> None:
    sheared = AFFINE.copy()
    sheared[0, 2] = 1.5
    assert measure(*phantom(), sheared, TABLE)[0].volume_ml == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("value", "dtype"), [(3, np.uint16), (301, np.uint16), (-1, np.int16)], ids=str
)
def test_a_value_that_the_table_does_not_name_is_refused(value: int, dtype: type) -> None:
    labels, volume = phantom()
    strange = labels.astype(dtype)
    strange[0, 0, 0] = value
    with pytest.raises(ValueError, match="table"):
        measure(strange, volume, AFFINE, TABLE)


def test_refusals_name_what_was_given() -> None:
    labels, volume = phantom()
    with pytest.raises(ValueError, match=r"\(4, 3, 2\) and the volume \(3, 3, 2\); give a mask on"):
        measure(labels, volume[1:], AFFINE, TABLE)
    with pytest.raises(ValueError, match=r"\[7\] are not in the table"):
        measure(labels, volume, AFFINE, TABLE, reference=Reference("lung", (1, 7)))
    with pytest.raises(ValueError, match="float32; give integers"):
        measure(labels.astype(np.float32), volume, AFFINE, TABLE)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["C", "F"])
def test_voxels_per_slice(order: str) -> None:
    labels, _ = phantom(order)
    x, y, z = voxels_per_slice(labels, (1, 300))
    assert x.tolist() == [0, 2, 4, 0]
    assert y.tolist() == [2, 2, 2]
    assert z.tolist() == [3, 3]
    assert [int(a.sum()) for a in voxels_per_slice(labels, (1,))] == [2, 2, 2]
    assert [int(a.sum()) for a in voxels_per_slice(labels, ())] == [0, 0, 0]
    assert {a.dtype for a in (x, y, z)} == {np.dtype(np.int64)}


def test_count_voxels() -> None:
    counts = count_voxels(phantom()[0], top=300)
    assert (counts[0], counts[1], counts[2], counts[300]) == (18, 2, 0, 4)
    assert counts.dtype == np.int64


def test_histogram_bins_are_closed_below_and_leave_out_what_is_outside() -> None:
    labels, volume = phantom()
    histogram = hu_histogram(labels, volume, (1, 2, 300), range_hu=(-900, -500), bin_hu=100)
    assert histogram.edges_hu.tolist() == [-900, -800, -700, -600, -500]
    assert histogram.counts[1].tolist() == [0, 0, 0, 1]  # -500 is the upper border: outside
    assert histogram.counts[300].tolist() == [2, 2, 0, 0]
    assert histogram.shares_percent(300).tolist() == [50, 50, 0, 0]
    assert histogram.shares_percent(2).tolist() == [0, 0, 0, 0]
    assert histogram.shares_percent(1).tolist() == [0, 0, 0, 100]  # of one voxel
    assert histogram.counts[300].dtype == np.int64


def test_histogram_counts_no_label_but_those_asked_for() -> None:
    labels, volume = phantom()
    labels[0, 0, 0] = 2
    for values, counts in (((1,), {1: [2]}), ((1, 300), {1: [2], 300: [4]}), ((), {})):
        histogram = hu_histogram(labels, volume, values, range_hu=(-1000, 0), bin_hu=1000)
        assert {value: count.tolist() for value, count in histogram.counts.items()} == counts


def test_histogram_refuses_a_range_that_bins_do_not_fill() -> None:
    with pytest.raises(ValueError, match="multiple"):
        hu_histogram(*phantom(), (1,), range_hu=(-900, -450), bin_hu=100)
    with pytest.raises(ValueError, match="multiple"):
        hu_histogram(*phantom(), (1,), range_hu=(-900, -500.5), bin_hu=100)
    with pytest.raises(ValueError, match="multiple"):
        hu_histogram(*phantom(), (1,), range_hu=(-900, -900), bin_hu=100)


def test_histogram_refuses_a_volume_with_fewer_slices() -> None:
    labels, volume = phantom()
    with pytest.raises(ValueError, match="shorter"):
        hu_histogram(labels, volume[:3], (1, 300))


@pytest.mark.parametrize(("order", "voxels"), [("C", [0, 2, 4, 0]), ("F", [3, 3])])
def test_slabs_lie_together_in_memory(order: str, voxels: list[int]) -> None:
    """Across the first axis in C order, across the last in Fortran's."""
    found = list(slabs(*phantom(order)))
    assert [len(marked) for marked, _ in found] == voxels
    assert [len(image) for _, image in found] == voxels


def test_a_table_without_labels_measures_nothing() -> None:
    labels, volume = phantom()
    assert measure(np.zeros_like(labels), volume, AFFINE, LabelTable(())) == []


def test_five_strange_values_are_named_at_most() -> None:
    labels, volume = phantom()
    labels[0] = np.arange(3, 9).reshape(3, 2)
    with pytest.raises(ValueError, match=r"values \[3, 4, 5, 6, 7\] are not in the table"):
        measure(labels, volume, AFFINE, TABLE)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("values", [(2, 5), tuple(range(1, 12))])
def test_voxels_are_counted_wherever_they_lie(order: str, values: tuple[int, ...]) -> None:
    labels = np.zeros((9, 8, 7), np.uint8, order=order)  # type: ignore[call-overload]
    labels[2:7, 1:8, 3] = np.arange(35).reshape(5, 7) % 13
    labels[6, 0, 5] = 5
    inside = np.isin(labels, values)
    x, y, z = voxels_per_slice(labels, values)
    assert x.tolist() == inside.sum(axis=(1, 2)).tolist()
    assert y.tolist() == inside.sum(axis=(0, 2)).tolist()
    assert z.tolist() == inside.sum(axis=(0, 1)).tolist()
    turned = voxels_per_slice(labels.transpose(2, 0, 1)[::-1], values)
    assert [n.tolist() for n in turned] == [z[::-1].tolist(), x.tolist(), y.tolist()]
    counts = count_voxels(labels, top=12)
    assert counts.tolist() == np.bincount(labels.ravel(), minlength=13).tolist()
    assert count_voxels(np.zeros((2, 3, 4), np.uint8), top=1).tolist() == [24, 0]
