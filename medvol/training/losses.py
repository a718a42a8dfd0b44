# SPDX-License-Identifier: Apache-2.0
"""Losses that MONAI lacks, and weights of classes for a loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.losses import DeepSupervisionLoss, TverskyLoss
from torch import Tensor, nn


class FocalTverskyLoss(TverskyLoss):
    """The Tversky loss to a power below 1, so that nearly solved regions still count.

    Abraham and Khan, "A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation", 2019 (doi 10.1109/ISBI.2019.8759329): (1 - TI) ** (1 / gamma) with gamma = 4/3,
    and a missed pixel (beta) counts 0.7, a false one (alpha) 0.3.

    Args:
        exponent: 1 / gamma, above 0; 1 is the Tversky loss itself.
        alpha: weight of false pixels, 0 or more.
        beta: weight of missed pixels, 0 or more.
        settings: of `monai.losses.TverskyLoss`.

    Raises:
        ValueError: the exponent is not positive.
    """

    def __init__(
        self, exponent: float = 0.75, *, alpha: float = 0.3, beta: float = 0.7, **settings: Any
    ) -> None:
        super().__init__(alpha=alpha, beta=beta, **settings)
        if exponent <= 0:
            raise ValueError(f"exponent is {exponent}; give more than 0, such as 0.75")
        self.exponent = exponent

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = super().forward(input, target)
        return loss.clamp(min=1e-7) ** self.exponent  # the slope at 0 has no end


SMOOTH = 1.0  # voxels added to both sides of Dice, so that an absent region does not divide by 0


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
            A scalar, (): cross-entropy plus 1 - Dice in the mean over the regions.
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


class DeepSupervision(nn.Module):
    """A loss on the levels of a deeply supervised network, each with half the weight of the one
    above it; the weights sum to 1.

    As MONAI's `DeepSupervisionLoss`, of levels in one tensor, which a `ResUNet` with
    `deep_supervision` gives.

    Args:
        loss: of scores and labels.
        levels: below the full one; 0 is the loss itself.

    Example:
        >>> scores = torch.tensor([[[3.0], [6.0], [12.0]]])  # of a batch, level by level
        >>> halves = DeepSupervision(nn.L1Loss(), levels=2)  # 4/7, 2/7, 1/7
        >>> round(float(halves(scores, torch.zeros(1, 1))), 4)
        5.1429
    """

    def __init__(self, loss: nn.Module, *, levels: int) -> None:
        super().__init__()
        weights = [0.5**level for level in range(levels + 1)]
        self.loss = DeepSupervisionLoss(loss, weights=[w / sum(weights) for w in weights])
        self.levels = levels

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch, a scalar ().

        Args:
            scores: (B, levels + 1, classes, *spatial), full level first; with no levels
                (B, classes, *spatial), or as the loss takes them.
            labels: as the loss takes them, such as (B, 1, *spatial).
        """
        loss: Tensor = self.loss(list(scores.unbind(1)) if self.levels else scores, labels)
        return loss


EXPONENTS = {"none": 0.0, "root": 0.5, "balanced": 1.0}


def class_weights(
    items: Sequence[Mapping[str, Any]],
    classes: int | Sequence[str],
    *,
    scheme: str = "balanced",
    label_key: str = "label",
) -> Tensor:
    """Weights of classes from how often they occur; their mean over the items is 1.

    "balanced" is n / (k * n_c) for n items, k classes and n_c items of the class, as scikit-learn
    has it, so that every class counts the same. "root" weighs by the square root of that, half
    way. "none" gives ones.

    Args:
        items: of a datalist, those that are trained on.
        classes: how many, or their names.
        scheme: "balanced", "root" or "none".
        label_key: of the class in an item, 0 to classes - 1.

    Returns:
        (classes,) float32, such as for `torch.nn.CrossEntropyLoss(weight=...)`.

    Raises:
        ValueError: an unknown scheme, a label out of range, or a class without items.

    Example:
        >>> class_weights([{"label": 0}, {"label": 0}, {"label": 0}, {"label": 1}], 2).tolist()
        [0.6666666865348816, 2.0]
    """
    from sklearn.utils.class_weight import compute_class_weight

    if scheme not in EXPONENTS:
        raise ValueError(f"scheme is {scheme!r}; give one of {', '.join(EXPONENTS)}")
    names = [str(i) for i in range(classes)] if isinstance(classes, int) else list(classes)
    labels = np.array([int(item[label_key]) for item in items], dtype=int)
    known = np.arange(len(names))
    if beyond := sorted({*labels.tolist()} - {*known.tolist()}):
        raise ValueError(f"there are labels {beyond}; give labels from 0 to {len(names) - 1}")
    if absent := [names[i] for i in known if i not in labels]:
        raise ValueError(
            f"no item is of class {', '.join(absent)}; give items of every class, or leave it out"
        )
    balanced = compute_class_weight("balanced", classes=known, y=labels)
    weights = balanced ** EXPONENTS[scheme]
    return torch.tensor(weights / weights[labels].mean(), dtype=torch.float32)
