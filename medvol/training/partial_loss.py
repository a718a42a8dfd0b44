# SPDX-License-Identifier: Apache-2.0
"""Dice and cross-entropy of regions, where some voxels are known only not to be of some classes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SMOOTH = 1.0  # voxels added to both sides of Dice, so that an absent region is no division by 0


class PartialDiceCELoss(nn.Module):
    """Soft Dice of regions over the batch plus cross-entropy, for fully and partly labelled images.

    Data sets mark different things: one lesion and lung, another lesion only. Where a voxel has
    the value `unlabelled`, it is one of the classes `merged`, not known which: cross-entropy takes
    the sum of their probabilities (the marginal loss of Shi et al., "Marginal loss and exclusion
    loss for partially supervised multi-organ segmentation", 2021, doi 10.1016/j.media.2021.101979),
    and the Dice of a region leaves the voxel out where its membership is not known. Regions may
    overlap, so that lesion as a whole counts beside its kinds.

    Args:
        regions: classes of each region whose Dice is taken.
        merged: classes that `unlabelled` stands for.
        unlabelled: value of such voxels, not below the number of classes.

    Raises:
        ValueError: no region, or one that is empty.

    Example:
        >>> loss = PartialDiceCELoss([[1]], merged=[0, 2], unlabelled=3)
        >>> scores = torch.tensor([[[0.0, 0.0], [-20.0, 20.0], [0.0, 0.0]]])
        >>> round(float(loss(scores, torch.tensor([[[3, 1]]]))), 4)
        0.0
    """

    def __init__(
        self, regions: Sequence[Sequence[int]], *, merged: Sequence[int], unlabelled: int
    ) -> None:
        super().__init__()
        if not regions or not all(regions):
            raise ValueError(f"regions is {regions}; give the classes of at least one region")
        self.regions = [list(region) for region in regions]
        self.merged = list(merged)
        self.unlabelled = unlabelled

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            scores: (B, classes, *spatial), before softmax.
            labels: (B, 1, *spatial), classes or `unlabelled`.

        Returns:
            Scalar: cross-entropy plus 1 - Dice in the mean over the regions.
        """
        log_p = torch.log_softmax(scores, dim=1)
        target = labels.long()
        partly = target == self.unlabelled
        known = log_p.gather(1, target.masked_fill(partly, 0))
        either = torch.logsumexp(log_p[:, self.merged], dim=1, keepdim=True)
        entropy = -torch.where(partly, either, known).mean()
        p = log_p.exp()
        losses = [1 - self._dice(p, target, partly, region) for region in self.regions]
        return entropy + torch.stack(losses).mean()

    def _dice(self, p: Tensor, target: Tensor, partly: Tensor, region: list[int]) -> Tensor:
        inside = torch.isin(target, torch.tensor(region, device=target.device)).to(p.dtype)
        share = p[:, region].sum(1, keepdim=True)
        common = set(self.merged) & set(region)
        if common == set(self.merged):
            inside = torch.where(partly, torch.ones_like(inside), inside)
        elif common:
            inside, share = (x.masked_fill(partly, 0) for x in (inside, share))
        both = (share * inside).sum()
        return (2 * both + SMOOTH) / (share.sum() + inside.sum() + SMOOTH)
