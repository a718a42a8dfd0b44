# SPDX-License-Identifier: Apache-2.0
"""A residual classifier of 2D images, in torchvision's layout, with a head that trains alone."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

# kind of block and number of blocks per stage; He et al. 2016, table 1
DEPTHS: Mapping[int, tuple[str, list[int]]] = {
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
}
EXPANSION = {"basic": 1, "bottleneck": 4}  # channels a block gives, in multiples of its width
FIRST_CONVOLUTION = "conv1.weight"


class Unmatched(NamedTuple):
    """Names that a state dict lacks for the body, and names that the body has no place for."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


class ResidualClassifier(nn.Module):
    """ResNet-18, 34 or 50 for 2D images (MONAI's), and a dense head.

    The body has torchvision's layout and names, so that ImageNet weights of torchvision fit it, see
    `load_body`. The head is, per entry of `hidden`, dropout, a dense layer and ReLU; then dropout
    and a dense layer to the scores. He et al., "Deep residual learning for image recognition", 2016
    (doi 10.1109/CVPR.2016.90).

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
        >>> net = ResidualClassifier(3, 2, depth=18, width=8)
        >>> net(torch.zeros(1, 3, 64, 50)).shape
        torch.Size([1, 2])
    """

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
        super().__init__()
        if depth not in DEPTHS:
            raise ValueError(f"depth is {depth}; give one of {', '.join(map(str, DEPTHS))}")
        if min(in_channels, out_channels, width, *hidden) < 1:
            raise ValueError(
                f"channels and widths are {(in_channels, out_channels, width, *hidden)}; "
                "give at least 1 each"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}; give 0 or more and less than 1")
        block, blocks = DEPTHS[depth]
        self.body = ResNet(
            block, blocks, [width, 2 * width, 4 * width, 8 * width], spatial_dims=2,
            n_input_channels=in_channels, conv1_t_stride=2, feed_forward=False,
            bias_downsample=False,
        )  # fmt: skip
        sizes = [8 * width * EXPANSION[block], *hidden]
        layers: list[nn.Module] = []
        for size, following in pairwise(sizes):
            layers += [nn.Dropout(dropout), nn.Linear(size, following), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(sizes[-1], out_channels))
        self.body_is_frozen = False

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(x))
        return scores

    def freeze_body(self, frozen: bool = True) -> "ResidualClassifier":
        """Let only the head train, or with False everything again.

        A frozen body also keeps its batch statistics, whatever `train` says.

        Returns:
            This network.
        """
        self.body_is_frozen = frozen
        self.body.requires_grad_(not frozen)
        return self.train(self.training)

    def train(self, mode: bool = True) -> "ResidualClassifier":
        """As `nn.Module.train`; a frozen body stays in evaluation mode."""
        super().train(mode)
        self.body.train(mode and not self.body_is_frozen)
        return self

    def load_body(self, state: Mapping[str, Tensor]) -> Unmatched:
        """Take over the body's weights from a state dict; the head stays as it is.

        The state dict is torchvision's, or that of a `ResidualClassifier` ("body." before each
        name). When its first convolution has another number of channels it is adapted, see
        `adapt_first_convolution`.

        Args:
            state: names to weights.

        Returns:
            What did not match; a classifier's own head, "fc" or "head", is among the unexpected.

        Raises:
            ValueError: nothing matches, or a matching name has another shape.
        """
        weights = {name.removeprefix("body."): value for name, value in state.items()}
        own = self.body.state_dict()
        shared = own.keys() & weights.keys()
        if not shared:
            raise ValueError(
                f"the state dict has none of the body's {len(own)} weights, but {list(weights)[:3]}"
                "; give one of a ResNet in torchvision's layout"
            )
        taken = {name: weights[name] for name in shared}
        if FIRST_CONVOLUTION in taken:
            channels = own[FIRST_CONVOLUTION].shape[1]
            taken[FIRST_CONVOLUTION] = adapt_first_convolution(taken[FIRST_CONVOLUTION], channels)
        for name in sorted(shared):
            if taken[name].shape != own[name].shape:
                raise ValueError(
                    f"{name} has shape {tuple(taken[name].shape)}, the network "
                    f"{tuple(own[name].shape)}; give weights of the same depth and width"
                )
        self.body.load_state_dict(taken, strict=False)
        return Unmatched(
            tuple(name for name in own if name not in weights),
            tuple(name for name in state if name.removeprefix("body.") not in own),
        )


def adapt_first_convolution(weight: Tensor, channels: int) -> Tensor:
    """Kernels for another number of input channels: the mean kernel, scaled to the same sum.

    So an image whose channels are all alike gives what a grey image gave before.

    Args:
        weight: (out, in, X, Y).
        channels: of the new input.

    Returns:
        (out, channels, X, Y); `weight` itself when it has `channels` already.

    Example:
        >>> adapt_first_convolution(torch.tensor([[[[1.0]], [[2.0]], [[6.0]]]]), 1).tolist()
        [[[[9.0]]]]
    """
    given = weight.shape[1]
    if given == channels:
        return weight
    return weight.mean(1, keepdim=True).repeat(1, channels, 1, 1) * (given / channels)
