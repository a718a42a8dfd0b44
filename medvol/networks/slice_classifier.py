# SPDX-License-Identifier: Apache-2.0
"""A classifier of slices that measures first: the area of the finding makes the slice's score."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from monai.networks.blocks.convolutions import Convolution
from torch import Tensor, nn
from torch.nn import functional as F

from .resunet import ResUNet

STRIDE = 2  # the map of the finding has half the input's resolution: the answer is one per slice
SHARPNESS = 4.0  # of log odds before they count as area, so that many unsure pixels add up to none
EVEN_MM2 = 50.0  # of the finding at even odds, before calibration: `slice_area.SMALLEST_MM2`
FLOOR_MM2 = 10.0  # added to each area, so that none is not minus infinity


class SliceClassifier(nn.Module):
    """A residual U-Net at half resolution that marks the finding, and log odds of its area.

    A network that answers for whole slices learns from as many examples as there are slices, and
    takes the look of a scan for the finding. This one learns from every pixel where the finding is,
    and judges by how much of it there is. `slope` and `offset` of the log odds are not weights but
    calibration (Platt scaling), fitted on slices of patients that no training saw.

    Args:
        in_channels: slices of a slab.
        features: of the U-Net, see `ResUNet`; the first also of the convolution before it.
        classes: of the map, background included.
        finding: classes of the map that are the finding.
        pixel_mm2: area of a pixel of the input.

    Returns (forward):
        in use, scores (B, 2) of images (B, in_channels, X, Y), none and finding, before softmax;
        in training mode the map's scores (B, classes, X, Y).

    Raises:
        ValueError: no finding, one that is not a class of the map, an area that is not above 0.

    Example:
        >>> net = SliceClassifier(3, features=(4, 8), classes=2, finding=[1], pixel_mm2=2.5)
        >>> slab = torch.zeros(2, 3, 33, 20)
        >>> net.eval()(slab).shape, net.train()(slab).shape
        (torch.Size([2, 2]), torch.Size([2, 2, 33, 20]))
    """

    slope: Tensor
    offset: Tensor
    calibration: ClassVar = ("slope", "offset")  # not taken from weights that it starts from

    def __init__(
        self,
        in_channels: int,
        *,
        features: Sequence[int] = (16, 32, 64, 128),
        classes: int,
        finding: Sequence[int],
        pixel_mm2: float,
    ) -> None:
        super().__init__()
        if not finding or not set(finding) < set(range(classes)) or pixel_mm2 <= 0:
            raise ValueError(
                f"finding is {list(finding)}, classes {classes}, pixel_mm2 {pixel_mm2}; give some "
                "of the classes, counted from 0, and an area above 0"
            )
        self.stem = Convolution(
            2, in_channels, features[0], strides=STRIDE, kernel_size=3,
            act=("relu", {"inplace": True}), norm="batch", adn_ordering="NA", bias=False,
        )  # fmt: skip
        self.body = ResUNet(2, features[0], classes, features=features, norm="batch")
        self.finding = list(finding)
        self.place_mm2 = pixel_mm2 * STRIDE**2
        self.register_buffer("slope", torch.tensor(1.0))
        self.register_buffer("offset", torch.tensor(0.0))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """All parameters, each once: the stem, then those of the U-Net as it groups them."""
        return [[*self.stem.parameters()], *self.body.layer_groups()]

    def forward(self, x: Tensor) -> Tensor:
        scores = self.body(self.stem(x))
        if self.training:
            return F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=False)
        area = marked_area_mm2(scores.float(), self.finding, self.place_mm2)
        half = log_odds_of_area(area, self.slope, self.offset) / 2
        return torch.stack([-half, half], 1)


def marked_area_mm2(
    scores: Tensor, finding: list[int], place_mm2: float, sharpness: float = SHARPNESS
) -> Tensor:
    """Area that a map marks as the finding; places that are not sure count in part.

    Args:
        scores: (B, classes, X, Y), before softmax.
        finding: classes that count.
        place_mm2: area of a place of the map.
        sharpness: of the log odds of a place, before they count as a share of its area.

    Returns:
        (B,) in mm^2.

    Example:
        >>> scores = torch.tensor([[[[0.0, 0.0]], [[0.0, 9.0]]]])
        >>> marked_area_mm2(scores, [1], 10.0).tolist()
        [15.0]
    """
    share = torch.softmax(scores, 1)[:, finding].sum(1)
    return torch.sigmoid(sharpness * torch.logit(share, eps=1e-6)).sum((1, 2)) * place_mm2


def log_odds_of_area(
    area_mm2: Tensor,
    slope: Tensor,
    offset: Tensor,
    floor: float = FLOOR_MM2,
    even: float = EVEN_MM2,
) -> Tensor:
    """Log odds of a finding by its area: `slope` times the area's logarithm, plus `offset`.

    Args:
        area_mm2: (B,).
        slope: (), of the calibration.
        offset: (), of the calibration.
        floor: in mm^2, added to each area.
        even: area at even odds before calibration, in mm^2.

    Returns:
        (B,), natural logarithms.

    Example:
        >>> one, zero = torch.ones(()), torch.zeros(())
        >>> log_odds_of_area(torch.tensor([50.0, 110.0]), one, zero).exp().tolist()
        [1.0, 2.0]
    """
    return slope * torch.log((area_mm2 + floor) / (even + floor)) + offset
