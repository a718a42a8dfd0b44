# SPDX-License-Identifier: Apache-2.0
"""A residual U-Net for slices whose encoder is an EfficientNet-Lite, to start from ImageNet."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from monai.networks.blocks.dynunet_block import UnetResBlock
from monai.networks.nets.efficientnet import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

from .efficientnet_classifier import names_in
from .efficientnet_lite import EfficientNetLite, lite_layouts
from .fit import Fit
from .transfer import TransferNetwork, check_at_least_one, check_dropout

# the last stage at each resolution, from a half of the image's pixels along an axis to a 32nd
LAST_STAGES = (0, 1, 2, 4, 6)


class EfficientNetLiteUNet(TransferNetwork):
    """U-Net of an EfficientNet-Lite's blocks down, and of residual blocks up.

    Per level of the decoder a 1x1 convolution makes the channels fewer, the result is interpolated
    to the next resolution, the encoder's features there, at last the image itself, are
    concatenated, and a residual block follows; then a 1x1 convolution to the scores. Images may
    have any size. The encoder takes weights of an EfficientNet-Lite in every layout that
    `EfficientNetLite` knows, see `load_body`, and of such a classifier that medvol trained; stages
    that it lacks are passed over.

    Ronneberger et al., "U-Net: Convolutional networks for biomedical image segmentation", 2015
    (arXiv 1505.04597); residual blocks as in `ResUNet`. With three channels, two classes and Lite0
    it has 902,690 parameters.

    Args:
        in_channels: channels of the input.
        out_channels: classes, background included.
        variant: "lite0" to "lite4".
        width: multiple of the encoder's channels; 1 is the published network.
        stochastic_depth: probability of leaving out the encoder's last block while training, less
            for the blocks before it.
        features: channels of the decoder, a level each, from the image's resolution down; at most
            5. With 4 the encoder ends at a 16th, before the stages that hold most of its weights.
        dropout: probability of zeroing a channel, within the decoder's blocks.

    Returns (forward):
        scores (B, out_channels, X, Y) of images (B, in_channels, X, Y), before softmax.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> import torch
        >>> net = EfficientNetLiteUNet(1, 2, width=0.25, features=(4, 4, 4))
        >>> net(torch.zeros(2, 1, 33, 20)).shape
        torch.Size([2, 2, 33, 20])
    """

    fitting = EfficientNetLite.fitting

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        variant: str = "lite0",
        width: float = 1.0,
        stochastic_depth: float = 0.2,
        features: Sequence[int] = (16, 32, 48, 64),
        dropout: float = 0.0,
    ) -> None:
        check_at_least_one(out_channels=out_channels, features=features)
        check_dropout(dropout)
        if not 1 <= len(features) <= len(LAST_STAGES):
            raise ValueError(f"features has {len(features)} levels; give 1 to {len(LAST_STAGES)}")
        classifier = EfficientNetLite(
            in_channels, 1, variant=variant, width=width, stochastic_depth=stochastic_depth
        )
        levels = LAST_STAGES[: len(features)]
        body = Encoder(classifier.body, stages=levels[-1] + 1)
        super().__init__(body, classifier.stages[: levels[-1] + 2])
        skips = [in_channels, *(body.channels[stage] for stage in levels)]
        below = [*features[1:], skips.pop()]
        self.decoder = nn.ModuleList(
            DecoderLevel(below[level], skips[level], features[level], dropout=dropout)
            for level in reversed(range(len(features)))
        )
        self.head = nn.Conv2d(features[0], out_channels, kernel_size=1)
        self.levels = list(levels)
        self.published = [*classifier.body.state_dict()]

    def forward(self, x: Tensor) -> Tensor:
        stages: list[Tensor] = self.body(x)
        skips = [x] + [stages[level] for level in self.levels]
        x = skips.pop()
        for level in self.decoder:
            x = level(x, skips.pop())
        scores: Tensor = self.head(x)
        return scores

    def own_names(self, given: Iterable[str]) -> dict[str, str]:
        """In whichever layout most names mean something; also of stages that the encoder lacks."""
        return names_in(lite_layouts(self.published), given)

    def fit_body(self, state: Mapping[str, Tensor], *, may_lack: Sequence[str] = ()) -> Fit:
        """The encoder's weights in a state dict, see `TransferNetwork.fit_body`."""
        names, lacking = self.own_names(state), {*self.published} - {*self.body.state_dict()}
        encoding = {given: value for given, value in state.items() if names[given] not in lacking}
        return super().fit_body(encoding, may_lack=may_lack)


class Encoder(nn.Module):
    """An EfficientNet without what follows some of its stages.

    Args:
        whole: the network whose parts it takes.
        stages: how many it keeps.

    Attributes:
        channels: of each stage.

    Returns (forward):
        features of each stage, (B, channels, rows, columns), of images (B, C, X, Y).
    """

    def __init__(self, whole: EfficientNet, *, stages: int) -> None:
        super().__init__()
        self._conv_stem_padding = whole._conv_stem_padding
        self._conv_stem = whole._conv_stem
        self._bn0 = whole._bn0
        self._swish = whole._swish
        self._blocks = whole._blocks[:stages]
        self.channels = [args.output_filters for args in whole._blocks_args[:stages]]

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self._swish(self._bn0(self._conv_stem(self._conv_stem_padding(x))))
        stages: list[Tensor] = []
        for stage in self._blocks:
            x = stage(x)
            stages.append(x)
        return stages


class DecoderLevel(nn.Module):
    """From one resolution of a U-Net to the next: 1x1 convolution, interpolation, residual block.

    Args:
        below: channels of the resolution below.
        beside: channels of the encoder here.
        made: channels of the result.
        dropout: probability of zeroing a channel, within the block.

    Returns (forward):
        (B, made, X, Y) of features (B, below, rows, columns) and (B, beside, X, Y).
    """

    def __init__(self, below: int, beside: int, made: int, *, dropout: float) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(below, made, kernel_size=1, bias=False)
        self.block = UnetResBlock(
            2, made + beside, made, 3, 1, ("batch", {"affine": True}), ("relu", {"inplace": True}),
            dropout or None,
        )  # fmt: skip

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        above = F.interpolate(self.narrow(x), skip.shape[2:], mode="bilinear")
        made: Tensor = self.block(torch.cat([above, skip.to(above.dtype)], dim=1))
        return made
