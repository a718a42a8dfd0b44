# SPDX-License-Identifier: Apache-2.0
"""Resampling: weights worked out by hand, nothing moves in the patient, the inverse fits."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from grids import GRIDS, each_grid, places_mm
from monai.data import MetaTensor
from refusals import refused_by
from torch import Tensor

from medvol.metrics.masks.overlap import dice, overlap_counts
from medvol.spatial import spacing_mm
from medvol.transforms.resample import (
    ResampleSpacingd,
    interpolation_matrix,
    resample_labels,
    resample_linear,
    resample_nearest,
    resampled_size,
    source_positions,
)

PLAIN = np.diag([1.5, 2.0, 3.0, 1.0])  # voxels of 1.5 x 2 x 3 mm, as in tests/support/grids


def volume(array: Any, affine: np.ndarray = PLAIN) -> MetaTensor:
    """(X, Y, Z) as a float32 MetaTensor (1, X, Y, Z)."""
    values = torch.as_tensor(np.asarray(array, np.float32))[None]
    return MetaTensor(values, affine=torch.as_tensor(affine))


def resampled(given: MetaTensor, spacing: tuple[float, float, float], mode: str = "linear") -> Any:
    step = ResampleSpacingd("image", spacing, mode)
    return step({"image": given})["image"], step


def random_volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape, np.float32)


def ball(size: int, radius: float) -> np.ndarray:
    """A ball in the middle of a cube."""
    axes = np.indices((size,) * 3) - (size - 1) / 2
    return (np.sqrt((axes**2).sum(0)) <= radius).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "old", "new", "expected"),
    [(10, 1.0, 2.0, 5), (10, 1.0, 3.0, 3), (11, 1.0, 4.0, 3), (7, 3.0, 1.5, 14), (3, 1.0, 50.0, 1)],
)
def test_size_keeps_the_extent(size: int, old: float, new: float, expected: int) -> None:
    assert resampled_size(size, old, new) == expected


@pytest.mark.parametrize(
    ("new_size", "size", "step", "expected"),
    [
        (2, 4, 2.0, [0.5, 2.5]),
        (4, 2, 0.5, [-0.25, 0.25, 0.75, 1.25]),
        (3, 3, 1.0, [0, 1, 2]),
        (2, 3, 1.5, [0.25, 1.75]),
        (1, 4, 4.0, [1.5]),
    ],
)
def test_positions_share_the_middle(
    new_size: int, size: int, step: float, expected: list[float]
) -> None:
    assert source_positions(new_size, size, step).tolist() == expected


@pytest.mark.parametrize(
    ("position", "width", "expected"),
    [
        (1.0, 1.0, [0, 1, 0, 0]),
        (1.25, 1.0, [0, 0.75, 0.25, 0]),
        (-0.25, 1.0, [1, 0, 0, 0]),  # beyond the first voxel's centre: it is repeated
        (-3.0, 1.0, [1, 0, 0, 0]),
        (9.0, 1.0, [0, 0, 0, 1]),
        (1.5, 2.0, [0.125, 0.375, 0.375, 0.125]),  # triangle of half width 2 at +-0.5, +-1.5
        (1.0, 2.0, [0.25, 0.5, 0.25, 0]),
        (0.0, 2.0, [2 / 3, 1 / 3, 0, 0]),  # half the triangle lies outside: weights 1, 1/2
        (1.25, 0.5, [0, 0.75, 0.25, 0]),  # never narrower than linear
    ],
)
def test_weights(position: float, width: float, expected: list[float]) -> None:
    matrix = interpolation_matrix(torch.tensor([position]), 4, width)
    torch.testing.assert_close(matrix, torch.tensor([expected], dtype=torch.float32))


def test_unless_asked_for_it_is_linear() -> None:
    assert interpolation_matrix(torch.tensor([0.25]), 2).tolist() == [[0.75, 0.25]]


def test_positions_have_double_precision() -> None:
    assert source_positions(3, 7, 1 / 3).tolist() == [3 - 1 / 3, 3, 3 + 1 / 3]


def test_matrices_act_each_on_its_axis() -> None:
    given = torch.arange(8.0).reshape(1, 2, 2, 2)  # 4 x + 2 y + z
    middle, both = torch.tensor([[0.5, 0.5]]), torch.eye(2)
    assert resample_linear(given, [middle, both, both]).tolist() == [[[[2, 3], [4, 5]]]]
    assert resample_linear(given, [both, middle, both]).tolist() == [[[[1, 2]], [[5, 6]]]]
    assert resample_linear(given, [middle] * 3).tolist() == [[[[3.5]]]]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 3.0, 7.0), (0.7, 5.0, 3.0)])
def test_a_constant_stays_constant(spacing: tuple[float, float, float]) -> None:
    out, _ = resampled(volume(np.full((9, 8, 7), -731.0)), spacing)
    torch.testing.assert_close(out.as_tensor(), torch.full_like(out.as_tensor(), -731.0))


@pytest.mark.parametrize("spacing", [(1.0, 1.25, 2.0), (3.0, 4.0, 6.0)], ids=["finer", "coarser"])
def test_a_ramp_in_mm_stays_that_ramp_inside(spacing: tuple[float, float, float]) -> None:
    """The value of each new voxel is the ramp at the new voxel's place; edges repeat instead."""
    slope = np.array([2.0, -3.0, 0.5])
    shape = (12, 12, 12)
    places = places_mm(np.argwhere(np.ones(shape)), PLAIN)
    out, _ = resampled(volume((places @ slope).reshape(shape)), spacing)
    new_places = places_mm(np.argwhere(np.ones(out.shape[1:])), out.affine.numpy())
    expected = (new_places @ slope).reshape(out.shape[1:])
    inside = np.s_[2:-2, 2:-2, 2:-2]
    np.testing.assert_allclose(out[0].numpy()[inside], expected[inside], atol=2e-4)


