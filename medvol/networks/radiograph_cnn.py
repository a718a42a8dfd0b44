# SPDX-License-Identifier: Apache-2.0
"""A plain convolutional classifier of radiographs: blocks, then dense layers."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import nn

from .plain import PlainClassifier, dense_layers, smallest_size
from .transfer import check_at_least_one, check_dropout

POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class RadiographCNN(PlainClassifier):
    """Blocks of 3x3 convolution, ReLU and 2x2 pooling, then dense layers to the scores.

    As it stands: five blocks without padding, which leave 6 x 6 of 256 x 256 pixels, 9,216
    features in all, with 1,583,011 parameters. It was made to distinguish normal, bacterial and
    viral pneumonia. `batch_normalised` is a network of the same kind with batch normalisation.

    The body is everything but the last dense layer, so that a network trained for one question
    starts another, see `load_body`.

    Args:
        in_channels: channels of the input.
        out_channels: classes.
        image_size: pixels of the images: one number for squares, or (rows, columns).
        filters: of the convolutions, block by block; their number is that of the blocks.
        convolutions: per block, each followed by ReLU.
        pooling: "max" or "average".
        same_padding: pad convolutions with zeros so that only pooling reduces the image.
        batch_norm: normalise what each block gives.
        dense: sizes of the dense layers before the last, each followed by ReLU.
        dropout: probability of zeroing a feature after the last block, and before the last layer.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, *image_size), before softmax.

    Raises:
        ValueError: an argument out of range; from forward, images of another size.

    Example:
        >>> import torch
        >>> net = RadiographCNN(1, 3, image_size=32, filters=(4, 8), dense=(16,))
        >>> net(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 3])
    """

    fitting = "a RadiographCNN of the same arguments; its last layer may be another"

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 3,
        *,
        image_size: int | Sequence[int] = 256,
        filters: Sequence[int] = (16, 32, 64, 128, 256),
        convolutions: int = 1,
        pooling: str = "max",
        same_padding: bool = False,
        batch_norm: bool = False,
        dense: Sequence[int] = (128, 64, 32, 16),
        dropout: float = 0.4,
    ) -> None:
        check_at_least_one(
            in_channels=in_channels, out_channels=out_channels, filters=filters, dense=dense,
            convolutions=convolutions,
        )  # fmt: skip
        check_dropout(dropout)
        if len(filters) == 0:
            raise ValueError("filters is empty; give one number for each block")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling!r}; give one of {', '.join(POOLINGS)}")
        size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        if len(size) != 2:
            raise ValueError(f"image_size is {size}; give rows and columns, or one number for both")
        blocks = nn.Sequential()
        for given, wanted in pairwise([in_channels, *filters]):
            block: list[nn.Module] = []
            for channels in [given] + [wanted] * (convolutions - 1):
                block += [nn.Conv2d(channels, wanted, 3, padding=int(same_padding)), nn.ReLU()]
            block.append(POOLINGS[pooling](2))
            if batch_norm:
                block.append(nn.BatchNorm2d(wanted))
            blocks.append(nn.Sequential(*block))
        smallest = smallest_size(blocks)
        if min(size) < smallest:
            raise ValueError(
                f"image_size is {size}, but {len(filters)} blocks need {smallest} pixels along "
                "each axis; give larger images, fewer filters, or same_padding=True"
            )
        with torch.no_grad():  # in evaluation, so that no statistics are taken of it
            left = blocks.eval()(torch.zeros(1, in_channels, *size)).numel()
        sizes = [left, *dense]
        parts = {
            "blocks": blocks.train(), "dropout": nn.Dropout(dropout), "flatten": nn.Flatten(),
            "dense": dense_layers(sizes, undropped=len(dense)),
        }  # fmt: skip
        super().__init__(
            parts, [[number] for number in range(len(filters))],
            features=sizes[-1], out_channels=out_channels, dropout=dropout,
        )  # fmt: skip
        self.rows, self.columns = size

    @classmethod
    def batch_normalised(cls, in_channels: int = 1, out_channels: int = 2, **others: Any) -> Self:
        """Five padded blocks with batch normalisation and four dense layers.

        Filters double up to 256; 7 x 7 of 224 x 224 pixels are left, 12,544 features; 2,595,554
        parameters. It was made to distinguish normal from pneumonia.

        Args:
            in_channels: channels of the input.
            out_channels: classes.
            **others: arguments of the class, in the place of those of this network.
        """
        own = {
            "image_size": 224, "filters": (32, 64, 128, 256, 256), "dense": (128, 64, 32),
            "same_padding": True, "batch_norm": True, "dropout": 0.3,
        }  # fmt: skip
        return cls(in_channels, out_channels, **{**own, **others})

    def check_size(self, rows: int, columns: int) -> None:
        """Refuse images of another size than the dense layers were made for.

        Raises:
            ValueError: they are.
        """
        if rows != self.rows or columns != self.columns:
            raise ValueError(
                f"the images have {rows} x {columns} pixels, the network takes {self.rows} x "
                f"{self.columns}; resize them, or make the network with their image_size"
            )
