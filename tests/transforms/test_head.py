# SPDX-License-Identifier: Apache-2.0
"""The head: what is brighter than the mean, its box, and one scale for every scanner."""

import pytest
import torch
from brain_phantoms import tiny_brain
from monai.data.meta_tensor import MetaTensor

from medvol.transforms.head import HeadBox, StandardiseHeadd, head_mask, standardise_head

BRAIN = torch.from_numpy(tiny_brain().sequences).float()


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_what_is_brighter_than_the_mean() -> None:
    assert head_mask(row(0, 1, 2, 9)[0]).flatten().tolist() == [False, False, False, True]
    assert not head_mask(row(5, 5)[0]).any()


def test_standardised_values_worked_out_by_hand() -> None:
    # mean 50; above it 80 and 120: mean 100, standard deviation 20
    assert standardise_head(row(0, 0, 80, 120)).flatten().tolist() == [-4, -4, -1, 1]


def test_whole_numbers_become_fractions() -> None:
    # mean 52; above it 80 and 130: mean 105, standard deviation 25
    scaled = standardise_head(torch.tensor([0, -2, 80, 130], dtype=torch.int16).reshape(1, 1, 1, 4))
    assert scaled.dtype == torch.float32
    assert scaled.flatten().tolist() == pytest.approx([-4, -4, -1, 1])


def test_bright_vessels_are_limited_at_four_standard_deviations() -> None:
    # in the head 19 times 100 and once x: mean 100 + d/20 and deviation d * sqrt(19)/20, so the
    # brightest lies sqrt(19) = 4.36 deviations above the mean, whatever it is
    values = standardise_head(row(*[0.0] * 60, *[100.0] * 19, 300.0)).flatten()
    assert values[-1] == 4.0
    # of 16 values it would be sqrt(15) = 3.87: not limited
    values = standardise_head(row(*[0.0] * 60, *[100.0] * 15, 300.0)).flatten()
    assert values[-1] == pytest.approx(15**0.5)


def test_a_channel_of_one_value_becomes_nothing() -> None:
    assert standardise_head(row(7, 7, 7)).flatten().tolist() == [0, 0, 0]
    assert standardise_head(row(0, 0, 5)).flatten().tolist() == [0, 0, 0]  # one value in the head


@pytest.mark.parametrize(("gain", "offset"), [(10.0, 0.0), (0.01, 0.0), (3.0, 50.0)])
def test_another_scale_of_the_scanner_changes_nothing(gain: float, offset: float) -> None:
    torch.testing.assert_close(
        standardise_head(gain * BRAIN + offset), standardise_head(BRAIN), atol=1e-4, rtol=1e-4
    )


def test_each_sequence_has_its_own_scale() -> None:
    scaled = standardise_head(BRAIN * torch.tensor([1.0, 7.0, 0.3])[:, None, None, None])
    torch.testing.assert_close(scaled, standardise_head(BRAIN), atol=1e-4, rtol=1e-4)


def test_the_box_of_the_head_keeps_all_slices() -> None:
    box = HeadBox()(BRAIN)
    assert box.shape == BRAIN.shape
    inside = box[0].nonzero()
    assert inside.min(0).values.tolist() == [4, 6, 0]
    assert inside.max(0).values.tolist() == [27, 33, 5]
    assert int(box[0].sum()) == 24 * 28 * 6


def test_a_speck_in_the_air_is_not_the_head() -> None:
    spoiled = BRAIN.clone()
    spoiled[:, 0, 0, 0] = 255
    assert torch.equal(HeadBox()(spoiled), HeadBox()(BRAIN))


@pytest.mark.parametrize(("bright", "belongs"), [(4, False), (5, True)])
def test_a_line_belongs_to_the_head_from_a_twentieth_on(bright: int, belongs: bool) -> None:
    """Of the first column's 100 rows, and of the first row's 100 columns, 5 are 5 %."""
    volume = torch.zeros(1, 100, 100, 2)
    volume[0, 10:30, 10:30, 1] = 100
    volume[0, 0, 15 : 15 + bright, 0] = 100
    volume[0, 20 : 20 + bright, 2, 1] = 100
    box = HeadBox()(volume)[0, ..., 0]
    columns, rows = box.any(1).nonzero().flatten().tolist(), box.any(0).nonzero().flatten().tolist()
    assert columns == [*([0] if belongs else []), *range(10, 30)]
    assert rows == [*([2] if belongs else []), *range(10, 30)]


def test_without_a_head_the_whole_slice_is_taken() -> None:
    assert HeadBox()(torch.zeros(3, 4, 4, 2)).all()


def test_the_dictionary_transform_keeps_place_and_input() -> None:
    affine = torch.diag(torch.tensor([2.0, 2.0, 5.0, 1.0]))
    given = {"image": MetaTensor(BRAIN.clone(), affine=affine)}
    result = StandardiseHeadd("image")(given)["image"]
    assert torch.equal(result.affine, affine.double())
    assert torch.equal(result.as_tensor(), standardise_head(BRAIN))
    assert torch.equal(given["image"].as_tensor(), BRAIN)
