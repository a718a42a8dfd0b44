# SPDX-License-Identifier: Apache-2.0
"""A 2D network along z: true neighbours, repeated ends, the same answer in any batch."""

import re
from typing import Any

import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from torch import Tensor, nn

from medvol.inferers.precision import PrecisionInferer
from medvol.inferers.slice_stack import SliceStackInferer
from medvol.networks.resunet import ResUNet


class Spy(nn.Module):
    """Weights the slices of a slab 100, 10, 1, and remembers how many came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, slabs: Tensor) -> Tensor:
        self.batches.append(len(slabs))
        low, middle, high = slabs.unbind(1)
        return torch.stack([100 * low + 10 * middle + high, middle], 1)


def levels(depth: int = 5) -> Tensor:
    """(1, 1, 2, 3, depth): every voxel of slice z is z."""
    return torch.arange(depth).float().expand(1, 1, 2, 3, depth)


@pytest.mark.parametrize(
    ("batch", "batches"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (8, [5])]
)
def test_each_slice_sees_its_neighbours_and_itself_beyond_the_ends(
    batch: int, batches: list[int]
) -> None:
    spy = Spy()
    scores = SliceStackInferer(slices=3, sw_batch_size=batch)(levels(), spy)
    assert scores.shape == (1, 2, 2, 3, 5)
    assert scores[0, 0, 1, 2].tolist() == [1, 12, 123, 234, 344]
    assert torch.equal(scores[:, 1:], levels())
    assert spy.batches == batches


def test_each_slice_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from medvol.inferers import slice_stack

    read = slice_stack.read_slices
    seen: list[tuple[int, int]] = []

    def watched(volume: Tensor, start: int, stop: int) -> Tensor:
        seen.append((start, stop))
        return read(volume, start, stop)

    monkeypatch.setattr(slice_stack, "read_slices", watched)
    SliceStackInferer(slices=3, sw_batch_size=2)(levels(), Spy())
    assert seen == [(-1, 1), (1, 3), (3, 5), (5, 6)]  # -1 and 5 are the repeated ends


@pytest.mark.parametrize("start", range(5))
@pytest.mark.parametrize("batch", [1, 2])
def test_a_range_sees_the_slices_beside_it(start: int, batch: int) -> None:
    inferer = SliceStackInferer(slices=3, sw_batch_size=batch)
    whole = inferer(levels(), Spy())
    for stop in range(start + 1, 6):
        part = inferer(levels(), Spy(), slice_range=(start, stop))
        assert torch.equal(part, whole[..., start:stop])


@pytest.mark.parametrize("bounds", [(2, 2), (-1, 3), (3, 6), (4, 2)])
def test_a_range_out_of_the_volume_is_refused(bounds: tuple[int, int]) -> None:
    words = f"slice_range is {bounds}; give a range in 0 to 5"
    with pytest.raises(ValueError, match=re.escape(words)):
        SliceStackInferer(3)(levels(), Spy(), slice_range=bounds)


def test_a_classifier_answers_per_slice() -> None:
    volumes = torch.cat([levels(), 10 + levels()])

    def classify(slabs: Tensor) -> Tensor:
        return slabs.amax(dim=(2, 3))[:, [0, 2]]  # the slice below, and the one above

    scores = SliceStackInferer(3, sw_batch_size=2)(volumes, classify)
    assert scores.tolist() == [
        [[0, 0, 1, 2, 3], [1, 2, 3, 4, 4]],
        [[10, 10, 11, 12, 13], [11, 12, 13, 14, 14]],
    ]


def test_several_channels_come_slice_by_slice_within_each() -> None:
    volume = torch.cat([levels(3), 10 + levels(3)], dim=1)
    seen: list[Tensor] = []

    def watch(slabs: Tensor) -> Tensor:
        seen.append(slabs[:, :, 0, 0])
        return slabs[:, :1]

    SliceStackInferer(3, sw_batch_size=3)(volume, watch)
    assert seen[0].tolist() == [
        [0, 0, 1, 10, 10, 11],
        [0, 1, 2, 10, 11, 12],
        [1, 2, 2, 11, 12, 12],
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_batch_and_threads_change_no_bit(precision: str) -> None:
    torch.manual_seed(0)
    network = ResUNet(2, 5, 3, features=(8, 16, 32), norm="batch").eval()
    volume = torch.rand(1, 1, 20, 27, 7, generator=torch.Generator().manual_seed(1))
    threads = torch.get_num_threads()
    scores = []
    try:
        for batch, number in [(1, 1), (3, 2), (8, 4)]:
            torch.set_num_threads(number)
            inferer = PrecisionInferer(SliceStackInferer(5, sw_batch_size=batch), precision)
            with torch.inference_mode():
                scores.append(inferer(volume, network))
                part = inferer(volume, network, slice_range=(2, 6))
            assert torch.equal(part, scores[0][..., 2:6])
    finally:
        torch.set_num_threads(threads)
    assert scores[0].std() > 0.01
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])


def test_the_answer_lies_where_the_volume_lies() -> None:
    affine = torch.diag(torch.tensor([2.0, 2, 5, 1], dtype=torch.float64))
    volume = MetaTensor(levels(), affine=affine)
    seen: list[Any] = []

    def watch(slabs: Tensor) -> Tensor:
        seen.append(slabs)
        return slabs[:, 1:2]

    inferer = SliceStackInferer(3)
    whole = inferer(volume, watch)
    assert isinstance(whole, MetaTensor)
    assert torch.equal(whole.affine, affine)
    assert not isinstance(seen[0], MetaTensor)  # metadata would slow every layer down
    assert not isinstance(inferer(volume, watch, slice_range=(1, 3)), MetaTensor)


def test_answers_are_gathered_on_the_device_asked_for() -> None:
    inferer = SliceStackInferer(3, device="meta")
    assert inferer(levels(), Spy()).device.type == "meta"


def test_gradients_pass_through() -> None:
    volume = levels().clone().requires_grad_()
    SliceStackInferer(3, sw_batch_size=2)(volume, Spy())[:, 0].sum().backward()
    assert volume.grad is not None
    assert volume.grad[0, 0, 0, 0].tolist() == [210, 111, 111, 111, 12]


def test_the_bar_counts_batches(capsys: pytest.CaptureFixture[str]) -> None:
    SliceStackInferer(3, sw_batch_size=2, progress=True)(levels(), Spy())
    assert "3/3" in capsys.readouterr().err
    SliceStackInferer(3, sw_batch_size=2)(levels(), Spy())
    assert capsys.readouterr().err == ""


def test_no_middle_and_no_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="slices is 4; give an odd number"):
        SliceStackInferer(4)
    with pytest.raises(ValueError, match="sw_batch_size is 0; give 1 or more"):
        SliceStackInferer(3, 0)
