# SPDX-License-Identifier: Apache-2.0
"""A folder of images as MONAI's datasets take it."""

import os
from pathlib import Path

import pytest
from refusals import refused_by

from medvol.data.folder import image_items
from medvol.errors import InputError


def test_images_in_natural_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("case10.nii.gz", "case2.nii.gz", "b.nrrd", "b.seg.nrrd", "notes.txt", "table.csv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty folder").mkdir()
    items = image_items(tmp_path)
    assert items == [
        {"image": str(tmp_path / name)} for name in ("b.nrrd", "case2.nii.gz", "case10.nii.gz")
    ]


def test_the_key_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "a.mha").write_bytes(b"x")
    assert image_items(os.fspath(tmp_path), image_key="ct") == [{"ct": str(tmp_path / "a.mha")}]


def test_a_folder_of_dicom_slices_is_one_image(tmp_path: Path) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    (scan / "1.dcm").write_bytes(bytes(128) + b"DICM")
    assert image_items(tmp_path) == [{"image": str(scan)}]
    assert image_items(scan) == [{"image": str(scan)}]


@pytest.mark.parametrize(
    ("names", "case"),
    [
        (("a.mha", "a.nii.gz"), "a"),
        (("1.2.nii", "1.2.zip"), "1.2"),
        (("A.NRRD", "A.nii"), "A"),
        (("Ct.mha", "ct.mha"), "ct"),
    ],
    ids=["suffixes", "dots", "capitals", "capitals alone"],
)
def test_two_images_of_one_case_are_refused(
    tmp_path: Path, names: tuple[str, str], case: str
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        image_items(tmp_path)
    assert (caught.value.code, caught.value.path) == ("E_PATH", os.fspath(tmp_path / names[1]))
    assert f"it and {names[0]} are both called {case}," in caught.value.reason
    assert caught.value.remedy == "Rename one of them."


def test_names_that_differ_behind_a_dot_are_two_cases(tmp_path: Path) -> None:
    for name in ("1.2.840.10", "1.2.840.11"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.dcm").write_bytes(bytes(128) + b"DICM")
    assert [Path(item["image"]).name for item in image_items(tmp_path)] == [
        "1.2.840.10", "1.2.840.11",
    ]  # fmt: skip


def test_hidden_things_are_passed_by_and_the_rest_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `monai.bundle run` lists a folder, for each kind of image."""
    junk = ("._a.nii.gz", ".ct_1.nii.gz", ".Trash-1000/files/a.nii.gz", "Thumbs.db", "desktop.ini",
            "__MACOSX/a.png", "@eaDir/a.png", ".p/flair.nii.gz", "._p_1.png")  # fmt: skip
    for name in (*junk, *("p/" + name for name in junk), "a.nii.gz", "p/flair.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert image_items(tmp_path) == [{"image": str(tmp_path / "a.nii.gz")}]
    assert image_items(tmp_path, kind="sequences") == [{"image": str(tmp_path / "p")}]
    assert caplog.messages == [
        f"{tmp_path}: N_OTHER 1 file was passed by: 1 .nii.gz (such as {name})."
        for name in ("p/flair.nii.gz", "a.nii.gz")
    ]
    error = refused_by(lambda: image_items(tmp_path, kind="radiograph"), "E_EMPTY")
    assert error.reason == (
        "the folder holds no radiograph that medvol reads. 2 files were passed by: 2 .nii.gz "
        "(such as a.nii.gz)."
    )


def test_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError) as caught:
        image_items(tmp_path)
    assert (caught.value.code, caught.value.path) == ("E_EMPTY", os.fspath(tmp_path))
    assert "NIfTI" in caught.value.remedy


def test_no_such_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        image_items(tmp_path / "none")
    assert (caught.value.code, caught.value.path) == ("E_PATH", os.fspath(tmp_path / "none"))


def test_radiographs_of_folders_in_folders(tmp_path: Path) -> None:
    for name in ("b/x10.png", "b/x2.JPG", "a.tiff", "notes.txt", ".hidden/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [str(tmp_path / name) for name in ("a.tiff", "b/x2.JPG", "b/x10.png")]
    assert image_items(tmp_path, image_key="xray", kind="radiograph") == [
        {"xray": path} for path in found
    ]


@pytest.mark.parametrize(("name", "code"), [("none", "E_EMPTY"), ("missing", "E_PATH")])
def test_folders_without_radiographs(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "ct.nii.gz").write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        image_items(tmp_path / name, kind="radiograph")
    assert caught.value.code == code
