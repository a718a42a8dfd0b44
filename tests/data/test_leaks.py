# SPDX-License-Identifier: Apache-2.0
"""Copies of a picture are found, pictures of different patients are not taken for one; leaks."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from class_phantoms import noise, save_picture
from PIL import Image

from medvol.data.datalist import Datalist
from medvol.data.leaks import (
    BLOCK,
    SAME_PICTURE,
    SHOWN,
    Fingerprint,
    Leak,
    LeakError,
    SamePicture,
    find_leaks,
    fingerprint,
    fingerprints,
    same_pictures,
)
from medvol.errors import InputError


def grey(seed: int) -> np.ndarray:
    return noise(seed).astype(np.float32) / 255


def test_thumbnail_has_mean_0_and_length_1():
    made = fingerprint(grey(0))
    assert made.thumbnail.shape == (1024,)
    assert made.thumbnail.sum() == pytest.approx(0, abs=1e-4)
    assert np.linalg.norm(made.thumbnail) == pytest.approx(1)


def test_thumbnail_averages_blocks():
    picture = np.zeros((64, 64), np.float32)
    picture[0, 0] = 1.0  # a quarter of the first block of 2 x 2
    made = fingerprint(picture).thumbnail
    flat = np.zeros(1024)
    flat[0] = 0.25
    flat -= flat.mean()
    assert made == pytest.approx(flat / np.linalg.norm(flat), abs=1e-5)


def test_digest_tells_pixels_and_shape_apart():
    picture = grey(0)
    assert fingerprint(picture).digest == fingerprint(picture.copy()).digest
    assert fingerprint(picture).digest != fingerprint(picture.reshape(20, 80)).digest
    changed = picture.copy()
    changed[3, 3] += 1 / 255
    assert fingerprint(picture).digest != fingerprint(changed).digest


def test_copies_are_found_and_others_not():
    a, b = grey(0), grey(1)
    darker = np.clip(a * 0.8, 0, 1)
    prints = [fingerprint(p) for p in (a, b, a.copy(), darker, a[::-1].copy())]
    assert same_pictures(prints) == [
        SamePicture(0, 2, 1.0, True),
        SamePicture(0, 3, 1.0, False),
        SamePicture(2, 3, 1.0, False),
    ]


def test_pairs_are_found_across_blocks():
    rng = np.random.default_rng(0)
    prints = [
        Fingerprint(str(k), v / np.linalg.norm(v))
        for k, v in enumerate(rng.normal(size=(BLOCK + 9, 1024)).astype(np.float32))
    ]
    prints[BLOCK + 5] = Fingerprint("copy", prints[3].thumbnail)
    prints[BLOCK + 8] = Fingerprint("7", prints[7].thumbnail)
    assert [(p.one, p.other, p.equal) for p in same_pictures(prints)] == [
        (3, BLOCK + 5, False), (7, BLOCK + 8, True)
    ]  # fmt: skip


def test_grey_without_structure_is_like_nothing_but_itself():
    flat = fingerprint(np.full((40, 40), 0.5, np.float32))
    other = fingerprint(np.full((40, 40), 0.6, np.float32))
    assert not flat.thumbnail.any()
    assert [p.equal for p in same_pictures([flat, flat, other])] == [True]


def test_no_pictures_have_no_pairs():
    assert same_pictures([]) == []


def test_files_are_read_once_each(tmp_path):
    a = save_picture(tmp_path / "a.png", 1)
    found = fingerprints([a, a])
    assert list(found) == [a]
    assert found[a].digest == fingerprint(grey(1)).digest
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError) as refused:
        fingerprints([a, tmp_path / "b.png"])
    assert refused.value.path == str(tmp_path / "b.png")


def test_near_duplicates_of_the_table_are_one_picture_and_their_neighbours_are_not(real_data):
    folder = real_data / "xray_covid"
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    copies = {row["near_duplicate_of"]: row for row in rows if row["near_duplicate_of"]}
    originals = [row for row in rows if row["path"].split("/", 1)[1] in copies]
    copy_of = [copies[row["path"].split("/", 1)[1]] for row in originals]
    others = [row for row in rows if row not in originals and row not in copy_of][::40]
    wanted = [*originals, *copy_of, *others]
    prints = [fingerprint(member(folder / row["archive"], row["path"])) for row in wanted]
    number = len(originals)
    assert number >= 4
    found = {(p.one, p.other): p.correlation for p in same_pictures(prints)}
    assert set(found) == {(k, k + number) for k in range(number)}
    assert min(found.values()) > 0.999 > SAME_PICTURE


def member(archive: Path, name: str) -> np.ndarray:
    with zipfile.ZipFile(archive) as opened:
        picture = Image.open(io.BytesIO(opened.read(name))).convert("L")
    return np.asarray(picture, np.float32) / 255


PICTURES = {name: noise(seed).astype(np.float32) / 255 for seed, name in enumerate("abcdefgh")}
PICTURES |= {"a copy": PICTURES["a"], "a darker": PICTURES["a"] * 0.9}
PRINTS = {Path(name): fingerprint(pixels) for name, pixels in PICTURES.items()}


def datalist(**parts: dict[str, str]) -> Datalist:
    """Parts as {picture: patient}."""
    items = {
        part: [{"image": name, "case": name, "patient": patient} for name, patient in own.items()]
        for part, own in parts.items()
    }
    return Datalist({"training": [], **items})


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"training": {"a": "1", "b": "1"}, "test": {"c": "2"}}, []),
        ({"training": {"a": "1", "a copy": "2", "a darker": "3"}, "test": {"c": "4"}}, []),
        (
            {"training": {"a": "1"}, "test": {"a copy": "2"}},
            [("same pixels", "training/a", "test/a copy")],
        ),
        (
            {"training": {"a": "1"}, "validation": {"a darker": "1"}},
            [("nearly the same picture (1.000)", "training/a", "validation/a darker")],
        ),
        (
            {"training": {"a": "1", "b": "1"}, "test": {"c": "1", "d": "1"}},
            [("same patient 1", "training/a", "test/c")],
        ),
        (
            {"training": {"a": "1"}, "validation": {"b": "1"}, "test": {"c": "1"}},
            [
                ("same patient 1", "training/a", "validation/b"),
                ("same patient 1", "training/a", "test/c"),
                ("same patient 1", "validation/b", "test/c"),
            ],
        ),
        ({}, []),
    ],
    ids=["none", "inside", "pixels", "near", "patient", "three", "empty"],
)
def test_pairs_across_parts(parts, found):
    assert find_leaks(datalist(**parts), PRINTS) == [Leak(*leak) for leak in found]


def test_long_lists_are_cut():
    leaks = [Leak("same pixels", f"training/{k}", f"test/{k}") for k in range(SHOWN + 2)]
    lines = str(LeakError(leaks)).splitlines()
    assert lines[0] == "22 leaks between the parts:"
    assert lines[-1] == "  and 2 more"
    assert len(lines) == SHOWN + 2
    assert LeakError(leaks).leaks == tuple(leaks)
