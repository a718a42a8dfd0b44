# SPDX-License-Identifier: Apache-2.0
"""Masks of slice pictures: as large and turned as the picture, black where nothing is."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from refusals import full_disk

from medvol.errors import InputError
from medvol.images.rle import decode_rle
from medvol.outputs.slice_masks import write, write_runs

LABELS = np.zeros((3, 2, 2), np.uint8)  # columns, rows, slices
LABELS[2, 0, 0], LABELS[0, 1, 0] = 1, 2
FILES = ["p_1.jpg", "p_2.tif"]


def saving(*focus: int) -> SimpleNamespace:
    image, spec = SimpleNamespace(facts={"slices": FILES}), SimpleNamespace(focus=focus)
    return SimpleNamespace(mask=LABELS, answer=SimpleNamespace(image=image, spec=spec))


def test_a_picture_for_each_slice(tmp_path: Path) -> None:
    write(tmp_path / "masks", saving(1))
    first, second = (Image.open(tmp_path / "masks" / f"p_{k}_mask.png") for k in (1, 2))
    assert (first.mode, first.size) == ("L", (3, 2))
    assert np.asarray(first).tolist() == [[0, 0, 255], [0, 0, 0]]
    assert not np.asarray(second).any()


def test_runs_of_all_values_asked_for(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs.csv", saving(1, 2))
    with open(tmp_path / "runs.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"file": "p_1.jpg", "slice": "0", "marked": "1", "rows": "2",
                       "columns": "3", "mask_rle": "2 1 5 1"}  # fmt: skip
    assert rows[1]["mask_rle"] == ""
    assert decode_rle(rows[0]["mask_rle"], (2, 3)).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with full_disk(20), pytest.raises(InputError) as caught:
        write(tmp_path, saving(1))
    assert caught.value.code == "E_NOSPACE"
