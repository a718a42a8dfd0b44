# SPDX-License-Identifier: Apache-2.0
"""The fast sliding window against MONAI's: the same bits, on awkward volumes, in any batch."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from medvol.inferers.sliding_window import (
    BACKGROUND_SCORE,
    FastSlidingWindowInferer,
    OtherOutput,
    gathered,
)

SHAPES: dict[str, tuple[int, ...]] = {
    "odd": (13, 17, 11),
    "one-slice-more": (9, 8, 8),
    "as-large": (8, 8, 8),
    "smaller": (5, 7, 3),
    "thin": (20, 9, 1),
    "first-axis-short": (3, 21, 10),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "usual": {"roi_size": 8, "overlap": 0.5},
    "gaussian": {"roi_size": (8, 8, 8), "overlap": 0.25, "mode": "gaussian"},
    "sigma": {"roi_size": (8, 6, 4), "mode": "gaussian", "sigma_scale": (0.1, 0.2, 0.3)},
    "overlaps": {"roi_size": (8, 8, 4), "overlap": (0.9, 0.0, 0.6), "mode": "gaussian"},
    "whole-axes": {"roi_size": (8, -1, None), "overlap": 0.25},
    "first-axis-whole": {"roi_size": (0, 8, 8), "overlap": 0.5, "mode": "gaussian"},
    "replicate": {"roi_size": (16, 8, 8), "padding_mode": "replicate", "mode": "gaussian"},
    "value": {"roi_size": (8, 16, 8), "cval": -3.5, "mode": "gaussian"},
    "cached": {"roi_size": (8, 8, 8), "mode": "gaussian", "cache_roi_weight_map": True},
}  # fmt: skip
Make = Callable[..., Tensor]


class Mixing(nn.Module):
    """Scores of three classes that depend on the place in the window, each window by itself."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.classes = classes
        self.batches: list[int] = []

    def forward(self, windows: Tensor) -> Tensor:
        self.batches.append(len(windows))
        place = torch.linspace(-1, 1, windows[0, 0].numel()).view(windows.shape[2:])
        first = windows.sum(1, keepdim=True)
        return torch.cat([torch.sin(first * (k + 1) + place) for k in range(self.classes)], 1)


def volume(shape: tuple[int, ...], *, batch: int = 1, channels: int = 2) -> Tensor:
    made = torch.Generator().manual_seed(sum(shape))
    return torch.randn(batch, channels, *shape, generator=made)


def both(inputs: Tensor, network: Any = None, **options: Any) -> tuple[Any, Any]:
    """Scores of MONAI's inferer, and of its equal with another batch."""
    stock = SlidingWindowInferer(**options)
    fast = FastSlidingWindowInferer.equal_to(stock)
    fast.sw_batch_size = 3
    network = network or Mixing()
    with torch.inference_mode():
        return stock(inputs, network), fast(inputs, network)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", OPTIONS)
