# SPDX-License-Identifier: Apache-2.0
"""The page of samples has a row for each class, and shows bright what is bright."""

import numpy as np
import pytest
from class_phantoms import save_picture
from PIL import Image

from medvol.errors import InputError
from medvol.report.class_samples import draw_samples, small


def item(path, name):
    return {"image": str(path), "class": name, "case": path.stem}


def test_every_class_is_a_row(tmp_path):
    def half(name, seed):  # upper half black, lower half white
        path = save_picture(tmp_path / f"{name}{seed}.png", seed)
        Image.fromarray(np.repeat(np.uint8([[0], [255]]), 20, axis=0).repeat(40, axis=1)).save(path)
        return path

    items = [item(half("a", k), "a") for k in range(3)] + [item(half("b", 9), "b")]
    datalist = {"name": "made", "labels": {"0": "a", "1": "b"}, "training": items}
    draw_samples(datalist, tmp_path / "samples.png", columns=4)
    with Image.open(tmp_path / "samples.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    side = (1600 - 20 - 54 - 3 * 8) / 4
    assert pixels.shape == (round(80 + 2 * side + 8 + 34), 1600)
    for row, shown in enumerate((3, 1)):
        top = 80 + row * (side + 8)
        for column in range(4):
            centre = int(54 + column * (side + 8) + side / 2)
            upper, lower = (
                pixels[int(top + side * 0.3), centre],
                pixels[int(top + side * 0.7), centre],
            )
            assert (upper < 30, lower > 220) == (True, column < shown)


def test_without_training_pictures_others_are_shown(tmp_path):
    path = save_picture(tmp_path / "x.png", 1)
    datalist = {"labels": {"0": "a"}, "training": [], "test": [item(path, "a")]}
    draw_samples(datalist, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_read_leaves_no_page(tmp_path):
    datalist = {"labels": {"0": "a"}, "training": [item(tmp_path / "none.png", "a")]}
    with pytest.raises(InputError):
        draw_samples(datalist, tmp_path / "samples.png")
    assert list(tmp_path.iterdir()) == []


def test_large_pictures_are_averaged_down_and_small_ones_stay():
    picture = np.zeros((8, 4), np.float32)
    picture[0, 0] = 1.0
    assert small(picture, 4).tolist() == [[0.25, 0.0], *[[0.0, 0.0]] * 3]
    assert small(picture, 16).shape == (8, 4)
