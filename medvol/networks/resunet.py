# SPDX-License-Identifier: Apache-2.0
"""The residual U-Net with max-pooling, for slices (2D) and volumes (3D)."""

import math
from collections.abc import Sequence

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.blocks.dynunet_block import UnetResBlock
from monai.networks.layers.factories import Pool
from torch import Tensor, nn
from torch.nn import functional as F

NORMS = ("batch", "instance")


class ResUNet(nn.Module):
    """Residual U-Net: convolution, residual blocks and max-pooling down; up-convolution,
    concatenation and residual blocks up; a 1x1 convolution to the class scores.

    Encoder: the first block is a 3x3 convolution, normalisation and ReLU, the others are residual
    blocks; each is followed by max-pooling. Bottleneck: a residual block. Decoder: per level an
    up-convolution, the encoder's features concatenated, a residual block. The output has the
    input's size for every size: inputs are padded by repetition to a multiple of the total
    pooling, and the scores cropped again.

    After Zhang et al., "Road extraction by deep residual U-Net", 2018 (doi
    10.1109/LGRS.2018.2802944), with the max-pooling and the first block of the LGG
    detect-then-locate networks; residual blocks as in nnU-Net (MONAI's `UnetResBlock`).

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: classes, background included.
        features: channels per level, the bottleneck last; their number less one is the number of
            poolings.
        pooling: per pooling its factor, or one factor an axis, as (2, 2, 1) for thick slices. An
            axis with factor 1 also gets kernels of size 1 at that level's resolution, so that
            thick slices are not mixed before their spacing is like that in plane.
        norm: "batch" or "instance".
        dropout: probability of zeroing a channel, within the residual blocks.
        deep_supervision: number of lower decoder levels that also give scores while training, by
            heads that serve nothing else and lie in no file of weights.

    Returns (forward):
        scores (B, out_channels, *spatial), before softmax. With `deep_supervision` = n, in
        training mode only, (B, n + 1, out_channels, *spatial): the lower levels' scores
        interpolated to full size, full level first, as MONAI's DynUNet gives them.

    Raises:
        ValueError: an argument out of range, lists of different lengths.

    Example:
        >>> net = ResUNet(2, 1, 2, features=(8, 16))
        >>> net(torch.zeros(1, 1, 33, 20)).shape
        torch.Size([1, 2, 33, 20])
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        features: Sequence[int] = (16, 32, 64, 128, 256),
        pooling: Sequence[int | Sequence[int]] | None = None,
        norm: str = "instance",
        dropout: float = 0.0,
        deep_supervision: int = 0,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims is {spatial_dims}; give 2 or 3")
        if len(features) < 2:
            raise ValueError(f"features has {len(features)} levels; give at least 2")
        if norm not in NORMS:
            raise ValueError(f"norm is {norm!r}; give one of {', '.join(NORMS)}")
        poolings = _per_axis(pooling or [2] * (len(features) - 1), spatial_dims)
        if len(poolings) != len(features) - 1:
            raise ValueError(
                f"pooling has {len(poolings)} steps but features {len(features)} levels; "
                "give one step between two levels"
            )
        if not 0 <= deep_supervision < len(poolings):
            raise ValueError(
                f"deep_supervision is {deep_supervision}; with {len(features)} levels give "
                f"0 to {len(poolings) - 1}"
            )
        kernels = [tuple(1 if p == 1 else 3 for p in step) for step in poolings] + [
            (3,) * spatial_dims
        ]
        norm_layer = (norm, {"affine": True})
        relu = ("relu", {"inplace": True})

        def residual(level: int, inputs: int) -> UnetResBlock:
            return UnetResBlock(
                spatial_dims, inputs, features[level], kernels[level], 1, norm_layer, relu,
                dropout or None,
            )  # fmt: skip

        self.spatial_dims = spatial_dims
        self.multiple = [math.prod(factors) for factors in zip(*poolings, strict=True)]
        self.deep_supervision = deep_supervision
        stem = Convolution(
            spatial_dims, in_channels, features[0], kernel_size=kernels[0], act=relu,
            norm=norm_layer, adn_ordering="NA", bias=False,
        )  # fmt: skip
        last = len(features) - 1
        blocks = [residual(level, features[level - 1]) for level in range(1, last)]
        self.encoder = nn.ModuleList([stem, *blocks])
        self.pool = nn.ModuleList([Pool["MAX", spatial_dims](step, step) for step in poolings])
        self.bottleneck = residual(last, features[last - 1])
        up = range(last - 1, -1, -1)
        self.up = nn.ModuleList(
            Convolution(
                spatial_dims, features[level + 1], features[level], strides=poolings[level],
                kernel_size=poolings[level], padding=0, output_padding=0, is_transposed=True,
                conv_only=True,
            )
            for level in up
        )  # fmt: skip
        self.decoder = nn.ModuleList([residual(level, 2 * features[level]) for level in up])
        heads = [
            Convolution(spatial_dims, features[level], out_channels, kernel_size=1, conv_only=True)
            for level in range(deep_supervision + 1)
        ]
        self.heads = nn.ModuleList(heads[:1])
        self.supervision = nn.ModuleList(heads[1:])

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """All parameters, each once: encoder from the top down, bottleneck, decoder, heads."""
        levels = [*self.encoder, self.bottleneck]
        decoder = [nn.ModuleList(pair) for pair in zip(self.up, self.decoder, strict=True)]
        heads = nn.ModuleList([self.heads, self.supervision])
        return [[*part.parameters()] for part in (*levels, *decoder, heads)]

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        pad: list[int] = []
        for axis in range(self.spatial_dims - 1, -1, -1):
            pad += [0, -size[axis] % self.multiple[axis]]
        if max(pad) > 0:
            x = F.pad(x, pad, mode="replicate")
        padded = x.shape[2:]
        skips: list[Tensor] = []
        for block, pool in zip(self.encoder, self.pool, strict=True):
            x = block(x)
            skips.append(x)
            x = pool(x)
        x = self.bottleneck(x)
        levels: list[Tensor] = []
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([up(x), skips.pop()], dim=1))
            levels.append(x)
        levels.reverse()
        scores = self.heads[0](levels[0])
        if self.training and self.deep_supervision > 0:
            outputs = [scores]
            for below, head in enumerate(self.supervision):
                low = head(levels[below + 1])
                outputs.append(F.interpolate(low, padded, mode="nearest"))
            scores = torch.stack(outputs, dim=1)
        for axis in range(self.spatial_dims):
            scores = scores.narrow(scores.dim() - self.spatial_dims + axis, 0, size[axis])
        return scores


def _per_axis(steps: Sequence[int | Sequence[int]], axes: int) -> list[tuple[int, ...]]:
    spread = [(step,) * axes if isinstance(step, int) else tuple(step) for step in steps]
    for step in spread:
        if len(step) != axes or min(step) < 1:
            raise ValueError(f"pooling step {step} needs {axes} factors of at least 1")
    return spread
