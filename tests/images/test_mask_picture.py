# SPDX-License-Identifier: Apache-2.0
"""Masks kept as pictures: one mask in all the ways that hold it, and what cannot be sure."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from refusals import refused

from medvol.images import read_image
from medvol.images.mask_picture import REMEDY

MARKED = np.zeros((24, 32), bool)  # rows, columns
MARKED[5:13, 6:20] = True  # 8 x 14 = 112 pixels
SOFT = np.zeros_like(MARKED)
SOFT[4, 6:20] = SOFT[13, 6:20] = True  # 28 pixels
GREY = np.uint8(255) * MARKED
TURNED = 6  # of EXIF: the stored rows are the columns of what is seen, from right to left


def colours(inside: tuple[int, int, int], outside: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    return Image.fromarray(np.where(MARKED[..., None], inside, outside).astype(np.uint8))


def palette(*entries: int) -> Image.Image:
    made = Image.fromarray(MARKED.astype(np.uint8), "P")
    made.putpalette(entries)
    return made


def veiled(inside: tuple[int, int, int, int], outside: tuple[int, int, int, int]) -> Image.Image:
    return Image.fromarray(np.where(MARKED[..., None], inside, outside).astype(np.uint8))


WAYS: dict[str, Callable[[], Image.Image]] = {
    "0 and 255": lambda: Image.fromarray(GREY),
    "0 and 1": lambda: Image.fromarray(MARKED.astype(np.uint8)),
    "0 and 38": lambda: Image.fromarray(np.uint8(38) * MARKED),
    "one bit": lambda: Image.fromarray(MARKED),
    "16 bits, full": lambda: Image.fromarray(np.uint16(65535) * MARKED),
    "16 bits, 1": lambda: Image.fromarray(MARKED.astype(np.uint16)),
    "white of a palette": lambda: palette(0, 0, 0, 255, 255, 255),
    "dark red of a palette": lambda: palette(0, 0, 0, 128, 0, 0),
    "nearly black of a palette": lambda: palette(0, 0, 0, 1, 1, 1),
    "red on black": lambda: colours((255, 0, 0)),
    "dark green on black": lambda: colours((0, 128, 0)),
    "white as colours": lambda: colours((255, 255, 255)),
    "red on transparent black": lambda: veiled((255, 0, 0, 255), (0, 0, 0, 0)),
    "white, opaque": lambda: veiled((255, 255, 255, 255), (0, 0, 0, 255)),
}


def written(folder: Path, picture: Image.Image, suffix: str = ".png", **options: object) -> Path:
    path = folder / f"mask{suffix}"
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_mask_in_all_the_ways_that_hold_it(way: str, suffix: str, tmp_path: Path) -> None:
    image = read_image(written(tmp_path, WAYS[way](), suffix), "mask")
    assert image.array.dtype == np.uint8
    assert np.array_equal(image.array, MARKED.T[..., None])
    assert image.notes == ()


def test_many_pixels_of_one_bit_are_all_inside(tmp_path: Path) -> None:
    """NumPy gets bytes of 255 for them, of which it holds some to differ."""
    large = np.kron(MARKED, np.ones((8, 8), bool))
    found = read_image(written(tmp_path, Image.fromarray(large)), "mask").array
    assert np.array_equal(found[:, :, 0].T, large)


@pytest.mark.parametrize(("way", "quality"), [("0 and 255", 30), ("red on black", 75),
                                              ("white as colours", 60)])  # fmt: skip
def test_jpeg_masks_are_divided_in_the_middle(way: str, quality: int, tmp_path: Path) -> None:
    path = written(tmp_path, WAYS[way](), ".jpg", quality=quality)
    stored = np.asarray(Image.open(path))
    assert len(np.unique(stored)) > 2
    found = read_image(path, "mask").array[:, :, 0].T.astype(bool)
    assert np.count_nonzero(found != MARKED) <= 4


@pytest.mark.parametrize("black", [np.zeros((8, 9), np.uint8), np.zeros((8, 9, 3), np.uint8)])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_slice_without_anything_is_empty(
    black: npt.NDArray[np.uint8], suffix: str, tmp_path: Path
) -> None:
    image = read_image(written(tmp_path, Image.fromarray(black), suffix), "mask")
    assert image.array.shape == (9, 8, 1)
    assert not image.array.any()


def test_a_mask_is_turned_upright_as_its_slice_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = TURNED
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(GREY)))
    image = read_image(written(tmp_path, stored, exif=exif), "mask")
    assert np.array_equal(image.array, MARKED.T[..., None])
    assert [note.code for note in image.notes] == ["N_EXIF"]


def test_it_lies_where_its_slice_lies(tmp_path: Path) -> None:
    mask = read_image(written(tmp_path, WAYS["0 and 255"]()), "mask")
    picture = colours((10, 20, 30), (40, 50, 60))
    picture.save(tmp_path / "p_1.png")
    assert np.array_equal(mask.affine, read_image(tmp_path / "p_1.png", "sequences").affine)


@pytest.mark.parametrize(
    ("picture", "seen"),
    [
        (lambda: Image.fromarray(GREY // 255 + SOFT * np.uint8(2)), "the greys 0, 1, 2."),
        (lambda: Image.fromarray(GREY // 2 + SOFT * np.uint8(60)), "the greys 0, 60, 127."),
        (lambda: Image.fromarray(MARKED * np.uint16(9) + SOFT), "the greys 0, 1, 9."),
        (lambda: Image.fromarray(np.arange(768, dtype=np.uint8).reshape(24, 32)),
         "256 greys, such as 0, 1, 2, 3."),
        (lambda: colours((255, 0, 0), (0, 0, 255)), "the colours 0-0-255, 255-0-0."),
        (lambda: Image.fromarray(np.stack([GREY, SOFT * np.uint8(255), 0 * GREY], -1)),
         "the colours 0-0-0, 0-255-0, 255-0-0."),
    ],
    ids=["three labels", "dark", "deep", "an image", "no black", "two colours"],
)  # fmt: skip
def test_what_is_not_sure_is_refused_with_what_was_seen(
    picture: Callable[[], Image.Image], seen: str, tmp_path: Path
) -> None:
    path = written(tmp_path, picture())
    reason = f"it is not sure what the mask marks: it holds {seen}"
    refused(path, "E_VALUES", reason, REMEDY, kind="mask")


@pytest.mark.parametrize(("soft", "is_sure"), [(112, True), (113, False)])
def test_how_much_may_be_soft(soft: int, is_sure: bool, tmp_path: Path) -> None:
    grey = GREY.copy()
    grey.ravel()[np.flatnonzero(~MARKED)[-soft:]] = 100  # as many as are inside
    path = written(tmp_path, Image.fromarray(grey))
    if is_sure:
        assert np.array_equal(read_image(path, "mask").array, MARKED.T[..., None])
    else:
        refused(path, "E_VALUES", "it is not sure what the mask marks", "PNG", kind="mask")


@pytest.mark.parametrize(("level", "inside"), [(127, 0), (128, 1)])
def test_soft_borders_are_divided_in_the_middle(level: int, inside: int, tmp_path: Path) -> None:
    grey = GREY + SOFT * np.uint8(level)
    found = read_image(written(tmp_path, Image.fromarray(grey)), "mask").array
    assert found.sum() == 112 + 28 * inside


@pytest.mark.parametrize(("bright", "is_sure"), [(191, False), (192, True)])
def test_what_is_inside_is_bright(bright: int, is_sure: bool, tmp_path: Path) -> None:
    path = written(tmp_path, Image.fromarray(np.uint8(bright) * MARKED + SOFT * np.uint8(20)))
    if is_sure:
        assert read_image(path, "mask").array.sum() == 112
    else:
        refused(path, "E_VALUES", "the greys 0, 20, 191.", "PNG", kind="mask")


@pytest.mark.parametrize(("green", "is_sure"), [(96, True), (97, False)])
def test_what_is_inside_has_one_colour(green: int, is_sure: bool, tmp_path: Path) -> None:
    array = np.asarray(colours((255, 0, 0))).copy()
    array[5, 6:20, 1] = green
    path = written(tmp_path, Image.fromarray(array))
    if is_sure:
        assert read_image(path, "mask").array.sum() == 112
    else:
        refused(path, "E_VALUES", f"255-{green}-0", "PNG", kind="mask")


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (lambda: palette(7, 7, 7, 7, 7, 7), "only their palette differs."),
        (lambda: veiled((0, 0, 0, 255), (0, 0, 0, 0)), "only their transparency differs."),
        (lambda: veiled((255, 0, 0, 255), (255, 255, 255, 0)), "it is transparent in places"),
        (lambda: Image.fromarray(255 - GREY), "all of its border is marked"),
        (lambda: Image.fromarray(np.full_like(GREY, 255)), "all of its border is marked"),
    ],
)
def test_marks_that_would_be_lost_are_refused(
    picture: Callable[[], Image.Image], reason: str, tmp_path: Path
) -> None:
    refused(written(tmp_path, picture()), "E_VALUES", reason, "Save it", kind="mask")


def test_other_files_are_refused_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    refused(path, "E_PATH", "no such file", "Check", kind="mask")
    path.write_bytes(b"")
    refused(path, "E_EMPTY", "0 bytes", "Copy", kind="mask")
    path.write_bytes(b"\x89PNG" + bytes(20))
    refused(path, "E_TRUNCATED", "PNG", "Copy", kind="mask")
