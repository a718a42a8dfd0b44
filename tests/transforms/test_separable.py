# SPDX-License-Identifier: Apache-2.0
"""Axes are read one after the other, in slabs, whatever the type and the order in memory."""

import numpy as np
import pytest
import torch

from medvol.transforms import separable
from medvol.transforms.separable import Along, read_along

HALVES = Along(3, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]))
THIRD = Along(3, picks=torch.tensor([2]))


def counted(*size: int, dtype: torch.dtype = torch.int16) -> torch.Tensor:
    """(1, *size): 0, 1, 2 and so on."""
    return torch.arange(int(np.prod(size)), dtype=dtype).reshape(1, *size)


def test_each_axis_reads_its_own() -> None:
    found = read_along(counted(3, 3), [THIRD, HALVES])
    assert found.dtype == torch.float32
    assert found.tolist() == [[[6.5, 7.5]]]
    assert read_along(counted(3, 3), [HALVES, THIRD]).tolist() == [[[3.5], [6.5]]]


def test_the_axes_of_the_result_may_stand_in_another_order() -> None:
    assert read_along(counted(3, 3), [HALVES, THIRD], [1, 0]).tolist() == [[[3.5, 6.5]]]


def test_what_changes_voxels_runs_before_or_after_weights() -> None:
    volume = torch.tensor([[0, 10, 0]], dtype=torch.int16)
    clipped = {"before": read_along(volume, [HALVES], before=lambda x: x.clip(0, 6)),
               "after": read_along(volume, [HALVES], after=lambda x: x.clip(0, 4))}  # fmt: skip
    assert {name: found.tolist() for name, found in clipped.items()} == {
        "before": [[3.0, 3.0]], "after": [[4.0, 4.0]],
    }  # fmt: skip


@pytest.mark.parametrize("slab_bytes", [1, 100, 2000])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("step", [0.3, 1.0, 2.7])
def test_slabs_and_blocks_leave_no_seam(
    slab_bytes: int, order: tuple[int, ...], step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    size = (11, 9, 13)
    volume = torch.from_numpy(rng.integers(-99, 99, (2, *size)).astype(np.int16))
    volume = volume.permute(0, *(1 + i for i in order)).contiguous()
    volume = volume.permute(0, *(1 + i for i in np.argsort(order)))
    axes, weights = [], []
    for n in size:
        at = torch.arange(max(1, int(n / step))) * step
        rows = (1 - (at[:, None] - torch.arange(n)).abs()).clamp(min=0).float()
        weights.append(rows)
        axes.append(Along(n, rows))
    expected = torch.einsum("cxyz,ax,by,dz->cabd", volume.float(), *weights)
    monkeypatch.setattr(separable, "SLAB_BYTES", slab_bytes)
    monkeypatch.setattr(separable, "BLOCK", 4)
    torch.testing.assert_close(read_along(volume, axes), expected, rtol=0, atol=1e-4)


def test_an_axis_of_an_axis() -> None:
    flip = Along(3).flipped()
    assert read_along(counted(3), [HALVES.after(flip)]).tolist() == [[1.5, 0.5]]
    assert read_along(counted(3), [THIRD.after(flip)]).tolist() == [[0.0]]
    last = Along(2, picks=torch.tensor([1]))
    assert read_along(counted(3), [last.after(HALVES)]).tolist() == [[1.5]]
    with pytest.raises(ValueError, match="both axes have weights"):
        Along(2, torch.ones(1, 2)).after(HALVES)


def test_rows_of_one_and_zeros_are_picks() -> None:
    assert Along.of(torch.eye(3)).picks is None
    assert Along.of(torch.eye(3).flip(0)).picked.tolist() == [2, 1, 0]
    assert Along.of(torch.tensor([[0.0, 0.0]])).picks is None  # beyond the volume


def test_part_of_an_axis_and_one_without_voxels() -> None:
    assert len(HALVES[1:]) == 1
    assert read_along(counted(3), [HALVES[1:]]).tolist() == [[1.5]]
    assert read_along(counted(3), [HALVES[2:]]).shape == (1, 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_sums_are_rounded_alike_in_any_order_of_memory_and_direction(
    order: tuple[int, ...],
) -> None:
    rng = np.random.default_rng(0)
    size = (11, 9, 13)
    volume = torch.from_numpy(rng.integers(-999, 999, (1, *size)).astype(np.int16))
    axes = [Along(n, torch.from_numpy(rng.random((7, n), np.float32))) for n in size]
    turned = volume.permute(0, *(1 + i for i in order)).contiguous().flip([1, 3])
    flips = [0, 2]
    lines = [
        axes[of].after(Along(size[of]).flipped()) if j in flips else axes[of]
        for j, of in enumerate(order)
    ]
    back = [order.index(axis) for axis in range(3)]
    assert torch.equal(read_along(turned, lines, back), read_along(volume, axes))
