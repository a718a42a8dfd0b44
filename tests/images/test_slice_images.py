# SPDX-License-Identifier: Apache-2.0
"""Slice pictures: three sequences, the way up and round, an assumed spacing, what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from brain_phantoms import SHAPE, TUMOUR, TUMOUR_BOX, save_slices, tiny_brain
from PIL import Image
from refusals import refused_by

from medvol.errors import InputError
from medvol.images.slice_images import (
    find_slices,
    is_slice_picture,
    load_slices,
    mask_beside,
    read_picture,
)
from medvol.spatial import orientation, spacing_mm

BRAIN = tiny_brain()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_slices(tmp_path / "p", BRAIN)


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_colours_become_sequences_in_patient_axes(tmp_path: Path, suffix: str) -> None:
    folder = save_slices(tmp_path / "p", BRAIN, suffix=suffix)
    image = load_slices(folder, find_slices(folder))
    assert image.array.shape == SHAPE
    assert np.array_equal(image.array, BRAIN.sequences[1])  # FLAIR
    assert np.array_equal(image.seen, BRAIN.sequences)
    assert orientation(image.affine) == "LPS"
    right_front = image.affine @ [10.5, 12.5, 2.5, 1]  # the tumour's middle
    assert right_front[0] > 0  # the patient's right
    assert right_front[1] > 0  # front
    assert right_front[2] == 0  # 2.5 is the middle of six slices
    assert (image.array[TUMOUR_BOX] == TUMOUR[1]).all()


def test_the_spacing_is_assumed_with_a_note_or_given(folder: Path) -> None:
    assumed = load_slices(folder, find_slices(folder))
    assert spacing_mm(assumed.affine) == (0.9, 0.9, 5.0)
    assert [note.code for note in assumed.notes] == ["N_SPACING"]
    assert "0.9 x 0.9 x 5 mm" in assumed.notes[0].text
    given = load_slices(folder, find_slices(folder), spacing_mm=(2, 3, 4))
    assert spacing_mm(given.affine) == (2, 3, 4)
    assert given.notes == ()
    with pytest.raises(InputError, match=r"E_GEOMETRY .* which no part of a body is"):
        load_slices(folder, find_slices(folder), spacing_mm=(0.001, 0.001, 0.005))


def test_slices_come_in_the_order_of_their_numbers_without_masks(tmp_path: Path) -> None:
    for name in ("p_10.png", "p_2.png", "p_1.png", "p_1_mask.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in find_slices(tmp_path)] == ["p_1.png", "p_2.png", "p_10.png"]


def test_what_a_slice_is_called(tmp_path: Path) -> None:
    names = ["a.TIF", "a.jpeg", "a_mask.tif", "a_MASK.png", "a.nii.gz", "mask_of_a.png"]
    assert [is_slice_picture(tmp_path / name) for name in names] == [
        True, True, False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("picture", "mask"), [("X.TIF", "X_mask.TIF"), ("X.TIF", "x_MASK.png"), ("x.jpg", "x_mask.Tif")]
)
def test_a_mask_is_found_whatever_its_capitals(tmp_path: Path, picture: str, mask: str) -> None:
    for name in (picture, mask, "X_2_mask.TIF", ".X_mask.TIF"):
        (tmp_path / name).touch()
    assert mask_beside(tmp_path / picture) == tmp_path / mask
    (tmp_path / "x_mask.jpeg").touch()
    refused_by(lambda: mask_beside(tmp_path / picture), "E_SERIES")
    error = refused_by(lambda: mask_beside(tmp_path / "Y.TIF"), "E_PATH")
    assert error.reason == "there is no Y_mask beside it."


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right to see it upright
    stored = np.zeros((2, 3, 3), np.uint8)
    stored[0, 0] = 200  # after turning: upper right
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    pixels, notes = read_picture(tmp_path / "a.png")
    assert pixels.shape == (3, 2, 3)
    assert pixels[0, 1].tolist() == [200, 200, 200]
    assert [note.code for note in notes] == ["N_EXIF"]


def test_transparency_must_not_change_values(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (1, 2, 3, 255)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png")[0][0, 0].tolist() == [1, 2, 3]
    Image.new("RGBA", (2, 2), (10, 20, 30, 128)).save(tmp_path / "a.png")
    refused_by(lambda: read_picture(tmp_path / "a.png"), "E_VALUES")


def test_of_a_photograph_with_previews_the_first_picture_counts(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (16, 16), (grey, grey, grey)) for grey in (50, 200))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert (read_picture(tmp_path / "a.jpg")[0] == 50).all()


def grey(path: Path) -> None:
    Image.new("L", (4, 4), 7).save(path)


def deep(path: Path) -> None:
    Image.new("I;16", (4, 4), 7).save(path)


def animated(path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), (k, 0, 0)) for k in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def cut(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])


SPOILED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "grey": (grey, "E_VALUES", "not colours of 8 bits"),
    "16 bits": (deep, "E_VALUES", "of kind I;16"),
    "animation": (animated, "E_DIMS", "it holds 2 frames"),
    "cut": (cut, "E_TRUNCATED", "cannot be read to its end"),
    "no picture": (lambda p: p.write_text("x" * 50), "E_FORMAT", "not a picture"),
    "empty": (lambda p: p.write_bytes(b""), "E_EMPTY", "0 bytes"),
    "other size": (lambda p: Image.new("RGB", (9, 8)).save(p), "E_DIMS", "9 x 8 pixels large"),
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_spoiled_slice_is_refused_by_name(folder: Path, spoil: str) -> None:
    make, code, reason = SPOILED[spoil]
    for old in folder.glob("*_3.*"):
        old.unlink()
    make(folder / "p_3.png")
    error = refused_by(lambda: load_slices(folder, find_slices(folder)), code)
    assert error.path == str(folder / "p_3.png")
    assert reason in error.reason


def test_two_pictures_of_one_slice_are_refused(folder: Path) -> None:
    Image.open(folder / "p_3.tif").save(folder / "p_3.png")
    error = refused_by(lambda: load_slices(folder, find_slices(folder)), "E_SERIES")
    assert "p_3.png and p_3.tif" in error.reason


def test_slices_of_one_value_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (5, 5, 5)).save(tmp_path / "a.png")
    refused_by(lambda: load_slices(tmp_path, find_slices(tmp_path)), "E_VALUES")


@pytest.mark.parametrize(("edge", "refused"), [(199, False), (200, True)])
def test_slices_that_are_white_at_their_edges_are_refused(
    tmp_path: Path, edge: int, refused: bool
) -> None:
    """Of 64 pixels 28 lie at the edges; more than half of them have the grey of the case."""
    pixels = np.full((8, 8, 3), 255, np.uint8)
    pixels[..., 1] = edge
    pixels[2:6, 2:6] = 7
    pixels[0] = 0
    Image.fromarray(pixels).save(tmp_path / "a_1.png")
    pictures = find_slices(tmp_path)
    if refused:
        refused_by(lambda: load_slices(tmp_path, pictures), "E_MODALITY")
    else:
        assert load_slices(tmp_path, pictures).array.max() == edge


def test_too_many_pixels_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused_by(lambda: read_picture(folder / "p_1.tif"), "E_TOO_BIG")


def test_no_such_folder_and_a_wrong_spacing(folder: Path) -> None:
    refused_by(lambda: find_slices(folder / "none"), "E_PATH")
    with pytest.raises(ValueError, match="give three positive numbers"):
        load_slices(folder, find_slices(folder), spacing_mm=(1, 0, 1))
