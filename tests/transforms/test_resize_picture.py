# SPDX-License-Identifier: Apache-2.0
"""Resizing: averages when it shrinks, keeps what fits, pads evenly with black; and the way back."""

from collections.abc import Sequence

import pytest
import torch
from monai.data import MetaTensor
from torch.nn.functional import interpolate

from medvol.transforms.resize_picture import (
    ResizePictured,
    fitted,
    picture_size,
    resize_picture,
    restore_picture,
)


def ramp(rows: int, columns: int) -> torch.Tensor:
    """(1, rows, columns), 0 at the left to 1 at the right."""
    return torch.linspace(0, 1, columns).expand(1, rows, columns).contiguous()


def test_what_has_the_size_already_is_left_bit_by_bit() -> None:
    picture = torch.rand((1, 7, 9), generator=torch.Generator().manual_seed(0))
    assert resize_picture(picture, (7, 9)) is picture
    assert resize_picture(picture, (7, 9), keep_aspect=True) is picture


def test_shrinking_averages_all_pixels_that_go_into_one() -> None:
    """Black and white columns in turn become grey, where taking each fourth one gives black."""
    stripes = torch.tensor([0.0, 1.0]).repeat(32).expand(1, 64, 64).contiguous()
    shrunk = resize_picture(stripes, (16, 16))
    assert shrunk[:, :, 1:-1].sub(0.5).abs().max() < 1e-6
    assert shrunk.mean() == pytest.approx(0.5, abs=1e-3)


def test_to_a_half_with_the_weights_of_a_triangle() -> None:
    """One bright pixel of 8, at 2: of the new pixels, 1 (middle 3) and 0 (middle 1) see it.

    The triangle is 2 wide a side; pixel 2 has its middle at 2.5. For the new pixel 1 the weights of
    the old ones 1 to 4 are 1/8, 3/8, 3/8, 1/8; for 0 those of 0 to 2 are 3/7, 3/7, 1/7.
    """
    line = torch.zeros(1, 1, 8)
    line[0, 0, 2] = 1
    small = resize_picture(line, (1, 4))[0, 0]
    torch.testing.assert_close(small, torch.tensor([1 / 7, 3 / 8, 0, 0]))


def test_growing_is_linear_between_the_middles_of_pixels() -> None:
    grown = resize_picture(torch.tensor([[[0.0, 1.0]]]), (1, 4))
    torch.testing.assert_close(grown, torch.tensor([[[0, 0.25, 0.75, 1]]]))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((3, 211, 300), (160, 97)), ((1, 64, 64), (64, 10)), ((1, 1000, 7), (3, 2)),
     ((2, 20, 30), (40, 9)), ((1, 9, 8), (20, 31))],
)  # fmt: skip
def test_it_is_what_torch_makes_of_it(shape: tuple[int, int, int], size: tuple[int, int]) -> None:
    picture = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    by_torch = interpolate(picture[None], size, mode="bilinear", antialias=True)[0]
    given = picture.clone()
    torch.testing.assert_close(resize_picture(given, size), by_torch, rtol=0, atol=1e-6)
    assert torch.equal(given, picture)


def test_rows_stay_rows_and_nothing_leaves_the_range() -> None:
    small = resize_picture(ramp(300, 500), (20, 30))
    assert small.shape == (1, 20, 30)
    assert (small.diff(dim=2) > 0).all()
    assert small.diff(dim=1).abs().max() < 1e-6
    white = resize_picture(torch.ones(1, 333, 777), (97, 101))
    assert (white.min(), white.max()) == (1, 1)


@pytest.mark.parametrize(
    ("shape", "size", "inside"),
    [
        ((1000, 500), (224, 224), (224, 112)),
        ((500, 1000), (224, 224), (112, 224)),
        ((10, 10), (224, 224), (224, 224)),
        ((100, 200), (50, 50), (25, 50)),
        ((100, 300), (224, 320), (107, 320)),
        ((1, 5000), (224, 224), (1, 224)),
    ],
)
def test_the_largest_size_that_fits(
    shape: tuple[int, int], size: tuple[int, int], inside: tuple[int, int]
) -> None:
    assert fitted(shape, size) == inside


def test_the_rest_is_black_on_both_sides() -> None:
    padded = resize_picture(torch.ones(1, 10, 4), (10, 10), keep_aspect=True)
    assert padded[0, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert (padded == padded[:, :1]).all()
    odd = resize_picture(torch.ones(1, 7, 10), (10, 10), keep_aspect=True)
    assert odd[0, :, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 0, 0]  # one more at the end


def test_the_transform_changes_its_keys_only_and_keeps_what_is_known_of_them() -> None:
    image = MetaTensor(torch.rand(1, 6, 6), meta={"filename_or_obj": "a.png"})
    data = {"image": image, "other": image}
    result = ResizePictured("image", [3, 4])(data)
    assert result["image"].shape == (1, 3, 4)
    assert result["image"].meta["filename_or_obj"] == "a.png"
    assert result["other"] is image
    assert data["image"].shape == (1, 6, 6)
    plain = ResizePictured("image", 3, keep_aspect=True)({"image": torch.ones(1, 6, 3)})["image"]
    assert type(plain) is torch.Tensor
    assert plain[0, 0].tolist() == [1, 1, 0]  # 1.5 columns become 2


@pytest.mark.parametrize("size", [0, -3, (1, 2, 3), (4, 0), (2.5, 3), []])
def test_another_size_is_refused(size: int | Sequence[int]) -> None:
    with pytest.raises(ValueError, match="give one whole number of pixels, or rows and columns"):
        picture_size(size)
    with pytest.raises(ValueError, match="size is"):
        ResizePictured("image", size)


def test_padding_is_taken_off_and_the_rest_scaled() -> None:
    small = torch.tensor([[0.0, 0, 0, 0], [1, 1, 3, 3], [1, 1, 3, 3], [0, 0, 0, 0]])[None]
    back = restore_picture(small, (2, 4), keep_aspect=True)
    assert back.tolist() == [[[1, 1, 3, 3], [1, 1, 3, 3]]]
    squeezed = restore_picture(small, (2, 4))  # of a picture that was stretched to the square
    # lines 0, 1, 1 with weights 0.75, 0.75, 0.25: padding would be part of it
    assert squeezed[0, 0, 0] == pytest.approx(4 / 7)


def test_the_way_back_from_a_picture_that_is_not_square() -> None:
    wide = torch.tensor([[0.0, 1, 2, 3, 4, 0], [0, 5, 6, 7, 8, 0]])[None]  # padded at the sides
    assert restore_picture(wide, (2, 4), keep_aspect=True).tolist() == wide[..., 1:5].tolist()


def test_one_pixel_is_a_size() -> None:
    assert picture_size(1) == picture_size((1, 1)) == (1, 1)


def test_unless_asked_for_a_picture_is_stretched() -> None:
    assert bool((ResizePictured("image", 4)({"image": torch.ones(1, 4, 2)})["image"] == 1).all())


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("shape", [(37, 20), (20, 37), (24, 24), (9, 100)])
def test_a_slope_comes_back(shape: tuple[int, int], keep_aspect: bool) -> None:
    rows, columns = (torch.linspace(0, 1, n) for n in shape)
    slope = (rows[:, None] + columns[None, :])[None]
    there = resize_picture(slope, (48, 48), keep_aspect=keep_aspect)
    back = restore_picture(there, shape, keep_aspect=keep_aspect)
    assert back.shape == slope.shape
    assert (back - slope).abs().max() < 0.12  # the border loses most
