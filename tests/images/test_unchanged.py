# SPDX-License-Identifier: Apache-2.0
"""Checksums are of what was read; files that come, go or change meanwhile are refused."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from refusals import refused_by

from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.image import Image
from medvol.images.unchanged import check_unchanged, input_sha256, read_unchanged

CT = nibabel.Nifti1Pair(np.random.default_rng(0).integers(-900, 90, (9, 8, 7), np.int16), np.eye(4))


def folder_of(path: Path, **texts: str) -> Path:
    path.mkdir()
    for name, text in texts.items():
        (path / name).write_text(text)
    return path


def image_of(path: Path) -> Image:
    return Image(np.zeros((2, 2, 2), np.int16), np.eye(4), path)


def read_while(path: Path, happens: Callable[[], object]) -> Image:
    """Read something of which only the files count, while something happens to them."""

    def read() -> Image:
        happens()
        return image_of(path)

    return read_unchanged(path, read)


def test_a_folder_is_all_its_files_but_hidden_ones_and_results(tmp_path):
    folder = folder_of(tmp_path / "ct", b="two", a="one")
    lines = "".join(
        f"{name} {hashlib.sha256(text).hexdigest()}\n"
        for name, text in (("a", b"one"), ("b", b"two"))
    )
    expected = hashlib.sha256(lines.encode()).hexdigest()
    (folder / ".DS_Store").write_text("x")
    assert read_while(folder, lambda: None).sha256 == input_sha256(folder) == expected
    os.mkfifo(folder / "pipe")  # would wait for ever
    assert input_sha256(folder) == expected


@pytest.mark.parametrize(
    ("happens", "file", "what"),
    [
        (lambda f: (f / "a").write_text("two!"), "a", "changed"),
        (lambda f: (f / "a").unlink(), "a", "vanished"),
        (lambda f: (f / "c").write_text("new"), "c", "came"),
        (lambda f: (f / "b").replace(f / "a"), "a", "changed"),
    ],
    ids=["written", "removed", "added", "moved"],
)
def test_a_file_that_comes_goes_or_changes_is_named(tmp_path, happens, file, what):
    folder = folder_of(tmp_path / "ct", a="one", b="two")
    error = refused_by(lambda: read_while(folder, lambda: happens(folder)), "E_CHANGED")
    assert (error.path, error.reason) == (str(folder / file), f"it {what} while ct was read.")


def test_a_change_that_leaves_size_and_content_but_not_the_time_is_one(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    assert read_while(path, lambda: None).sha256 == hashlib.sha256(b"one").hexdigest()
    assert refused_by(lambda: read_while(path, lambda: os.utime(path, ns=(2, 2))), "E_CHANGED")


def test_what_reading_says_of_a_file_that_changed_is_not_the_reason(tmp_path):
    path = tmp_path / "ct.nii"
    path.write_text("whole")

    def read() -> Image:
        path.write_text("")
        raise InputError("E_EMPTY", path, "the file has 0 bytes.", "Copy it again.")

    assert refused_by(lambda: read_unchanged(path, read), "E_CHANGED").path == str(path)
    assert refused_by(lambda: read_unchanged(tmp_path / "no", lambda: read_image("no")), "E_PATH")


@pytest.mark.parametrize("given", ["ct.hdr", "ct.img"])
def test_both_files_of_a_pair_are_watched_and_no_other(tmp_path, given):
    nibabel.save(CT, tmp_path / "ct.hdr")
    path = tmp_path / given

    def reading(name: str) -> Callable[[], Image]:
        def read() -> Image:
            image = read_image(path)
            (tmp_path / name).write_bytes(b"another")
            return image

        return read

    assert read_unchanged(path, reading("other.hdr")).sha256 == input_sha256(
        path, [tmp_path / "ct.hdr", tmp_path / "ct.img"]
    )
    error = refused_by(lambda: read_unchanged(path, reading("ct.img")), "E_CHANGED")
    assert error.path == str(tmp_path / "ct.img")


def test_a_header_with_its_data_in_it_does_not_mind_its_neighbours(tmp_path):
    path = (
        folder_of(tmp_path / "in", **{"ct.mhd": "ElementDataFile = LOCAL", "other": "1"}) / "ct.mhd"
    )
    image = read_while(path, lambda: (tmp_path / "in" / "other").write_text("changed"))
    assert image.sha256 == input_sha256(path)
    error = refused_by(lambda: read_while(path, lambda: path.write_text("changed")), "E_CHANGED")
    assert error.path == str(path)


def test_what_is_read_twice_must_be_the_same(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("one")
    image = read_while(path, lambda: None)
    check_unchanged(image)
    check_unchanged(image_of(path))  # nobody looked
    path.write_text("two")
    assert refused_by(lambda: check_unchanged(image), "E_CHANGED").path == str(path)
