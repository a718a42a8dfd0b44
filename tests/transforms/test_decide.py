# SPDX-License-Identifier: Apache-2.0
"""Blocks that are left out, and classes that cannot win, change no label."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from far import gpu
from torch import Tensor

from medvol.transforms import decide
from medvol.transforms.axis_maps import AxisMaps
from medvol.transforms.decide import Decision, best_of
from medvol.transforms.resample import interpolation_matrix


def labels_of(planes: Sequence[Tensor], maps: AxisMaps, decision: Decision) -> Tensor:
    """On the CPU; and with tensors that stand in for those of a GPU, of which the labels come back:
    the same."""
    labels = decide.labels_of(planes, maps, decision)
    with gpu():
        there = decide.labels_of([plane.to("cuda") for plane in planes], maps, decision)
    assert there.device.type == "cpu"
    assert there.dtype == labels.dtype
    assert torch.equal(there, labels)
    return labels


def line(matrix: np.ndarray) -> AxisMaps:
    """Along the first axis alone."""
    first = AxisMaps.first((matrix.shape[1], 1, 1), np.eye(4))
    return first.resampled([matrix, np.eye(1), np.eye(1)], np.eye(4))


def test_between_two_classes_a_third_wins_that_is_the_best_of_neither_voxel() -> None:
    scores = torch.tensor([[0.5, 0.1], [0.1, 0.5], [0.4, 0.4]])[:, :, None, None]
    maps = line(np.array([[1, 0], [0.5, 0.5], [0, 1]]))
    assert labels_of([scores], maps, Decision()).flatten().tolist() == [0, 2, 1]


def test_beyond_the_border_nothing_weighs_against_a_class_or_background_does() -> None:
    scores = torch.tensor([[0.2], [0.8]])[:, :, None, None]
    maps = line(np.array([[0.0], [0.25], [0.75], [1.0]]))
    assert labels_of([scores], maps, Decision()).flatten().tolist() == [0, 1, 1, 1]
    sure = Decision(surely_background=True)  # 0.25 of 0.8 against 0.25 of 0.2 and 0.75
    assert labels_of([scores], maps, sure).flatten().tolist() == [0, 0, 1, 1]


def test_from_the_threshold_on_a_class_is_marked() -> None:
    scores = torch.tensor([[0.0, 1.0], [1.0, 1.0]])[:, :, None, None]
    maps = line(np.array([[1, 0], [0.5, 0.5], [0.25, 0.75]]))
    for threshold, expected in [(0.5, [[0, 1, 1], [1, 1, 1]]), (0.51, [[0, 0, 1], [1, 1, 1]])]:
        marks = labels_of([scores], maps, Decision(threshold=threshold))
        assert marks.flatten(1).tolist() == expected


@pytest.mark.parametrize("matrix", [np.eye(3), np.full((2, 3), 1 / 3)])
def test_scores_that_a_sigmoid_makes_equal_are_the_first_class(matrix: np.ndarray) -> None:
    scores = torch.tensor([[40.0], [60.0], [-9.0]]).expand(3, 3)[:, :, None, None]
    labels = labels_of([scores], line(matrix), Decision("sigmoid"))
    assert labels.flatten().tolist() == [0] * len(matrix)


@pytest.mark.parametrize(
    ("classes", "kind"), [(2, torch.uint8), (256, torch.uint8), (257, torch.int32)]
)
def test_the_best_is_the_first_of_the_largest(classes: int, kind: torch.dtype) -> None:
    values = torch.randint(0, 9, (classes, 5, 4, 3), generator=torch.Generator().manual_seed(1))
    found = best_of(values.float(), range(classes))
    assert found.dtype == kind
    assert torch.equal(found[0].long(), values.argmax(0))


@pytest.mark.parametrize("classes", [2, 30])
@pytest.mark.parametrize("sharp", [0.1, 1.0, 9.0])
@pytest.mark.parametrize("sure", [False, True])
@pytest.mark.parametrize("beyond", [0, 3])
def test_classes_that_are_passed_over_could_not_win(
    classes: int, sharp: float, sure: bool, beyond: int
) -> None:
    """Finer along one axis, coarser along another and averaged there, cropped if it is beyond."""
    sizes, wanted = (19, 23, 18), (40, 9, 18)
    lines = []
    for size, new in zip(sizes, wanted, strict=True):
        places = torch.linspace(-beyond, size - 1 + beyond, new, dtype=torch.float64)
        line = interpolation_matrix(places, size, size / new).double()
        outside = (-places).clamp(min=0) + (places - size + 1).clamp(min=0)
        lines.append((line * (1 - outside).clamp(min=0)[:, None]).numpy())
    maps = AxisMaps.first(sizes, np.eye(4)).resampled(lines, np.eye(4))
    scores = torch.randn(classes, *sizes, generator=torch.Generator().manual_seed(classes)) * sharp
    given = scores.double().softmax(0).numpy()
    given[0] -= sure  # of what is background for certain where nothing is
    full = np.einsum("cijk,xi,yj,zk->cxyz", given, *lines, optimize=True)
    full[0] += sure
    found = labels_of(scores.split(5, 1), maps, Decision("softmax", surely_background=sure))
    np.testing.assert_array_equal(found[0].numpy(), full.argmax(0))


@pytest.mark.parametrize("size", [1, 16, 17, 90])
@pytest.mark.parametrize("flipped", [False, True])
def test_axes_of_any_length_give_interpolation_then_argmax(size: int, flipped: bool) -> None:
    places = np.linspace(0, size - 1, 2 * size + 3)
    matrix = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size)))
    maps = AxisMaps.first((size, 3, 2), np.eye(4)).resampled(
        [matrix, np.eye(3), np.eye(2)], np.eye(4)
    )
    if flipped:
        maps = maps.turned(np.array([[1, -1], [0, 1], [2, 1.0]]))
    scores = torch.rand(4, size, 3, 2, generator=torch.Generator().manual_seed(size))
    full = np.einsum("xi,ciyz->cxyz", matrix, scores.numpy().astype(np.float64))
    expected = full.astype(np.float32).argmax(0)
    if flipped:
        expected = expected[::-1].swapaxes(0, 1)
    for planes in (1, 7, size):
        by = labels_of if planes == 7 else decide.labels_of
        found = by(scores.split(planes, 1), maps, Decision())[0].numpy()
        np.testing.assert_array_equal(found, expected)
