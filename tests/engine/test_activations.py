# SPDX-License-Identifier: Apache-2.0
"""What a network holds at its peak, against numbers worked out by hand."""

import torch
from torch import Tensor, nn

from medvol.engine.activations import PER_VOXEL, activation_bytes

EDGES = (8, 8, 8)
VOXELS = 8**3


class Steps(nn.Module):
    """Three copies one after the other, of which two are held at once beside the input."""

    def forward(self, x: Tensor) -> Tensor:
        one = x + 1
        two = one * 2
        del one
        return two - 1


class Held(nn.Module):
    """All of them are held until the end."""

    def forward(self, x: Tensor) -> Tensor:
        one, two = x + 1, x + 2
        return torch.cat([one, two], 1)


def test_what_is_held_at_once_is_counted() -> None:
    assert activation_bytes(Steps(), (3, *EDGES)) == 4 * 3 * VOXELS * 3
    assert activation_bytes(Held(), (3, *EDGES)) == 4 * 3 * VOXELS * (1 + 2 + 2)


def test_views_take_no_memory() -> None:
    assert activation_bytes(nn.Flatten(), (3, *EDGES)) == 4 * 3 * VOXELS * 2


def test_what_a_convolution_copies_is_counted() -> None:
    """Of 8 channels to 9: both are copied, 9 channels as 16; the result takes the place of none."""
    network = nn.Conv3d(8, 9, 3, padding=1)
    assert activation_bytes(network, (8, *EDGES)) == 4 * VOXELS * (8 + 9 + max(8 + 16 - 9, 16))


class Seen(nn.Module):
    """Takes only some edges, and remembers what it was given."""

    def __init__(self, least: int = 1) -> None:
        super().__init__()
        self.least, self.edges = least, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        self.edges.append(x.shape[-1])
        if x.shape[-1] < self.least:
            raise RuntimeError("sizes of tensors must match")
        return x + 1


def test_a_small_window_stands_for_a_large_one_where_the_network_takes_it() -> None:
    small, strict, odd = Seen(), Seen(64), Seen()
    expected = 4 * 2 * 64 * 64
    assert activation_bytes(small, (1, 64, 64)) == expected
    assert activation_bytes(strict, (1, 64, 64)) == expected
    assert activation_bytes(odd, (1, 63, 63)) == 4 * 2 * 63 * 63
    assert (small.edges, strict.edges, odd.edges) == ([32], [32, 64], [63])


def test_what_was_counted_is_remembered() -> None:
    network = Seen()
    assert activation_bytes(network, (1, 8, 8)) == activation_bytes(network, (1, 8, 8))
    assert network.edges == [8]


def test_a_network_that_takes_something_else_is_guessed_at() -> None:
    assert activation_bytes(Seen(99), (1, 8, 8)) == 4 * PER_VOXEL * 64
