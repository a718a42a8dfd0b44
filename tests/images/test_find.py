# SPDX-License-Identifier: Apache-2.0
"""Images in folders: order, hidden files, links, what is one volume; and names of cases."""

import errno
import os
from pathlib import Path

import pytest
from dicom_phantoms import ct_series, write
from radiographs import cr_image, save_picture
from refusals import refused_by

from medvol.errors import InputError
from medvol.images import files
from medvol.images.files import children, is_hidden, walk
from medvol.images.find import (
    CaseNames,
    case_name,
    find_radiographs,
    find_volumes,
    is_volume,
    passed_by,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("scans/ct.nii.gz", "ct"),
        ("CT.NII.GZ", "CT"),
        ("a.b.mha", "a.b"),
        ("study.zip", "study"),
        ("1.2.840.10", "1.2.840.10"),
        ("scans/1.2.840.11/", "1.2.840.11"),
        (".nii", ".nii"),
        ("scans/pa.DCM", "pa"),
        ("scans/a/..", "scans"),
    ],
)
def test_case_name(path: str, name: str) -> None:
    assert case_name(path) == case_name(Path(path)) == name


def test_a_name_that_is_taken_gets_the_next_number() -> None:
    names = CaseNames()
    assert [names.new("ct") for _ in range(3)] == ["ct", "ct_2", "ct_3"]
    assert names.new("ct_2") == "ct_2_2"


def test_names_that_are_one_on_some_system_are_told_apart() -> None:
    names = CaseNames()
    given = ["Ct", "ct", "a/b", "A/B", "caf\u00e9", "cafe\u0301", "stra\u00dfe", "STRASSE"]
    assert [names.new(name) for name in given] == [
        "Ct", "ct_2", "a/b", "A/B_2", "caf\u00e9", "cafe\u0301_2", "stra\u00dfe", "STRASSE_2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "folder"),
    [("con", "_con"), ("a/NUL.1", "a/_NUL.1"), ("COM1", "_COM1"), ("lpt9 .x", "_lpt9 .x"),
     ("ct.", "ct_"), ("aux./ct ", "_aux_/ct_"), ("console", "console"), ("COM10", "COM10"),
     ("a.con", "a.con"), ("胸部\n1", "胸部_1"), ("a\x00b:c\\d", "a_b_c_d"),
     ("..", "._"), ("../../x", "._/._/x"), ("/etc", "_/etc"), ("", "_"),
     ("x" * 250, "x" * 200), ("胸" * 90, "胸" * 66), (".ct", ".ct"), ("1.2.840", "1.2.840")],
)  # fmt: skip
def test_a_case_may_be_a_folder_on_windows(name: str, folder: str) -> None:
    assert CaseNames().new(name) == folder


def test_find_volumes_in_natural_order(tmp_path: Path) -> None:
    for name in ("case10.nii.gz", "case2.nrrd", "case2.seg.nrrd", "a.txt", "b.hdr", "b.img"):
        (tmp_path / name).touch()
    write(tmp_path / "case3" / "series", ct_series())
    (tmp_path / "case4").mkdir()
    (tmp_path / "case4" / "readme.txt").write_text("nothing")
    found = [path.name for path in find_volumes(tmp_path)]
    assert found == ["case2.nrrd", "case3", "case10.nii.gz"]
    assert is_volume(tmp_path / "case3")
    assert not is_volume(tmp_path / "case4")
    assert not is_volume(tmp_path / "nowhere.nii.gz")


def test_a_folder_of_slices_is_one_volume(tmp_path: Path) -> None:
    write(tmp_path, ct_series())
    assert find_volumes(tmp_path) == [tmp_path]


