# SPDX-License-Identifier: Apache-2.0
"""Lower precision for any inferer, on CPU and GPU, in training and in use."""

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class PrecisionInferer(Inferer):
    """Run the network of another inferer under autocast, and give float32 scores.

    MONAI's engines offer autocast on CUDA only. The windows and their stitching stay float32.

    Args:
        inferer: such as `monai.inferers.SlidingWindowInferer`.
        precision: "fp32", "bf16" or "fp16".

    Raises:
        ValueError: an unknown precision.
    """

    def __init__(self, inferer: Inferer, precision: str = "fp32") -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}; give one of {', '.join(PRECISIONS)}")
        self.inferer = inferer
        self.precision = precision

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        def predict(window: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            dtype = PRECISIONS[self.precision]
            with torch.autocast(window.device.type, dtype, enabled=dtype != torch.float32):
                return network(window, *args, **kwargs).float()

        return self.inferer(inputs, predict, *args, **kwargs)
