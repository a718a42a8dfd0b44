# SPDX-License-Identifier: Apache-2.0
"""A folder that is filled whole or not at all."""

from pathlib import Path

import pytest

from medvol.files import filling


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


def test_folders_and_files_replace_those_of_their_names(tmp_path):
    for name in ("train/a.txt", "train/b.txt", "other/c.txt", "list.txt"):
        write(tmp_path / name, "old")
    with filling(tmp_path) as scratch:
        write(scratch / "train" / "b.txt", "new")
        write(scratch / "test" / "d.txt", "new")
        write(scratch / "list.txt", "new")
    assert files(tmp_path) == {
        "train/b.txt": "new", "test/d.txt": "new", "other/c.txt": "old", "list.txt": "new"
    }  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == ["list.txt", "other", "test", "train"]


def test_a_failure_leaves_all_as_it_was(tmp_path):
    write(tmp_path / "train" / "a.txt", "old")

    def fail():
        with filling(tmp_path) as scratch:
            write(scratch / "train" / "b.txt", "new")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert files(tmp_path) == {"train/a.txt": "old"}
