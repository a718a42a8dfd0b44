# SPDX-License-Identifier: Apache-2.0
"""Lower precision inside the windows, float32 outside."""

import re
from typing import Any

import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import Tensor, nn

from medvol.inferers.precision import PrecisionInferer


class Spy(nn.Module):
    """A convolution that remembers what it was given and what it computed in."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.seen: list[tuple[Any, ...]] = []

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        scores: Tensor = self.conv(x)
        self.seen.append((x.dtype, scores.dtype, args, kwargs))
        return scores


def picture() -> Tensor:
    return torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("precision", "inside"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_the_network_computes_in_the_precision_and_scores_are_float32(
    precision: str, inside: torch.dtype
) -> None:
    network = Spy()
    scores = PrecisionInferer(SimpleInferer(), precision)(picture(), network)
    assert [seen[:2] for seen in network.seen] == [(torch.float32, inside)]
    assert scores.dtype == torch.float32


def test_fp32_changes_nothing() -> None:
    network = Spy()
    assert torch.equal(PrecisionInferer(SimpleInferer())(picture(), network), network(picture()))


def test_bf16_is_near_and_not_equal() -> None:
    network = Spy()
    scores = PrecisionInferer(SimpleInferer(), "bf16")(picture(), network)
    exact = network(picture())
    assert not torch.equal(scores, exact)
    assert (scores - exact).abs().max() < 2**-7 * exact.abs().max()  # bf16 has 8 bits


def test_windows_are_stitched_in_float32() -> None:
    """A constant 1 + 2^-9 is no bf16 number, so it stays only where the stitching is float32."""

    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full_like(x, 1 + 2**-9)

    windows = SlidingWindowInferer((8, 8), overlap=0.5, mode="gaussian")
    scores = PrecisionInferer(windows, "bf16")(picture(), Constant())
    assert scores.shape == (1, 1, 16, 16)
    torch.testing.assert_close(scores, torch.full_like(scores, 1 + 2**-9), rtol=0, atol=2e-7)


def test_further_arguments_reach_the_network() -> None:
    network = Spy()
    PrecisionInferer(SimpleInferer())(picture(), network, 1, word="b")
    assert network.seen[0][2:] == ((1,), {"word": "b"})


def test_gradients_pass_through() -> None:
    network = Spy()
    PrecisionInferer(SimpleInferer(), "bf16")(picture(), network).sum().backward()
    weights = network.conv.weight.grad
    assert weights is not None
    assert weights.dtype == torch.float32
    assert weights.abs().min() > 0


def test_an_unknown_precision_is_refused() -> None:
    words = "precision is 'int8'; give one of fp32, bf16, fp16"
    with pytest.raises(ValueError, match=re.escape(words)):
        PrecisionInferer(SimpleInferer(), "int8")


@pytest.mark.parametrize(("layer", "edges", "given"), [(nn.Conv2d, 2, 0), (nn.Conv3d, 3, 2)])
def test_of_windows_those_of_volumes_are_given_to_onednn(
    layer: Any, edges: int, given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    original = torch.mkldnn_convolution
    monkeypatch.setattr(
        torch, "mkldnn_convolution", lambda *args: seen.append(args) or original(*args)
    )
    network, windows = layer(1, 2, 3), torch.rand(2, 1, *(5,) * edges)
    with torch.inference_mode():
        scores = PrecisionInferer(SimpleInferer())(windows, network)
    torch.testing.assert_close(scores, network(windows))
    assert len(seen) == given
