# SPDX-License-Identifier: Apache-2.0
"""The loss of a slice classifier that learns from where the finding is."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 4  # pixels; a place holds the finding when one block of it is at least half marked
PLACE_WEIGHT = 2.0  # of a place with the finding: most places have none


class SlicePlacesLoss(nn.Module):
    """Binary cross-entropy of the slice, plus that of its places in the mean.

    Args:
        values: labels that are the finding.
        smallest_pixels: that make a slice positive.
        stride: pixels between neighbouring places, as of `networks.slice_classifier`.

    Raises:
        ValueError: no label, or a number that is not above 0.
    """

    def __init__(self, values: Sequence[int], *, smallest_pixels: float, stride: int = 16) -> None:
        super().__init__()
        if not values or smallest_pixels <= 0 or stride < BLOCK:
            raise ValueError(
                f"values is {values}, smallest_pixels {smallest_pixels}, stride {stride}; give one "
                f"label or more, more than 0 pixels, and a stride of {BLOCK} or more"
            )
        self.values = list(values)
        self.smallest_pixels = smallest_pixels
        self.stride = stride
        self.register_buffer("place_weight", torch.tensor(PLACE_WEIGHT))

    def forward(self, log_odds: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            log_odds: (B, 1 + places), of the slice and of its places row by row.
            labels: (B, 1, X, Y).

        Returns:
            Scalar.

        Raises:
            ValueError: the places are not those of such labels.
        """
        marked = torch.isin(labels, torch.tensor(self.values, device=labels.device)).float()
        grid = [-(-size // self.stride) for size in labels.shape[2:]]
        if log_odds.shape[1] != 1 + grid[0] * grid[1]:
            raise ValueError(
                f"{log_odds.shape[1] - 1} places for labels {tuple(labels.shape)}; "
                f"{grid[0]} x {grid[1]} are expected, at a stride of {self.stride}"
            )
        blocks = F.avg_pool2d(marked, BLOCK, ceil_mode=True)
        places = (F.adaptive_max_pool2d(blocks, grid) >= 0.5).float().flatten(1)
        positive = (marked.sum((2, 3)) >= self.smallest_pixels).float()
        weight = self.get_buffer("place_weight")
        of_slice = F.binary_cross_entropy_with_logits(log_odds[:, :1], positive)
        of_places = F.binary_cross_entropy_with_logits(log_odds[:, 1:], places, pos_weight=weight)
        return of_slice + of_places
