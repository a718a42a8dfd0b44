# SPDX-License-Identifier: Apache-2.0
"""Lower precision for any inferer, on CPU and GPU, in training and in use."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from ..threads import one_thread_each
from .convolutions import OneDnnConvolutions

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO = "auto"  # float32, until a training has chosen
VOLUME = 5  # axes of (B, C, X, Y, Z)


class PrecisionInferer(Inferer):
    """Run the network of another inferer under autocast, and give float32 scores.

    MONAI's engines offer autocast on CUDA only. The windows and their stitching stay float32. On
    the CPU, without gradients, the windows of a batch are computed side by side, see
    `window_by_window`.

    Args:
        inferer: such as `monai.inferers.SlidingWindowInferer`.
        precision: "fp32", "bf16" or "fp16"; "auto" is "fp32" until a training has chosen, see
            `medvol.training.precision`.

    Raises:
        ValueError: an unknown precision.
    """

    def __init__(self, inferer: Inferer, precision: str = "fp32") -> None:
        super().__init__()
        if precision not in (*PRECISIONS, AUTO):
            raise ValueError(f"precision is {precision!r}; give one of {', '.join(PRECISIONS)}")
        self.inferer = inferer
        self.precision = "fp32" if precision == AUTO else precision

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        def predict(window: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            dtype = PRECISIONS[self.precision]
            with torch.autocast(window.device.type, dtype, enabled=dtype != torch.float32):
                return network(window, *args, **kwargs).float()

        if torch.is_grad_enabled() or inputs.device.type != "cpu":
            return self.inferer(inputs, predict, *args, **kwargs)
        with one_thread_each() as workers:

            def predict_each(windows: Tensor, *args: Any, **kwargs: Any) -> Tensor:
                return window_by_window(workers, predict, windows, *args, **kwargs)

            return self.inferer(inputs, predict_each, *args, **kwargs)


def window_by_window(
    workers: ThreadPoolExecutor,
    network: Callable[..., Tensor],
    windows: Tensor,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """Scores of windows on the CPU, each computed alone by one of the workers.

    So a window has the same scores on any number of threads and in any batch: oneDNN sums in
    another order for another number of threads (its 1 x 1 convolutions of 256 channels differ by
    1e-5). That costs nothing: two threads inside of one window are no faster than a window each,
    and a volume's window alone is as fast as several, see `convolutions.OneDnnConvolutions`.

    Args:
        workers: of `threads.one_thread_each`.
        network: is called with each of them, without gradients.
        windows: (B, C, *spatial).
        args, kwargs: further arguments of the network.

    Returns:
        What the network gives for each, one behind the other, such as (B, classes, *spatial).
    """

    def one(window: Tensor) -> Tensor:
        volume = window.dim() == VOLUME  # in two dimensions torch's own convolution is faster
        mode = OneDnnConvolutions() if volume else nullcontext()  # each worker has its own
        with torch.inference_mode(), mode:
            return network(window, *args, **kwargs)

    return torch.cat(list(workers.map(one, windows.split(1))))