def test_equal_bit_by_bit(shape: str, options: str) -> None:
    stock, fast = both(volume(SHAPES[shape]), **OPTIONS[options])
    assert fast.shape == (1, 3, *SHAPES[shape])
    assert torch.equal(stock, fast)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((11, 30), {"roi_size": (8, 8), "overlap": 0.5, "mode": "gaussian"}),
        ((29,), {"roi_size": (8,), "overlap": 0.25}),
    ],
)
def test_equal_in_other_dimensions(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    stock, fast = both(volume(shape), **options)
    assert torch.equal(stock, fast)


@pytest.mark.parametrize("batch", [1, 2, 5, 64])
def test_batches_are_full_and_change_no_bit(batch: int) -> None:
    network, inputs = Mixing(), volume((20, 8, 14))
    stock = SlidingWindowInferer(8, overlap=0.5, mode="gaussian")
    fast = FastSlidingWindowInferer.equal_to(stock)
    fast.sw_batch_size = batch
    assert torch.equal(stock(inputs, Mixing()), fast(inputs, network))
    windows = 4 * 3  # begin at 0, 4, 8 and 12 of 20, and at 0, 4 and 6 of 14
    assert network.batches == [
        *[batch] * (windows // batch), *[windows % batch] * (windows % batch > 0)
    ]  # fmt: skip


@pytest.mark.parametrize("classes", [1, 2, 104])
def test_any_number_of_classes(classes: int) -> None:
    stock, fast = both(volume((9, 12, 8)), Mixing(classes), roi_size=8, mode="gaussian")
    assert fast.shape[1] == classes
    assert torch.equal(stock, fast)


def test_several_volumes_at_once() -> None:
    stock, fast = both(volume((12, 9, 8), batch=3), roi_size=8, overlap=0.5, sw_batch_size=4)
    assert torch.equal(stock, fast)


def test_values_that_are_no_numbers_stay_where_they_are() -> None:
    inputs = volume((12, 9, 8))
    inputs[..., 3, 3, 3] = torch.nan
    stock, fast = both(inputs, roi_size=4, overlap=0.5, mode="gaussian")
    assert stock.isnan().any()
    torch.testing.assert_close(fast, stock, rtol=0, atol=0, equal_nan=True)


def test_the_volume_stays_as_it_was_though_a_network_gives_it_back() -> None:
    inputs = volume((12, 9, 8))
    before = inputs.clone()
    fast = FastSlidingWindowInferer(8, overlap=0.5, mode="gaussian")
    torch.testing.assert_close(fast(inputs, nn.Identity()), before)
    assert torch.equal(inputs, before)


def test_the_answer_lies_where_the_volume_lies() -> None:
    affine = torch.diag(torch.tensor([2.0, 2, 5, 1], dtype=torch.float64))
    stock, fast = both(MetaTensor(volume((9, 8, 8)), affine=affine), roi_size=8)
    assert isinstance(fast, MetaTensor)
    assert torch.equal(fast.affine, affine)
    assert (fast.meta.keys(), fast.dtype) == (stock.meta.keys(), stock.dtype)


@pytest.mark.parametrize("chosen", [{"device": "meta"}, {"cpu_thresh": 10}, {"sw_device": "cpu"}])
def test_scores_are_stitched_on_the_device_asked_for(chosen: dict[str, Any]) -> None:
    found = FastSlidingWindowInferer(8, **chosen)(volume((9, 8, 8)), Mixing())
    assert found.device.type == chosen.get("device", "cpu")


# -- what is left to MONAI ------------------------------------------------------------------------


def halved(windows: Tensor) -> Tensor:
    return nn.functional.avg_pool3d(windows, 2)


def two_sizes(windows: Tensor) -> tuple[Tensor, Tensor]:
    return windows, halved(windows)


def named(windows: Tensor) -> dict[str, Tensor]:
    return {"b": windows, "a": windows + 1}


@pytest.mark.parametrize("network", [halved, two_sizes, named])
def test_other_outputs_are_left_to_monai(network: Any) -> None:
    inputs = volume((16, 12, 8))
    stock, fast = both(inputs, network, roi_size=8, overlap=0.5)
    torch.testing.assert_close(fast, stock, rtol=0, atol=0)
    with pytest.raises(OtherOutput):
        list(FastSlidingWindowInferer(8).planes(inputs, network))


def with_coordinates(windows: Tensor, where: Any) -> Tensor:
    return windows + where[0][2].start


def test_coordinates_conditions_and_buffers_are_left_to_monai() -> None:
    inputs = volume((16, 12, 8))
    stock, fast = both(inputs, with_coordinates, roi_size=8, sw_batch_size=1, with_coord=True)
    assert stock.shape == fast.shape
    stock, fast = both(inputs, roi_size=8, overlap=0.5, buffer_steps=1, buffer_dim=0)
    assert torch.equal(stock, fast)
    asked = FastSlidingWindowInferer(8)
    found = asked(inputs, lambda x, condition: x + condition, condition=inputs)
    torch.testing.assert_close(found, 2 * inputs)


@pytest.mark.parametrize("options", [{"roi_size": (8, 8)}, {"roi_size": 8, "overlap": 1.0}])
def test_what_monai_refuses_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"roi_size|overlap"):
        FastSlidingWindowInferer(**options)(volume((9, 9, 9)), Mixing())


# -- planes ---------------------------------------------------------------------------------------


def test_planes_are_finished_one_after_the_other() -> None:
    """Windows begin at 0, 6 and 9 of 17: up to there the planes before are through."""
    fast, network, inputs = FastSlidingWindowInferer(8), Mixing(), volume((17, 8, 8))
    seen = [(planes.shape[1], sum(network.batches)) for planes in fast.planes(inputs, network)]
    assert seen == [(6, 2), (2, 3), (1, 3), (5, 3), (3, 3)]
    assert sum(number for number, _ in seen) == 17


@pytest.mark.parametrize("shape", SHAPES.values())
def test_planes_together_are_the_whole(shape: tuple[int, ...]) -> None:
    fast = FastSlidingWindowInferer((8, 8, 8), 2, 0.5, mode="gaussian")
    planes = list(fast.planes(volume(shape), Mixing()))
    assert torch.equal(torch.cat(planes, 1)[None], fast(volume(shape), Mixing()))
    assert torch.equal(gathered(planes, shape[0])[None], fast(volume(shape), Mixing()))


def test_no_more_is_kept_than_a_window_is_long() -> None:
    """Of 64 planes: 8 that windows add to, and the 4 that were just given away."""
    kept: list[int] = []

    def watched(windows: Tensor) -> Tensor:
        kept.append(sum(sums.shape[1] for sums, _ in sums_of.pieces.values()))
        return windows

    fast = FastSlidingWindowInferer(8, overlap=0.5)
    from medvol.inferers import sliding_window

    class Watched(sliding_window._Sums):
        def __init__(self, *args: Any) -> None:
            nonlocal sums_of
            super().__init__(*args)
            sums_of = self

    sums_of: Any = None
    before = sliding_window._Sums
    try:
        sliding_window._Sums = Watched  # type: ignore[misc]
        list(fast.planes(volume((64, 8, 8)), watched))
    finally:
        sliding_window._Sums = before  # type: ignore[misc]
    assert max(kept) == 8
    assert sums_of.pieces == {}


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
def test_scores_are_gone_when_the_network_computes_the_next(mode: str) -> None:
    given: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    def network(windows: Tensor) -> Tensor:
        alive.append(any(scores() is not None for scores in given))
        scores = windows * 2
        given.append(weakref.ref(scores))
        return scores

    inferer = FastSlidingWindowInferer(8, 2, overlap=0.5, mode=mode)
    for _ in inferer.planes(volume((16, 16, 8)), network):
        pass
    assert alive == [False] * 5


def test_windows_that_are_not_wanted_do_not_count() -> None:
    """Of windows at 0, 4 and 8 along x only the first is computed: it alone gives its voxels."""
    fast, network, inputs = FastSlidingWindowInferer(8, 2, 0.5), Mixing(), volume((16, 8, 8))
    seen: list[tuple[int, int]] = []

    def first(window: tuple[slice, ...]) -> bool:
        seen.append((window[0].start, window[0].stop))
        return window[0].start == 0

    found = torch.cat(list(fast.planes(inputs, network, wanted=first, classes=3)), 1)
    assert seen == [(0, 8), (4, 12), (8, 16)]
    assert sum(network.batches) == 1
    assert torch.equal(found[:, :8], Mixing()(inputs[..., :8, :, :])[0])
    assert (found[0, 8:] == BACKGROUND_SCORE).all()
    assert (found[1:, 8:] == -BACKGROUND_SCORE).all()


def test_no_window_wanted_and_nothing_is_computed_or_held() -> None:
    planes = FastSlidingWindowInferer(8).planes(
        volume((16, 8, 8)), _never, wanted=lambda _: False, classes=2
    )
    (first, *_) = found = list(planes)
    assert sum(x.shape[1] for x in found) == 16
    assert first.untyped_storage().nbytes() == 2 * 4
    assert first[:, 0, 0, 0].tolist() == [BACKGROUND_SCORE, -BACKGROUND_SCORE]


def _never(_: Tensor) -> Tensor:
    raise AssertionError("no window is wanted")


# -- windows of one value -------------------------------------------------------------------------


def in_air() -> Tensor:
    """Two channels (20, 8, 14) of one value each, but for some voxels between 9 and 11 along x."""
    inputs = torch.tensor([-1.0, 0.5]).view(1, 2, 1, 1, 1).repeat(1, 1, 20, 8, 14)
    inputs[..., 9:11, :, 5] = volume((2, 8, 1))[..., 0]
    return inputs


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
@pytest.mark.parametrize("mode", ["constant", "gaussian"])
def test_of_windows_of_one_value_the_first_is_computed(batch: int, mode: str) -> None:
    """Windows begin at 0, 4, 8, 12 of 20 and 0, 4, 6 of 14: 4, 8 and 0, 4 hold the other voxels."""
    options: dict[str, Any] = {"roi_size": 8, "overlap": 0.5, "mode": mode}
    every, some, inputs = Mixing(), Mixing(), in_air()
    expected = SlidingWindowInferer(**options)(inputs, every)
    skipping = FastSlidingWindowInferer(**options, sw_batch_size=batch, skip_constant=True)
    assert torch.equal(skipping(inputs, some), expected)
    assert sum(every.batches) == 4 * 3
    assert sum(some.batches) == 2 * 2 + 1


def test_without_the_word_nothing_is_skipped() -> None:
    network, inputs = Mixing(), in_air()
    FastSlidingWindowInferer(8, overlap=0.5)(inputs, network)
    assert sum(network.batches) == 4 * 3
    FastSlidingWindowInferer.equal_to(SlidingWindowInferer(8, overlap=0.5))(inputs, network)
    assert sum(network.batches) == 2 * 4 * 3


def test_values_that_differ_are_computed_each_and_no_number_always() -> None:
    inputs = torch.cat([torch.full((1, 1, 8, 8, 8), x) for x in (0.0, 1.0, 0.0, torch.nan)], 2)
    network = Mixing()
    found = FastSlidingWindowInferer(8, overlap=0.0, skip_constant=True)(inputs, network)
    assert sum(network.batches) == 3
    expected = SlidingWindowInferer(8, overlap=0.0)(inputs, Mixing())
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_windows_that_are_not_wanted_are_not_looked_at_for_their_value() -> None:
    network, inputs = Mixing(), torch.zeros(1, 2, 16, 8, 8)
    fast = FastSlidingWindowInferer(8, overlap=0.0, skip_constant=True)
    planes = fast.planes(inputs, network, wanted=lambda x: x[0].start == 8, classes=3)
    found = torch.cat(list(planes), 1)
    assert (found[0, :8] == BACKGROUND_SCORE).all()
    assert torch.equal(found[:, 8:], Mixing()(inputs[..., 8:, :, :])[0])