def test_dicom_beside_other_images_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ct_series()[:2])
    for name in ("b10.mha", "b9.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InputError) as caught:
        find_volumes(tmp_path)
    assert (caught.value.code, caught.value.path) == ("E_FORMAT", str(tmp_path))
    assert "DICOM files (2) beside other images (2, such as b9.nii.gz)" in caught.value.reason
    assert "into folders of their own" in caught.value.remedy


def test_what_is_no_image_may_lie_beside_dicom(tmp_path: Path) -> None:
    write(tmp_path, ct_series()[:2])
    write(tmp_path / "deeper", ct_series()[2:])
    for name in ("report.pdf", "lungs.seg.nrrd", "b.hdr"):
        (tmp_path / name).touch()
    (tmp_path / "IM000.dcm").rename(tmp_path / "misnamed.nii")
    assert find_volumes(tmp_path) == [tmp_path]


def test_find_volumes_in_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"E_PATH .*nowhere: no such file or folder"):
        find_volumes(tmp_path / "nowhere")


def test_a_folder_is_searched_with_its_subfolders(tmp_path: Path) -> None:
    cr = cr_image()
    for name in ("b/p10.png", "b/p2.JPG", "a.tiff", "c/.hidden/x.png", ".x.png", "notes.txt",
                 "table.csv", "scan.nii.gz", "d/broken.dcm", "b/empty"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("d/IM1", "d/1.2.840.12", "d/1.2.840.7", "d/DICOMDIR", "d/x.txt"):
        cr.save_as(tmp_path / name, enforce_file_format=True)
    found = [str(path.relative_to(tmp_path)) for path in find_radiographs(tmp_path)]
    assert found == [
        "a.tiff", "b/p2.JPG", "b/p10.png", "d/1.2.840.7", "d/1.2.840.12", "d/IM1", "d/broken.dcm",
    ]  # fmt: skip


def test_a_folder_without_radiographs_gives_none_and_no_folder_is_refused(tmp_path: Path) -> None:
    assert find_radiographs(tmp_path) == []
    refused_by(lambda: find_radiographs(tmp_path / "none"), "E_PATH")
    refused_by(lambda: find_radiographs(save_picture(tmp_path / "a.png")), "E_PATH")


def test_a_walk_goes_through_names_with_their_numbers_counted(tmp_path: Path) -> None:
    names = ["a2/x", "a2/x1/deep", "a2.txt", "a10", "b/.hidden", ".git/config", "a01", "a1"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path)]
    assert found == ["a01", "a1", "a2/x", "a2/x1/deep", "a2.txt", "a10"]
    assert [path.name for path in children(tmp_path)] == ["a01", "a1", "a2", "a2.txt", "a10", "b"]
    assert list(walk(tmp_path / "b")) == []
    refused_by(lambda: list(walk(tmp_path / "none")), "E_PATH")
    refused_by(lambda: children(tmp_path / "a10"), "E_PATH")


def test_a_walk_follows_links(tmp_path: Path) -> None:
    inside, elsewhere = tmp_path / "in", tmp_path / "out"
    for name in ("in/a/x", "in/.store/s", "out/y", "out/deeper/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (inside / "file").symlink_to(elsewhere / "y")
    (inside / "folder").symlink_to(elsewhere)
    (inside / "folder2").symlink_to(elsewhere)
    (inside / "gone").symlink_to(tmp_path / "nowhere")
    (inside / "in_store").symlink_to(inside / ".store")
    (inside / "twin").symlink_to(inside / "a")
    found = [path.relative_to(inside).as_posix() for path in walk(inside)]
    assert found == ["a/x", "file", "folder/deeper/z", "folder/y", "folder2/deeper/z",
                     "folder2/y", "gone", "in_store/s", "twin/x"]  # fmt: skip


@pytest.mark.parametrize(
    ("link", "target"),
    [("in/up", "."), ("in/self", "in"), ("in/a/over", "in"), ("out/round", "out"),
     ("out/back", "in"), ("out/top", "."), ("out/deep/over", "out"), ("out/loop", "out/loop")],
)  # fmt: skip
def test_a_walk_does_not_go_in_circles(tmp_path: Path, link: str, target: str) -> None:
    for name in ("in/a/x", "out/deep/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in" / "elsewhere").symlink_to(tmp_path / "out")
    (tmp_path / link).symlink_to(tmp_path / target)
    found = [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path / "in")]
    found = [name for name in found if not name.endswith("/loop")]  # a file that cannot be opened
    assert found == ["in/a/x", "in/elsewhere/deep/y"]


