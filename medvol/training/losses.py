# SPDX-License-Identifier: Apache-2.0
"""Losses that MONAI lacks."""

from typing import Any

from monai.losses import TverskyLoss
from torch import Tensor


class FocalTverskyLoss(TverskyLoss):
    """The Tversky loss to a power below 1, so that nearly solved regions still count.

    Abraham and Khan, "A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation", 2019 (doi 10.1109/ISBI.2019.8759329): (1 - TI) ** (1 / gamma) with gamma = 4/3,
    and a missed pixel (beta) counts 0.7, a false one (alpha) 0.3.

    Args:
        exponent: 1 / gamma, above 0; 1 is the Tversky loss itself.
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
