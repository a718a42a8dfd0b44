# SPDX-License-Identifier: Apache-2.0
"""Colours of errors are told apart from each other and from lesions, by every kind of eye."""

from itertools import combinations

import numpy as np
import pytest

from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.metrics.masks.comparison import ERRORS

# linear RGB as it is seen: Machado, Oliveira, Fernandes 2009, doi 10.1109/TVCG.2009.113, severity 1
EYES = {
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                     [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                       [-0.011820, 0.042940, 0.968881]],
    "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                      [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
# sRGB (IEC 61966-2-1) to XYZ of its white
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
APART = 28  # CIE 1976 colour difference; 2.3 is just seen, on large areas side by side


def lab(color: tuple[int, int, int], eye: str) -> np.ndarray:
    """L, a, b of a colour as an eye sees it."""
    part = np.array(color) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(EYES[eye]) @ linear, 0, 1)
    share = TO_XYZ @ seen / TO_XYZ.sum(axis=1)
    x, y, z = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one: tuple[int, int, int], other: tuple[int, int, int], eye: str) -> float:
    return float(np.linalg.norm(lab(one, eye) - lab(other, eye)))


def test_the_measure_is_right() -> None:
    assert lab((255, 0, 0), "all cones") == pytest.approx([53.2, 80.1, 67.2], abs=0.1)
    assert difference((0, 205, 90), (235, 45, 45), "no green cones") < APART  # green and red


@pytest.mark.parametrize("eye", EYES)
def test_errors_from_each_other(eye: str) -> None:
    for one, other in combinations(ERRORS, 2):
        assert difference(one.color, other.color, eye) > APART, (one.name, other.name)


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("bundle", shipped_bundles())
def test_errors_from_lesions(bundle: str, eye: str) -> None:
    spec = read_spec(bundle)
    for value in spec.focus:
        for error in ERRORS:
            label = spec.labels[value]
            assert difference(error.color, label.color, eye) > APART, (error.name, label.name)