# spacings with which no voxel lies as near to one label as to another: ties may fall either way
@pytest.mark.parametrize("mode", ["linear", "labels"])
@pytest.mark.parametrize("spacing", [(1.13, 1.71, 2.27), (2.0, 3.3, 8.0)], ids=["finer", "coarser"])
def test_a_flipped_volume_gives_the_flipped_result(
    spacing: tuple[float, float, float], mode: str
) -> None:
    given = random_volume(9, 10, 6)
    if mode == "labels":
        given = np.floor(given * 3)
    upright, _ = resampled(volume(given), spacing, mode)
    flipped, _ = resampled(volume(given[::-1, :, ::-1].copy()), spacing, mode)
    torch.testing.assert_close(flipped.flip(1, 3).as_tensor(), upright.as_tensor())


@each_grid
def test_a_marker_stays_where_it_is_in_the_patient(affine: np.ndarray) -> None:
    """Centre of mass of a blob in mm, before, on the new grid, and back on the old one."""
    voxels = np.argwhere(np.ones((22, 20, 18)))
    blob = np.exp(-(((voxels - (9.25, 11.5, 7.75)) / 2) ** 2).sum(1) / 2).reshape(22, 20, 18)
    marker = volume(blob, affine)
    expected = places_mm(np.array([[9.25, 11.5, 7.75]]), affine)[0]
    out, step = resampled(marker, (1.2, 1.1, 1.3))
    back = step.inverse({"image": out})["image"]

    def centre(of: MetaTensor) -> np.ndarray:
        weights = of[0].numpy().ravel()
        places = places_mm(np.argwhere(np.ones(of.shape[1:])), of.affine.numpy())
        return weights @ places / weights.sum()

    for where in (marker, out, back):
        assert np.linalg.norm(centre(where) - expected) < 0.01
    np.testing.assert_allclose(spacing_mm(out.affine.numpy()), (1.2, 1.1, 1.3))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 2.0), (3.1, 4.7, 7.0)], ids=["finer", "coarser"])
def test_the_inverse_has_the_exact_shape_and_affine(spacing: tuple[float, float, float]) -> None:
    given = volume(random_volume(11, 13, 7), GRIDS["oblique"])
    out, step = resampled(given, spacing)
    assert len(out.applied_operations) == 1
    back = step.inverse({"image": out})["image"]
    assert back.shape == given.shape
    assert torch.equal(back.affine, given.affine)
    assert back.applied_operations == []


