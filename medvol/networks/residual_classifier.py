# SPDX-License-Identifier: Apache-2.0
"""A residual classifier of 2D images, in torchvision's layout, with a head that trains alone."""

from collections.abc import Mapping, Sequence

from monai.networks.nets.resnet import ResNet

from .transfer import TransferClassifier, check_at_least_one

# kind of block and number of blocks per stage; He et al. 2016, table 1
DEPTHS: Mapping[int, tuple[str, list[int]]] = {
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
}
STAGES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
EXPANSION = {"basic": 1, "bottleneck": 4}  # channels a block gives, in multiples of its width


class ResidualClassifier(TransferClassifier):
    """ResNet-18, 34 or 50 for 2D images (MONAI's), and a dense head.

    The body has the layout and names of torchvision and timm, so that their ImageNet weights fit
    it, see `load_body`. With one channel and two classes 11,171,266, 21,279,426 and 23,505,858
    parameters. He et al., "Deep residual learning for image
    recognition", 2016 (doi 10.1109/CVPR.2016.90).

    Args:
        in_channels: channels of the input.
        out_channels: classes; 1 for a single score per image.
        depth: 18, 34 or 50.
        width: channels of the first stage, doubled by each of the other three; 64 is the published
            network, less trains on few cores.
        hidden: sizes of dense layers before the last.
        dropout: probability of zeroing a feature before each dense layer.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, X, Y), before softmax or sigmoid.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> import torch
        >>> net = ResidualClassifier(3, 2, depth=18, width=8)
        >>> net(torch.zeros(1, 3, 64, 50)).shape
        torch.Size([1, 2])
    """

    fitting = "a ResNet in torchvision's layout"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        depth: int = 18,
        width: int = 64,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
        if depth not in DEPTHS:
            raise ValueError(f"depth is {depth}; give one of {', '.join(map(str, DEPTHS))}")
        check_at_least_one(in_channels=in_channels, width=width)
        block, blocks = DEPTHS[depth]
        body = ResNet(
            block, blocks, [width, 2 * width, 4 * width, 8 * width], spatial_dims=2,
            n_input_channels=in_channels, conv1_t_stride=2, feed_forward=False,
            bias_downsample=False,
        )  # fmt: skip
        super().__init__(
            body, STAGES, features=8 * width * EXPANSION[block], out_channels=out_channels,
            hidden=hidden, dropout=dropout,
        )  # fmt: skip
