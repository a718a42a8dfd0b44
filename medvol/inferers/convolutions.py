# SPDX-License-Identifier: Apache-2.0
"""Convolutions of one volume by oneDNN, where torch would take one of its own, 3 times slower."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# torch itself takes oneDNN for several windows, or for a tensor with more values than these in
# batch x channels x first two edges, see `use_mkldnn` in its aten/src/ATen/native/Convolution.cpp
FEW_VALUES = 20480
AXES = 3  # of space


class OneDnnConvolutions(TorchFunctionMode):
    """While it is entered, one volume alone is convolved as each of several would be: by oneDNN.

    A network then takes one window alone in the time that it takes for each of several, with the
    same scores, and in half the memory. It is of the thread that enters it, for inference in
    float32 on the CPU; whatever else a network does stays as it is, and so do convolutions inside
    of a scripted network.

    Example:
        >>> window, weight = torch.zeros(1, 1, 4, 4, 4), torch.zeros(2, 1, 3, 3, 3)
        >>> with torch.inference_mode(), OneDnnConvolutions():
        ...     F.conv3d(window, weight, padding=1).shape
        torch.Size([1, 2, 4, 4, 4])
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        found = _convolved(*args, **(kwargs or {})) if func is F.conv3d else None
        return func(*args, **(kwargs or {})) if found is None else found


def _convolved(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor | None:
    """A convolution by oneDNN; None where torch takes that itself, or it is of another kind."""
    if (
        torch.is_grad_enabled()
        or isinstance(padding, str)
        or input.dim() != AXES + 2
        or len(input) != 1
        or input.device.type != "cpu"
        or not input.dtype == weight.dtype == torch.float32
        or torch.is_autocast_enabled("cpu")
        or not torch.backends.mkldnn.enabled
        or not torch.backends.mkldnn.is_available()
        or not 0 < input.shape[1] * input.shape[2] * input.shape[3] <= FEW_VALUES
        or max(weight.shape[2:]) == 1  # a product of matrices, which torch is quick at
    ):
        return None
    pads, steps, gaps = (
        [n] * AXES if isinstance(n, int) else list(n) for n in (padding, stride, dilation)
    )
    found: Tensor = torch.mkldnn_convolution(input, weight, bias, pads, steps, gaps, groups)
    return found