def test_a_smooth_volume_comes_back_nearly_as_it_was() -> None:
    """A wave of 30 mm in each direction, to half the voxel size and back.

    There and back are kernels of variance 2 * (3/16) h^2 an axis, h the voxel size, so a wave of
    amplitude 1 loses (2 pi / 30)^2 * (3/16) h^2 of it: 1.9, 3.3 and 7.4 %, 12.5 % together.
    """
    places = places_mm(np.argwhere(np.ones((16, 12, 10))), PLAIN)
    wave = np.sin(2 * np.pi * places / 30).sum(1).reshape(16, 12, 10)
    given = volume(wave)
    out, step = resampled(given, (0.75, 1.0, 1.5))
    back = step.inverse({"image": out})["image"]
    difference = (back - given).abs().as_tensor()
    assert difference[:, 1:-1, 1:-1, 1:-1].max() < 0.125
    assert difference.max() < 0.4  # at the border half a voxel is repeated


def test_the_spacing_it_has_changes_nothing() -> None:
    given = volume(random_volume(6, 5, 4))
    out, _ = resampled(given, (1.5, 2.0, 3.0))
    assert torch.equal(out.as_tensor(), given.as_tensor())
    assert torch.equal(out.affine, given.affine)


def test_coarser_voxels_average_the_noise() -> None:
    """To double voxels the weights are (1, 3, 3, 1) / 8: variance falls to 20 / 64 an axis."""
    noise = np.random.default_rng(5).normal(0, 1, (40, 40, 40))
    out, _ = resampled(volume(noise, np.eye(4)), (2.0, 2.0, 2.0))
    inside = out[0, 1:-1, 1:-1, 1:-1].as_tensor()
    assert float(inside.var()) == pytest.approx((20 / 64) ** 3, rel=0.1)
    one_axis, _ = resampled(volume(noise, np.eye(4)), (2.0, 1.0, 1.0))
    assert float(one_axis[0, 1:-1].as_tensor().var()) == pytest.approx(20 / 64, rel=0.05)


def test_nearest_keeps_values_and_type() -> None:
    given = torch.tensor([[[[7]], [[300]], [[9]]]], dtype=torch.int32)  # (1, 3, 1, 1)
    zero = torch.zeros(1)
    positions = [torch.tensor([-0.6, 0.49, 0.5, 1.2, 2.7]), zero, zero]
    out = resample_nearest(given, positions)
    assert out.flatten().tolist() == [7, 7, 300, 300, 9]  # half way: the next voxel
    assert out.dtype == torch.int32


def test_labels_take_the_largest_share_and_the_smaller_label_on_a_tie() -> None:
    given = torch.tensor([5, 5, 2, 9], dtype=torch.uint8).reshape(1, 4, 1, 1)
    weights = torch.tensor(
        [
            [0.0, 1.0, 0.0, 0.0],  # one voxel of 5
            [0.0, 0.5, 0.5, 0.0],  # 5 and 2 alike: 2
            [0.25, 0.25, 0.5, 0.0],  # 5 twice a quarter, 2 a half: 2
            [0.25, 0.25, 0.25, 0.25],  # 5 has a half
            [0.0, 0.0, 0.25, 0.75],  # mostly 9
        ]
    )
    out = resample_labels(given, [weights, torch.eye(1), torch.eye(1)])
    assert out.flatten().tolist() == [5, 2, 2, 5, 9]
    assert out.dtype == torch.uint8


def test_no_label_between_two_labels_appears() -> None:
    given = np.zeros((8, 8, 8))
    given[4:] = 4
    out, _ = resampled(volume(given), (0.6, 0.7, 0.9), "labels")
    assert out.unique().tolist() == [0, 4]
    assert out.mean() == 2  # half of it, to the voxel


def test_labels_are_smoother_than_nearest() -> None:
    """A ball of coarse voxels, brought to fine ones: closer to the true ball than with nearest."""
    true = torch.from_numpy(ball(36, 12.0))
    thick = volume(true.numpy()[1::3, 1::3, 1::3], np.diag([3.0, 3.0, 3.0, 1.0]))

    def overlap(mode: str) -> float:
        out, _ = resampled(thick, (1.0, 1.0, 1.0), mode)
        return float(dice(overlap_counts(out[0].as_tensor(), true, [1])))

    assert overlap("labels") > 0.95 > 0.93 > overlap("nearest")


