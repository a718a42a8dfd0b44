# SPDX-License-Identifier: Apache-2.0
"""Large tensors in memory of their own, which the system has back as soon as they are dropped.

malloc keeps what is freed for later. Where large tensors come and go among small ones that stay,
what it keeps grows: a prediction whose tensors take 1.1 GiB at once held 1.4.
"""

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

LEAST_BYTES = 1 << 20  # smaller ones lie where malloc puts them


def zeros_in_own_memory(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Tensor:
    """As `torch.zeros`; a large one on the CPU is in memory of its own.

    Args:
        shape: of any length.
        dtype: of what is made.
        device: to make it on.

    Returns:
        A tensor of that shape, filled with 0.

    Raises:
        MemoryError: the system has too little.

    Example:
        >>> zeros_in_own_memory((2, 1), torch.uint8).tolist()
        [[0], [0]]
    """
    size = math.prod(shape) * dtype.itemsize
    if torch.device(device).type != "cpu" or size < LEAST_BYTES:
        return torch.zeros(tuple(shape), dtype=dtype, device=device)
    private = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
    try:  # Windows has no flags
        pages = mmap.mmap(-1, size, flags=private) if private else mmap.mmap(-1, size)
    except OSError as error:
        raise MemoryError(f"{size} bytes for a tensor cannot be had") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):  # one by one small pages take three times as long
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype).view(tuple(shape))
