# SPDX-License-Identifier: Apache-2.0
"""The number of windows that is said before is the number that goes through the network."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from monai.inferers import Inferer, SimpleInferer, SlidingWindowInferer

from medvol.engine.windows import number_of_windows, watched
from medvol.inferers.gated import GatedInferer
from medvol.inferers.precision import PrecisionInferer
from medvol.inferers.slice_stack import SliceStackInferer
from medvol.progress import Step, heard_by


class Counting(torch.nn.Module):
    """A network of two classes that counts what goes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return torch.cat([x[:, :1], x[:, :1]], 1)


class Gate:
    """Lets the slices pass that it is given."""

    threshold = 0.5

    def __init__(self, passing: Sequence[int]) -> None:
        self.lets = passing

    def __call__(self, volume: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1, volume.shape[-1])

    def passing(self, probability: torch.Tensor) -> np.ndarray:
        return np.isin(np.arange(len(probability)), self.lets)


def sliding(size: Sequence[int] | int, **options: object) -> SlidingWindowInferer:
    return SlidingWindowInferer(size, 2, **{"overlap": 0.25, **options})


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        (lambda: sliding((8, 8, 8)), (8, 8, 8), (1, "window")),
        (lambda: sliding((8, 8, 8)), (9, 20, 3), (2 * 3, "window")),
        (lambda: sliding((8, 8, -1)), (14, 8, 30), (2, "window")),
        (lambda: sliding((4, 4, 4), overlap=0.9), (6, 4, 4), (3, "window")),
        (lambda: PrecisionInferer(sliding(8)), (15, 8, 8), (3, "window")),
        (lambda: SliceStackInferer(3, 4), (5, 6, 7), (7, "slice")),
        # windows along z begin at 0, 6 and 12; only the last two hold slice 13
        (lambda: GatedInferer(sliding((8, 8, 8)), Gate([13]), classes=2), (8, 8, 20),
         (2, "window")),
        # of 3 slices padded to 8 there is one window
        (lambda: GatedInferer(sliding((8, 8, 8)), Gate([0]), classes=2), (8, 8, 3), (1, "window")),
        (lambda: GatedInferer(SliceStackInferer(3, 4), Gate([2, 5]), classes=2), (5, 6, 7),
         (2, "slice")),
    ],
)  # fmt: skip
def test_it_is_what_goes_through(
    make: Callable[[], Inferer], shape: tuple[int, ...], expected: tuple[int, str]
) -> None:
    inferer, network, heard = make(), Counting(), []
    with (
        heard_by(heard.append),
        watched(network, inferer, (1, 1, *shape)) as counted,
        torch.inference_mode(),
    ):
        inferer(torch.zeros(1, 1, *shape), counted)
    passing = inferer.passing[0] if isinstance(inferer, GatedInferer) else None
    assert number_of_windows(inferer, shape, passing) == expected
    assert network.seen == expected[0]
    assert heard[-1] == Step("network", expected[0], *expected)


def test_a_whole_volume_has_no_windows() -> None:
    inferer, network, heard = SimpleInferer(), Counting(), []
    with heard_by(heard.append), watched(network, inferer, (1, 1, 4, 4, 4)) as counted:
        inferer(torch.zeros(1, 1, 4, 4, 4), counted)
    assert number_of_windows(inferer, (4, 4, 4)) is None
    assert (network.seen, heard) == (1, [])


def test_where_nobody_listens_the_network_is_left_alone() -> None:
    network = Counting()
    with watched(network, sliding(4), (1, 1, 4, 4, 4)) as given:
        assert given is network
    with heard_by(print), watched(network, sliding(4), (1, 1, 4, 4, 4)) as given:
        assert given is not network
