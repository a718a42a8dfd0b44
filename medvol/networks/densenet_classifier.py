# SPDX-License-Identifier: Apache-2.0
"""DenseNet as a classifier of 2D images that takes weights of torchvision and timm."""

import re
from collections.abc import Iterable, Sequence

from monai.networks.nets.densenet import DenseNet
from torch import nn

from .transfer import TransferClassifier, check_at_least_one, check_number

SMALLEST = 29  # pixels along an axis, of which the seven halvings leave one
STAGES = (
    ("features.conv0", "features.norm0"),
    ("features.denseblock1", "features.transition1"),
    ("features.denseblock2", "features.transition2"),
    ("features.denseblock3", "features.transition3"),
    ("features.denseblock4", "features.norm5"),
)
IN_DENSE_LAYER = re.compile(r"(denselayer\d+)\.(norm|conv)\.?([12])\.")


class DenseNetClassifier(TransferClassifier):
    """DenseNet-121, 169 or 201 for 2D images (MONAI's), and a dense head.

    The names of torchvision and timm are translated, so that their ImageNet weights fit, see
    `load_body`. DenseNet-121 with one channel and two
    classes has 6,949,634 parameters. Huang et al., "Densely connected convolutional networks",
    2017 (doi 10.1109/CVPR.2017.243).

    Args:
        in_channels: channels of the input.
        out_channels: classes; 1 for a single score per image.
        layers: per dense block; (6, 12, 24, 16) is DenseNet-121, (6, 12, 32, 32) is 169 and
            (6, 12, 48, 32) is 201.
        growth: channels that a layer adds; 32 is the published network, less trains on few cores.
        hidden: sizes of dense layers before the last.
        dropout: probability of zeroing a feature before each dense layer of the head.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, X, Y), before softmax or sigmoid.

    Raises:
        ValueError: an argument out of range; from forward, an image below 29 x 29 pixels.

    Example:
        >>> import torch
        >>> net = DenseNetClassifier(1, 2, layers=(1, 1, 1, 1), growth=4)
        >>> net(torch.zeros(1, 1, 64, 50)).shape
        torch.Size([1, 2])
    """

    fitting = "a DenseNet in the layout of torchvision, timm or MONAI"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        layers: Sequence[int] = (6, 12, 24, 16),
        growth: int = 32,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
        check_at_least_one(in_channels=in_channels, layers=layers, growth=growth)
        check_number("layers", layers, 4, of="blocks")
        body = DenseNet(
            2, in_channels, 1, init_features=2 * growth, growth_rate=growth,
            block_config=tuple(layers),
        )  # fmt: skip
        features = body.class_layers.out.in_features
        body.class_layers.out = nn.Identity()
        super().__init__(
            body, STAGES, features=features, out_channels=out_channels, hidden=hidden,
            dropout=dropout,
        )  # fmt: skip
        self.smallest = SMALLEST

    def own_names(self, given: Iterable[str]) -> dict[str, str]:
        """See `monai_name`."""
        return {name: monai_name(name.removeprefix("body.")) for name in given}


def monai_name(name: str) -> str:
    """MONAI's name of a DenseNet's weight, of torchvision's or timm's name.

    Older files of torchvision write "norm.1" for "norm1".

    Example:
        >>> monai_name("features.denseblock1.denselayer2.norm.1.weight")
        'features.denseblock1.denselayer2.layers.norm1.weight'
    """
    return IN_DENSE_LAYER.sub(r"\1.layers.\2\3.", name)
