# SPDX-License-Identifier: Apache-2.0
"""How much memory a step of a training takes, measured on a small input and scaled up."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WEIGHT_BYTES = 16  # float32 weight, gradient, and the two moments of Adam
# of what is kept for the way back, for gradients and the kernels' work space too. With the shipped
# networks and batches on the CPU, growth of the peak memory in a step over what is kept: 1.4 to 1.9
WORKING = 2.0
BASE_BYTES = 1 << 30  # Python, torch, and the loader


def kept_bytes(network: nn.Module, shape: Sequence[int]) -> int:
    """Bytes that a network keeps for the way back after one input, in float32.

    Args:
        network: on the CPU; its weights, statistics and mode stay as they are.
        shape: (C, X, Y) or (C, X, Y, Z) of the input.

    Example:
        >>> kept_bytes(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), (1, 10, 10))
        912
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    modes = [(part, part.training) for part in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    held: list[Tensor] = []  # outputs live until all is counted, so that no address comes twice
    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        held.append(network.train()(torch.zeros(2, *shape)))
    network.load_state_dict(state)
    for part, mode in modes:
        part.training = mode
    return sum(seen.values()) // 2


def step_bytes(network: nn.Module, shape: Sequence[int], *, batch: int, kept: float) -> int:
    """Bytes that a process needs to train with such batches.

    Args:
        network: whose weights count.
        shape: (C, X, Y) or (C, X, Y, Z) of an input; of its channels only the number counts.
        batch: inputs at once, 1 or more.
        kept: bytes that it keeps for each voxel or pixel, see `kept_bytes`.
    """
    voxels = 1
    for size in shape[1:]:
        voxels *= size
    weights = sum(parameter.numel() for parameter in network.parameters())
    return int(BASE_BYTES + WEIGHT_BYTES * weights + batch * voxels * kept * WORKING)
