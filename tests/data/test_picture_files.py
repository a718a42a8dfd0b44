# SPDX-License-Identifier: Apache-2.0
"""Pictures come from folders and archives, go to folders of classes, and replace no others."""

import os
from pathlib import Path

import numpy as np
import pytest
from class_phantoms import make_class_folders, noise, pack, save_picture
from PIL import Image
from refusals import refused_by

from medvol.data.datalist import Datalist
from medvol.data.picture_files import (
    check_sources,
    find_pictures,
    lay_out,
    names_of_members,
    of_older_run,
)
from medvol.errors import InputError
from medvol.owned import filling


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / ".scratch"
    folder.mkdir(parents=True)
    return folder


def listed(*paths: Path) -> Datalist:
    items = [
        {"image": str(p), "label": 0, "class": "a", "case": p.stem, "patient": p.stem}
        for p in paths
    ]
    parts = {"training": items[:1], "validation": [], "test": items[1:]}
    return Datalist({"labels": {"0": "a"}, **parts})


def test_folders_and_archives_give_the_names_that_they_hold(tmp_path, scratch):
    folder = make_class_folders(tmp_path / "set", {"train/a": 2})
    (folder / "readme.txt").write_text("no picture")
    archive = pack(folder, tmp_path / "set.zip")
    found = find_pictures([folder], scratch)
    assert list(found) == [str(folder / f"train/a/a_p0_{k}.png") for k in (0, 1)]
    found = find_pictures([archive], scratch)
    assert list(found) == ["set/train/a/a_p0_0.png", "set/train/a/a_p0_1.png"]
    assert [path.name for path in found.values()] == ["a_p0_0.png", "a_p0_1.png"]
    assert all(scratch in path.parents and path.is_file() for path in found.values())


def test_what_is_not_taken_is_said_zipped_or_not(tmp_path, scratch, caplog):
    folder = make_class_folders(tmp_path / "set", {"a": 2, "b": 1})
    for name in ("a/x_mask.png", "b/masks/y.png", "readme.txt", "a/z.jp2", "__MACOSX/a.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((folder / "a" / "a_p0_0.png").read_bytes())
    archive = pack(folder, tmp_path / "set.zip")
    for source in (folder, archive):
        names = [Path(name).name for name in find_pictures([source], scratch)]
        assert names == ["a_p0_0.png", "a_p0_1.png", "b_p0_0.png"]
    said = [message.partition(": ")[2].partition(" (")[0] for message in caplog.messages]
    assert said == ["N_OTHER 4 files were passed by: 2 masks, 1 .jp2, 1 .txt"] * 2


def test_a_folder_of_archives_is_their_content(tmp_path, scratch):
    for name in ("x", "y"):
        (tmp_path / "zips").mkdir(exist_ok=True)
        pack(make_class_folders(tmp_path / name, {"a": 1}), tmp_path / "zips" / f"{name}.zip")
    assert list(find_pictures([tmp_path / "zips"], scratch)) == ["x/a/a_p0_0.png", "y/a/a_p0_0.png"]


def test_sources_without_pictures_are_refused(tmp_path, scratch):
    (tmp_path / "empty").mkdir()
    refused_by(lambda: find_pictures([tmp_path / "empty"], scratch), "E_EMPTY")
    refused_by(lambda: find_pictures([tmp_path / "none"], scratch), "E_PATH")
    (tmp_path / "bad.zip").write_bytes(b"PK no archive")
    refused_by(lambda: find_pictures([tmp_path / "bad.zip"], scratch), "E_TRUNCATED")


@pytest.mark.parametrize("handling", ["copy", "link"])
def test_pictures_are_copied_or_linked_into_folders(tmp_path, scratch, handling):
    a, b, c = (save_picture(tmp_path / "in" / f"{n}.png", k) for k, n in enumerate("abc"))
    made = lay_out(listed(a, b), scratch, handling=handling, aside={"ct": [c]})
    assert made.parts["training"][0]["image"] == "train/a/a.png"
    assert made.parts["test"][0]["image"] == "test/a/b.png"
    assert made.about["set_aside"] == {"ct": ["ct/c.png"]}
    for name in ("train/a/a.png", "test/a/b.png", "ct/c.png"):
        assert (scratch / name).is_symlink() == (handling == "link")
    with Image.open(scratch / "test/a/b.png") as picture:
        assert np.array_equal(picture, noise(1))
    assert a.is_file()


def test_pictures_stay_but_those_of_archives_move(tmp_path, scratch):
    outside = save_picture(tmp_path / "in" / "a.png", 0)
    inside = save_picture(scratch / ".unpacked" / "000" / "b.png", 1)
    made = lay_out(listed(outside, inside), scratch, handling="stay")
    assert made.parts["training"][0]["image"] == str(outside)
    assert made.parts["test"][0]["image"] == "test/a/b.png"
    assert sorted(os.listdir(scratch)) == ["test"]


def test_pictures_of_an_older_run_go_and_all_others_stay(tmp_path):
    output, a, b = (
        tmp_path / "out" / "datalist.json",
        *(save_picture(tmp_path / "in" / f"{name}.png", k) for k, name in enumerate("ab")),
    )

    def write(*pictures):
        old = of_older_run(output)
        with filling(output.parent, data=True, old=old) as scratch:
            made = lay_out(listed(*pictures), scratch, handling="copy")
            check_sources(output.parent, scratch, old, pictures)
            made.write(scratch / output.name, folder=output.parent)

    def there():
        return sorted(p.relative_to(output.parent).as_posix() for p in output.parent.rglob("*.png"))

    write(a, b)
    mine = save_picture(output.parent / "train" / "a" / "mine.png", 2)
    assert there() == ["test/a/b.png", "train/a/a.png", "train/a/mine.png"]
    write(b)
    assert there() == ["train/a/b.png", "train/a/mine.png"]
    error = refused_by(lambda: write(output.parent / "train" / "a" / "b.png"), "E_OUTPUT")
    assert error.path == str(output.parent / "train" / "a" / "b.png")
    assert error.reason == "it is read now, and lies where the pictures of the data set go."
    mine.rename(output.parent / "train" / "a" / "a.png")
    error = refused_by(lambda: write(a), "E_OUTPUT")
    assert (error.path, "nothing says" in error.reason) == (str(mine.parent / "a.png"), True)
    assert there() == ["train/a/a.png", "train/a/b.png"]


def test_refusals_name_members_of_archives(tmp_path):
    def refuse(path: Path):
        with names_of_members(tmp_path / "scratch"):
            raise InputError("E_EMPTY", path, "the file has 0 bytes.", "Copy it again.")

    assert (
        refused_by(lambda: refuse(tmp_path / "scratch" / "0" / "a.png"), "E_EMPTY").path == "a.png"
    )
    own = refused_by(lambda: refuse(tmp_path / "in" / "a.png"), "E_EMPTY")
    assert own.path == str(tmp_path / "in" / "a.png")
