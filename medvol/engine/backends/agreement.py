# SPDX-License-Identifier: Apache-2.0
"""Whether a backend gives the scores of the network, as torch computes them in float32."""

import torch
from torch import Tensor

# Largest difference as a share of the largest score. Two orders of summation of n products differ
# by about sqrt(n) half units in the last place, n being 27 x 256 in the widest convolutions of 3D
# networks: 83 x 2^-24 = 5e-6 a layer, and 40 layers one behind the other 2e-4 where all errors go
# one way. Measured are 1e-6 to 2e-6; a wrong backend is wrong by far more.
# bf16 rounds to 2^-9: 40 layers whose errors do not all go one way, sqrt(40) x 2^-9 = 0.012 in the
# mean, with room for the worst voxel.
TOLERANCE = {"fp32": 2e-4, "bf16": 5e-2, "fp16": 1e-2}


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference of scores as a share of the largest expected; infinite where shapes differ
    or a score is not finite.

    Args:
        found: scores of a backend (B, classes, *spatial).
        expected: those of torch in float32, of the same windows (B, classes, *spatial).

    Example:
        >>> difference(torch.tensor([[1.0, 2.5]]), torch.tensor([[1.0, 2.0]]))
        0.25
    """
    if found.shape != expected.shape or not torch.isfinite(found).all():
        return float("inf")
    if not expected.numel():
        return 0.0
    largest = float(expected.abs().max())
    return float((found - expected).abs().max()) / (largest or 1.0)


def agrees(found: Tensor, expected: Tensor, precision: str) -> bool:
    """Whether scores are those of torch, as near as the precision allows.

    Args:
        found, expected: as for `difference`.
        precision: of `inferers.precision.PRECISIONS`.
    """
    return difference(found, expected) <= TOLERANCE[precision]
