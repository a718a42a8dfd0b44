# SPDX-License-Identifier: Apache-2.0
"""A window alone is convolved as each of several is: by oneDNN, with the same scores."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvol.inferers.convolutions import FEW_VALUES, OneDnnConvolutions

Counts = list[tuple[int, ...]]


@pytest.fixture
def by_onednn(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Shapes of what medvol gives to oneDNN."""
    seen: Counts = []
    original = torch.mkldnn_convolution

    def counted(input: Tensor, *args: Any) -> Tensor:
        seen.append(tuple(input.shape))
        return original(input, *args)

    monkeypatch.setattr(torch, "mkldnn_convolution", counted)
    return seen


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1, "bias": False},
        {"kernel_size": 3, "dilation": 2},
        {"kernel_size": 3, "groups": 2, "padding": 1},
        {"kernel_size": 5},
    ],
    ids=str,
)
def test_a_window_alone_has_the_scores_that_it_has_beside_another(
    options: dict[str, Any], by_onednn: Counts
) -> None:
    layer = nn.Conv3d(4, 6, **options)
    windows = random(2, 4, 9, 11, 7)
    with torch.inference_mode():
        beside = layer(windows)
        with OneDnnConvolutions():
            alone = torch.cat([layer(window) for window in windows.split(1)])
    assert by_onednn == [(1, *windows.shape[1:])] * 2
    torch.testing.assert_close(alone, beside, rtol=0, atol=1e-6)
    if options.get("groups", 1) == 1:
        assert torch.equal(alone, beside)


def test_keywords_and_one_number_for_each_axis(by_onednn: Counts) -> None:
    window, weight, bias = random(1, 2, 6, 7, 8), random(3, 2, 3, 1, 3), random(3)
    stated = {"stride": (1, 2, 1), "padding": (0, 1, 2)}
    with torch.inference_mode(), OneDnnConvolutions():
        found = F.conv3d(window, weight, bias=bias, **stated)
    torch.testing.assert_close(found, F.conv3d(window, weight, bias, **stated))
    assert len(by_onednn) == 1


CUBE = (3, 3, 3)
LEFT = {
    "several": (random(2, 1, 5, 5, 5), random(1, 1, *CUBE), {}),
    "unbatched": (random(1, 5, 5, 5), random(1, 1, *CUBE), {}),
    "padding by name": (random(1, 1, 5, 5, 5), random(1, 1, *CUBE), {"padding": "same"}),
    "double": (random(1, 1, 5, 5, 5).double(), random(1, 1, *CUBE).double(), {}),
    "a product": (random(1, 1, 5, 5, 5), random(1, 1, 1, 1, 1), {}),
    "many values": (random(1, 1, 1, FEW_VALUES + 1, 1), random(1, 1, 1, 2, 1), {}),
    "no channel": (torch.empty(1, 0, 5, 5, 5), torch.empty(1, 0, *CUBE), {}),
}


@pytest.mark.parametrize("kind", LEFT)
def test_what_stays_with_torch(kind: str, by_onednn: Counts) -> None:
    window, weight, options = LEFT[kind]
    with torch.inference_mode():
        expected = F.conv3d(window, weight, **options)
        with OneDnnConvolutions():
            assert torch.equal(F.conv3d(window, weight, **options), expected)
    assert by_onednn == []


def test_as_many_values_as_torch_keeps_for_itself_go_to_onednn(by_onednn: Counts) -> None:
    with torch.inference_mode(), OneDnnConvolutions():
        F.conv3d(random(1, 1, 1, FEW_VALUES, 1), random(1, 1, 1, 2, 1))
    assert len(by_onednn) == 1


def test_training_autocast_and_pictures_stay_with_torch(by_onednn: Counts) -> None:
    layer, picture = nn.Conv3d(1, 1, 3), nn.Conv2d(1, 1, 3)
    with OneDnnConvolutions():
        layer(random(1, 1, 5, 5, 5)).sum().backward()
        assert layer.weight.grad is not None
        with torch.inference_mode():
            picture(random(1, 1, 5, 5))
            with torch.autocast("cpu", torch.bfloat16):
                assert layer(random(1, 1, 5, 5, 5)).dtype == torch.bfloat16
    assert by_onednn == []


def test_only_while_it_is_entered(by_onednn: Counts) -> None:
    with torch.inference_mode():
        with OneDnnConvolutions():
            F.conv3d(random(1, 1, 5, 5, 5), random(1, 1, *CUBE))
        F.conv3d(random(1, 1, 5, 5, 5), random(1, 1, *CUBE))
    assert len(by_onednn) == 1
