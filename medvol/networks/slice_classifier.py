# SPDX-License-Identifier: Apache-2.0
"""A residual classifier of slices that learns from where the finding is."""

import torch
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

STRIDE = 16  # pixels between neighbouring places, along both axes


class SliceClassifier(nn.Module):
    """Log odds of a finding at each place of a slice, of which the highest make the slice's.

    The body is a ResNet-18 without its last stage (He et al. 2016, doi 10.1109/CVPR.2016.90), so
    that a place sees about 200 pixels and neighbouring places are 16 pixels apart. A dense layer
    gives the log odds of each place; their mean over the `top` highest is that of the slice
    (multiple-instance learning). So a small finding is not averaged away, and few patients suffer:
    every place of every slice is an example, see `SlicePlacesLoss`.

    Args:
        in_channels: channels of the input.
        width: channels of the first stage, doubled by the second and the third.
        top: places that make the slice's score.
        dropout: probability of zeroing a feature before the dense layer.

    Returns (forward):
        scores (B, 2) of images (B, in_channels, X, Y), none and finding, before softmax. In
        training mode log odds (B, 1 + places): the slice's, then those of the places row by row.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> net, slab = SliceClassifier(3, width=4), torch.zeros(2, 3, 64, 50)
        >>> net.eval()(slab).shape, net.train()(slab).shape
        (torch.Size([2, 2]), torch.Size([2, 17]))
    """

    def __init__(
        self, in_channels: int, *, width: int = 16, top: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        if min(in_channels, width, top) < 1:
            raise ValueError(
                f"in_channels, width and top are {(in_channels, width, top)}; give at least 1 each"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}; give 0 or more and less than 1")
        resnet = ResNet(
            "basic", [2, 2, 2, 2], [width, 2 * width, 4 * width, 8 * width], spatial_dims=2,
            n_input_channels=in_channels, conv1_t_stride=2, feed_forward=False,
            bias_downsample=False,
        )  # fmt: skip
        self.body = nn.Sequential(
            resnet.conv1, resnet.bn1, resnet.act, resnet.maxpool, resnet.layer1, resnet.layer2,
            resnet.layer3,
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(4 * width, 1, 1))
        self.top = top

    def forward(self, x: Tensor) -> Tensor:
        places = self.head(self.body(x)).flatten(1)
        highest = places.topk(min(self.top, places.shape[1])).values.mean(1, keepdim=True)
        if self.training:
            return torch.cat([highest, places], 1)
        return torch.cat([-highest / 2, highest / 2], 1)