def test_folders_that_link_to_each_other_are_walked_once_on_every_way(tmp_path: Path) -> None:
    for name, other in (("in/a", "b"), ("b", "c"), ("c", "b")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x").touch()
        (tmp_path / name / "next").symlink_to(tmp_path / other)
    found = [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path / "in")]
    assert found == ["in/a/next/next/x", "in/a/next/x", "in/a/x"]


def test_a_walk_with_too_many_links_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    for name in ("in/l1", "in/l2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / "out")
    monkeypatch.setattr(files, "MAX_LINKS", 2)
    assert list(walk(tmp_path / "in")) == []
    monkeypatch.setattr(files, "MAX_LINKS", 1)
    error = refused_by(lambda: list(walk(tmp_path / "in")), "E_PATH")
    assert "more than 1 links to folders" in error.reason


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.ENOTCONN])
def test_a_folder_that_the_system_does_not_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "a").mkdir()

    def fail(_: Path) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "is_dir", fail)
    error = refused_by(lambda: list(walk(tmp_path)), "E_PATH")
    assert error.path == str(tmp_path / "a")
    assert os.strerror(number) in error.reason or number == errno.EACCES


JUNK = (".ct_1.nii.gz", "._ct.nii.gz", ".Trash-1000/files/a.nii.gz", "__MACOSX/._a.nii.gz",
        "@eaDir/a.nii.gz", "Thumbs.db", "THUMBS.DB", "desktop.ini", "$RECYCLE.BIN/a.nii.gz",
        "~$ct.nii.gz")  # fmt: skip


@pytest.mark.parametrize("name", JUNK)
def test_what_systems_leave_is_hidden(name: str) -> None:
    assert is_hidden(name.partition("/")[0])


@pytest.mark.parametrize("name", ["ct.nii.gz", "thumbs", "a.Thumbs.db", "macosx", "~ct", "IM_1"])
def test_what_users_name_is_not_hidden(name: str) -> None:
    assert not is_hidden(name)


def test_hidden_files_are_passed_by(tmp_path: Path) -> None:
    for name in ("ct.nii.gz", *JUNK):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_volumes(tmp_path) == [tmp_path / "ct.nii.gz"]
    assert list(walk(tmp_path)) == children(tmp_path) == [tmp_path / "ct.nii.gz"]
    write(tmp_path / ".old", ct_series())
    (tmp_path / "case").mkdir()
    (tmp_path / ".old").rename(tmp_path / "case" / ".old")
    assert not is_volume(tmp_path / "case")


def test_masks_are_no_radiographs(tmp_path: Path) -> None:
    taken = ["a.png", "unmask.png", "x_mask_2.png"]
    masks = ["a_mask.png", "lung masks/a.png", "ManualMask/left/a.png", "mask.png", "A-MASKS.PNG"]
    for name in (*taken, *masks):
        save_picture(tmp_path / name)
    assert [path.name for path in find_radiographs(tmp_path)] == taken
    assert len(find_radiographs(tmp_path / "lung masks")) == 1


def test_what_was_not_taken_is_counted_by_kind(tmp_path: Path) -> None:
    for name in ("a.png", "b/c.NII.GZ", "b/d.nii.gz", "e", "case/1.txt", "lungs.seg.nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rest = passed_by(tmp_path, [tmp_path / "a.png", tmp_path / "case"])
    assert str(rest) == (
        "4 files were passed by: 2 .nii.gz, 1 without a suffix, 1 .nrrd (such as b/c.NII.GZ)."
    )
    rest = passed_by(tmp_path, [tmp_path / "b", tmp_path / "case", *tmp_path.glob("[a-l]*")])
    assert str(rest) == ""
    one = passed_by(tmp_path / "case", [])
    assert str(one) == "1 file was passed by: 1 .txt (such as 1.txt)."
    assert str(passed_by(tmp_path / "case", [tmp_path / "case"])) == ""
    (tmp_path / "case" / "1.txt").rename(tmp_path / "case" / "a\nb.txt")
    assert "(such as a\\nb.txt)" in str(passed_by(tmp_path / "case", []))