@pytest.mark.parametrize(
    ("spacing", "least"),
    [((0.7, 0.7, 0.7), 0.99), ((1.6, 1.6, 2.0), 0.94)],
    ids=["finer", "coarser"],
)
def test_a_ball_comes_back_as_that_ball(spacing: tuple[float, float, float], least: float) -> None:
    given = volume(ball(28, 9.0), np.eye(4))
    out, step = resampled(given, spacing, "labels")
    back = step.inverse({"image": out})["image"]
    assert float(dice(overlap_counts(back.as_tensor(), given.as_tensor(), [1]))) >= least


def test_each_key_has_its_mode() -> None:
    step = ResampleSpacingd(["image", "label"], (1.0, 1.0, 1.0), ["linear", "labels"])
    edge = np.zeros((4, 4, 4))
    edge[2:] = 2
    out = step({"image": volume(edge), "label": volume(edge), "case": "a"})
    assert len(out["image"].unique()) > 2
    assert out["label"].unique().tolist() == [0, 2]
    assert out["case"] == "a"


def test_a_mode_for_each_of_three_keys_of_which_one_is_not_there() -> None:
    step = ResampleSpacingd(["image", "label", "marks"], (0.5, 1.0, 1.0),
                            ["linear", "labels", "nearest"])  # fmt: skip
    edge = np.zeros((4, 4, 4))
    edge[2:] = 2
    out = step({"image": volume(edge, np.eye(4)), "marks": volume(edge, np.eye(4))})
    assert set(out) == {"image", "marks"}
    assert out["image"][0, :, 0, 0].tolist() == [0, 0, 0, 0.5, 1.5, 2, 2, 2]
    assert out["marks"][0, :, 0, 0].tolist() == [0, 0, 0, 0, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"spacing_mm": (1.0, 1.0)}, "spacing_mm is (1.0, 1.0); give three positive numbers"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "give three positive numbers, one an axis"),
        ({"mode": "cubic"}, "mode is cubic; give one of ('linear', 'nearest', 'labels')"),
        ({"mode": ["linear", "linear"]}, "or one for each of ('image',)"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        ResampleSpacingd("image", **{"spacing_mm": (1.0, 1.0, 1.0), **settings})


def test_weights_of_every_row_sum_to_one() -> None:
    for size, new_size, step in [(9, 4, 9 / 4), (4, 9, 4 / 9), (1, 3, 0.3), (5, 1, 5.0)]:
        positions: Tensor = source_positions(new_size, size, step)
        matrix = interpolation_matrix(positions, size, max(step, 1.0))
        torch.testing.assert_close(matrix.sum(1), torch.ones(new_size))
        assert matrix.min() >= 0


def test_an_axis_without_a_spacing_stays() -> None:
    given = volume(random_volume(6, 6, 5))
    result, step = resampled(given, (3.0, 2.0, None))  # type: ignore[arg-type]
    assert result.shape == (1, 3, 6, 5)
    assert spacing_mm(result.affine.numpy()) == pytest.approx((3, 2, 3))
    back = step.inverse({"image": result})["image"]
    assert back.shape == given.shape
    assert np.allclose(back.affine, PLAIN)


def test_a_spacing_of_0_is_refused_beside_one_that_stays() -> None:
    with pytest.raises(ValueError, match="give three positive numbers"):
        ResampleSpacingd("image", (0.0, 1.0, None))


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 1, 4, 5, 6)])
def test_an_image_of_another_number_of_axes_is_refused(shape: tuple[int, ...]) -> None:
    """As a program gives it that loads images itself, without the chain's reader."""
    step = ResampleSpacingd("image", (1.0, 1.0, 1.0))
    error = refused_by(lambda: step({"image": MetaTensor(torch.zeros(shape))}), "E_DIMS")
    assert f"its shape is {shape}; the chain needs (C, X, Y, Z)" in error.reason
