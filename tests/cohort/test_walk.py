# SPDX-License-Identifier: Apache-2.0
"""A tree of folders: each is looked into once, and again only where something changed."""

import os
from pathlib import Path

import pytest
from support.refusals import full_disk, refused_by

from medvol.cohort import walk
from medvol.cohort.walk import Kept, search


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(40):
        (tmp_path / f"tree/site{number % 3}/p{number}").mkdir(parents=True)
        (tmp_path / f"tree/site{number % 3}/p{number}/ct.nii").write_bytes(b"1" * number)
    return tmp_path / "tree"


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were looked into."""
    folders: list[str] = []
    look_into = walk.look_into

    def heard(root: Path, folder: str, listing: object) -> object:
        folders.append(folder)
        return look_into(root, folder, listing)  # type: ignore[arg-type]

    monkeypatch.setattr(walk, "look_into", heard)
    return folders


def searched(tree: Path, **options: int) -> dict[str, object]:
    """What a search finds, by folder."""
    kept = Kept(tree.parent / "plan.part", tree)
    folders, closed = search(tree, kept, **options)
    assert closed == []
    found = {folder: kept.found(folder) for folder in sorted(folders)}
    kept.close(folders)
    return dict(found)


def test_one_process_finds_what_several_find(tree: Path) -> None:
    alone = searched(tree)
    assert len(alone) == 44
    (tree.parent / "plan.part").unlink()
    assert searched(tree, workers=2) == alone


def test_only_folders_that_changed_are_looked_into_again(tree: Path, looked: list[str]) -> None:
    searched(tree)
    assert len(looked) == 44
    looked.clear()
    (tree / "site1/p1/ct.nii").write_bytes(b"22")
    (tree / "site2/p2/ct.nii").unlink()
    (tree / "site2/p2").rmdir()
    found = searched(tree)
    assert sorted(looked) == ["site1/p1", "site2"]
    assert len(found) == 43
    assert found["site1/p1"].files == [["ct.nii", 2]]  # type: ignore[attr-defined]
    lines = (tree.parent / "plan.part").read_bytes().splitlines()
    assert len(lines) == 44  # one more says what tree it is; what is gone or was replaced is not


def test_after_a_kill_it_goes_on_and_damaged_lines_are_read_again(
    tree: Path, looked: list[str]
) -> None:
    before = searched(tree)
    looked.clear()
    part = tree.parent / "plan.part"
    lines = part.read_bytes().splitlines(keepends=True)
    lines[-2] = lines[-2].replace(b"ct.nii", b"xx.nii")
    part.write_bytes(b"".join(lines)[:-20])
    assert searched(tree) == before
    assert len(looked) == 2


def test_what_was_kept_of_another_tree_is_not_used(tree: Path, looked: list[str]) -> None:
    searched(tree)
    looked.clear()
    moved = tree.rename(tree.parent / "moved")
    searched(moved)
    assert len(looked) == 44


def test_links_are_followed_once_and_not_in_circles(tree: Path) -> None:
    (tree / "again").symlink_to(tree / "site1", target_is_directory=True)
    (tree / "site0/up").symlink_to(tree, target_is_directory=True)
    other = tree.parent / "other/inside"
    other.mkdir(parents=True)
    for name in ("x", "y"):
        (tree / name).symlink_to(other.parent, target_is_directory=True)
    assert sorted(set(searched(tree))) == sorted(
        ["", "x", "x/inside", *(f"site{n}" for n in range(3)),
         *(f"site{n % 3}/p{n}" for n in range(40))]
    )  # fmt: skip


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_named(tree: Path) -> None:
    (tree / "site1").chmod(0)
    kept = Kept(tree.parent / "plan.part", tree)
    try:
        assert search(tree, kept)[1] == ["site1"]
    finally:
        (tree / "site1").chmod(0o700)
        kept.close()


def test_no_such_folder_and_a_full_disk_are_refused(tree: Path) -> None:
    kept = Kept(tree.parent / "plan.part", tree / "none")
    refused_by(lambda: search(tree / "none", kept), "E_PATH")
    kept.close()
    kept = Kept(tree.parent / "full.part", tree)
    with full_disk(600):
        refused_by(lambda: search(tree, kept), "E_NOSPACE")
        kept.close()
