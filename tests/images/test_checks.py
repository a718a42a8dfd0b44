# SPDX-License-Identifier: Apache-2.0
"""Sizes and places that no body has are refused, unusual ones are remarked."""

from pathlib import Path

import numpy as np
import pytest

from medvol.errors import InputError
from medvol.images.checks import check_body_size, checked_place
from medvol.images.memory import image_of

PATH = Path("ct.nii.gz")
SHAPE = (100, 100, 50)


def notes(*spacing_mm: float, origin_mm: float = 0.0, shape=SHAPE) -> list[str]:
    affine = np.diag([*spacing_mm, 1.0])
    affine[1, 3] = origin_mm
    return [note.code for note in checked_place(shape, affine, PATH)]


@pytest.mark.parametrize(
    ("spacing_mm", "codes"),
    [
        ((1, 1, 2), []),
        ((0.5, 0.5, 2), []),  # 50 mm wide
        ((0.49, 0.49, 2), ["N_SIZE"]),
        ((0.36, 0.36, 8), ["N_SIZE"]),  # a chest 36 mm wide
        ((0.49, 0.6, 2), []),  # one thin side is a slab
        ((0.01, 0.01, 0.01), ["N_SIZE"]),  # micro-CT
        ((0.005, 0.005, 0.005), ["N_SIZE"]),
        ((25, 25, 9), []),  # 2,500 mm
        ((25.1, 25, 9), ["N_SIZE"]),
        ((50, 50, 9), ["N_SIZE"]),  # 5,000 mm
    ],
)
def test_sizes(spacing_mm: tuple[float, ...], codes: list[str]) -> None:
    assert [code for code in notes(*spacing_mm) if code != "N_ANISO"] == codes


@pytest.mark.parametrize(
    ("spacing_mm", "seen"),
    [
        ((0.0049, 1, 1), "0.49 x 100 x 50 mm"),
        ((0.001, 0.001, 0.001), "0.1 x 0.1 x 0.05 mm"),
        ((1, 1, 101), "100 x 100 x 5.05e+03 mm"),
        ((1e30, 1, 1), "1e+32 x 100 x 50 mm"),
    ],
)
def test_sizes_that_no_body_has(spacing_mm: tuple[float, ...], seen: str) -> None:
    with pytest.raises(InputError, match="E_GEOMETRY") as caught:
        notes(*spacing_mm)
    assert f"it is {seen} in size" in caught.value.reason


@pytest.mark.parametrize(
    ("origin_mm", "codes"), [(-1e4, []), (10_001, ["N_SIZE"]), (-1e6, ["N_SIZE"])]
)
def test_distance_to_the_origin(origin_mm: float, codes: list[str]) -> None:
    assert notes(1, 1, 1, origin_mm=origin_mm) == codes


@pytest.mark.parametrize("origin_mm", [1.001e6, -1e30])
def test_an_origin_beyond_all_floats(origin_mm: float) -> None:
    with pytest.raises(InputError, match=r"E_GEOMETRY .* mm from the origin"):
        notes(1, 1, 1, origin_mm=origin_mm)


def test_a_part_of_a_body() -> None:
    check_body_size(SHAPE, np.diag([0.38, 0.38, 0.1, 1.0]), PATH)
    with pytest.raises(InputError, match=r"it is 37 x 37 x 50 mm .* too small for a part"):
        check_body_size(SHAPE, np.diag([0.37, 0.37, 1.0, 1.0]), PATH)


def test_images_in_memory_have_the_same_limits() -> None:
    values = np.random.default_rng(0).normal(size=(20, 20, 20))
    assert [note.code for note in image_of((values, np.eye(4))).notes] == ["N_SIZE"]
    with pytest.raises(InputError, match="E_GEOMETRY"):
        image_of((values, np.diag([0.001, 0.001, 0.001, 1.0])))
