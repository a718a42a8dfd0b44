# SPDX-License-Identifier: Apache-2.0
"""The estimate of memory, against numbers worked out by hand."""

import pytest

from medvol.engine.memory import Estimate, needed_bytes

GIB = 1 << 30
# five volumes of a million float32, and three and four classes of an eighth of them
VOLUMES = 4 * (5 * 1_000_000 + 7 * 125_000)


def bytes_of(classes: int = 4, window_voxels: int = 1000) -> int:
    return needed_bytes(
        (100, 100, 100), (1, 1, 1), (2, 2, 2), classes=classes, window_voxels=window_voxels
    )


def test_parts_of_the_estimate() -> None:
    assert bytes_of() == GIB + VOLUMES + 4 * 120 * 1000
    assert bytes_of(window_voxels=2000) - bytes_of() == 4 * 120 * 1000
    assert bytes_of(classes=104) - bytes_of() == 4 * 100 * 125_000
    # without windows all of the network's input is inside the network at once
    assert bytes_of(window_voxels=0) == GIB + VOLUMES + 4 * 120 * 125_000


def test_not_resampled() -> None:
    same = needed_bytes((10, 10, 10), (1, 1, 1), None, classes=2, window_voxels=8)
    assert same == GIB + 4 * (5 * 1000 + 5 * 1000 + 120 * 8)


@pytest.mark.parametrize(("free", "fits"), [(3 * GIB, True), (3 * GIB - 1, False)])
def test_fits(free: int, fits: bool) -> None:
    estimate = Estimate(3 * GIB, free)
    assert estimate.fits == fits
    assert str(estimate) == "3.0 GiB needed, 3.0 GiB free"
