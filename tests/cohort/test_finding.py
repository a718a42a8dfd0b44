# SPDX-License-Identifier: Apache-2.0
"""The cases of a tree: what `predict` finds in each folder, and in folders that lie deeper."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from support.dicom_phantoms import OTHER_UID, SERIES_UID, ct_series, stored_values, write

from medvol.bundle.spec import read_spec
from medvol.cohort.finding import Image, named, order, taker_for
from medvol.cohort.walk import Kept, search
from medvol.images.files import natural_key
from medvol.tasks.cases import find_cases
from medvol.tasks.task import task_of

CT, MR, XRAY = "covid_ct_lesion_3d", "brain_mri_tumor", "chest_xray_covid"


def found(
    root: Path, bundle: str, *, every_series: bool = False
) -> tuple[list[tuple[str, Image]], Counter[str]]:
    kept = Kept(root.parent / "plan.part", root)
    folders, _ = search(root, kept)
    others = Counter[str]()
    taker = taker_for(task_of(read_spec(bundle)), root, every_series=every_series)
    for folder in sorted(folders, key=lambda folder: folder.split("/")):
        taker.take(kept.found(folder), others)
    kept.close()
    return named(list(taker.images(others)), root), +others


def series(
    uid: str = SERIES_UID, number: int = 1, *, slices: int = 3, study: str = "1.2.3", **changed: Any
) -> list[Dataset]:
    return ct_series(
        stored_values()[:slices], series=uid, SeriesNumber=number, StudyInstanceUID=study, **changed
    )


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Volumes, two studies, radiographs and patients of MR, as `predict` takes a folder of them."""
    root = tmp_path / "mixed"
    write(root / "p10", series() + series(OTHER_UID, 2, slices=5))
    write(root / "p2/inside", series("1.9.1", study="1.9"))
    for name in ("ct1.nii.gz", "CT1.nii", "p7/flair.nii.gz", "p7/t1.nii.gz", "x1/1.png", "x1/2.JPG",
                 "x1/2_mask.png", "masks/1.png", "x1/notes.txt", "p8/s_1.tif"):  # fmt: skip
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(name.encode())
    write(root / "x1", series("1.8.1", slices=1, study="1.8", Modality="DX"))
    return root


def test_radiographs_are_those_of_predict(mixed: Path) -> None:
    images, others = found(mixed, XRAY)
    wanted = find_cases(task_of(read_spec(XRAY)), [mixed])
    ct = {str(path) for path in mixed.rglob("*") if path.is_relative_to(mixed / "p10")}
    ct |= {str(path) for path in (mixed / "p2/inside").iterdir()}
    assert [(name, str(mixed / image.path)) for name, image in images] == [
        (case.name, case.path) for case in wanted if case.path not in ct
    ]
    assert len(images) == 4
    assert others == {"DICOM image of CT": 11, "mask": 2, "volume": 4}


def test_patients_of_mr_are_those_of_predict(mixed: Path) -> None:
    images, _ = found(mixed, MR)
    wanted = find_cases(task_of(read_spec(MR)), [mixed])
    assert [(name, str(mixed / image.path)) for name, image in images] == [
        (case.name, case.path) for case in wanted
    ]
    assert [image.size_bytes for _, image in images if image.path == "p7"] == [27]


def test_volumes_and_series_are_those_of_predict(mixed: Path) -> None:
    images, others = found(mixed, CT, every_series=True)
    wanted = {
        (case.name, case.path, case.series or "")
        for case in find_cases(task_of(read_spec(CT)), [mixed], all_series=True)
    }
    got = {(name, str(mixed / image.path), image.series) for name, image in images}
    inside = ("p2/inside", str(mixed / "p2/inside"), "1.9.1")  # nearer to its files than predict's
    deeper = {(f"p7/{x}", str(mixed / f"p7/{x}.nii.gz"), "") for x in ("flair", "t1")}
    assert got - wanted == {inside, *deeper}
    assert wanted - got == {
        ("p2", str(mixed / "p2"), "1.9.1"), ("x1", str(mixed / "x1"), "1.8.1"),
    }  # fmt: skip
    assert others == {
        "series of DX": 1,
        "image beside DICOM": 3,
        "mask": 1,
        "picture or half of an image": 1,
    }


def test_of_a_study_the_series_that_suits_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "in/study/thick", series(slices=4, step=(0, 0, 5)))
    write(tmp_path / "in/study/thin", series(OTHER_UID, 2, slices=4))
    write(tmp_path / "in/study/mpr", series("1.7", 3, slices=8, ImageType=["DERIVED", "MPR"]))
    images, others = found(tmp_path / "in", CT)
    assert [(name, image.series) for name, image in images] == [("study/thin", OTHER_UID)]
    assert others == {"series that suits less than another of its study": 2}


def test_series_of_which_none_suits_are_left_to_the_refusal(tmp_path: Path) -> None:
    kind = ["DERIVED", "PRIMARY", "MPR"]
    write(tmp_path / "in/p/study/a", series(ImageType=kind))
    write(tmp_path / "in/p/study/b", series(OTHER_UID, 2, ImageType=kind))
    images, _ = found(tmp_path / "in", CT)
    assert [(name, image.path, image.series) for name, image in images] == [
        ("p/study", "p/study", "")
    ]


def test_a_study_all_over_the_tree_of_which_none_suits_is_counted(tmp_path: Path) -> None:
    kind = ["DERIVED", "PRIMARY", "MPR"]
    write(tmp_path / "in/a", series(ImageType=kind))
    write(tmp_path / "in/b", series(OTHER_UID, 2, ImageType=kind))
    images, others = found(tmp_path / "in", CT)
    assert images == []
    assert others == {"study across the whole tree of which no series suits": 1}


def test_parts_of_a_series_are_one_image_and_copies_are_not_taken_twice(tmp_path: Path) -> None:
    images = series(slices=6)
    write(tmp_path / "in/p/DIR1", images[:3])
    write(tmp_path / "in/p/DIR2", images[3:])
    copied = series(OTHER_UID, study="1.9")
    write(tmp_path / "in/a", copied)
    write(tmp_path / "in/b", copied)
    cases, others = found(tmp_path / "in", CT)
    assert [(name, image.path, image.series) for name, image in cases] == [
        ("a", "a", OTHER_UID), ("p", "p", SERIES_UID),
    ]  # fmt: skip
    assert cases[1][1].size_bytes == sum(x.stat().st_size for x in tmp_path.rglob("in/p/*/*"))
    assert others == {"series that repeats another": 1}


def test_a_series_that_lies_in_a_folder_and_deeper_is_read_from_the_folder(tmp_path: Path) -> None:
    images = series(slices=6)
    write(tmp_path / "in/p", images[:3])
    write(tmp_path / "in/p/more", images[3:])
    cases, _ = found(tmp_path / "in", CT)
    assert [(name, image.path, image.series) for name, image in cases] == [("p", "p", SERIES_UID)]


def test_a_damaged_slice_leaves_its_folder_to_the_refusal(tmp_path: Path) -> None:
    write(tmp_path / "in/a", series())
    (tmp_path / "in/a/x.dcm").write_bytes(b"<html>")
    images, _ = found(tmp_path / "in", CT)
    assert [(image.path, image.series) for _, image in images] == [("a", "")]
    assert images[0][1].size_bytes == sum(x.stat().st_size for x in tmp_path.rglob("in/a/*"))
    refused = find_cases(task_of(read_spec(CT)), [tmp_path / "in"], all_series=True)
    assert [(case.path, case.error is None) for case in refused] == [
        (str(tmp_path / "in/a"), False)
    ]


def test_a_folder_that_is_itself_a_study_is_called_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "chest", series() + series(OTHER_UID, 2))
    images, _ = found(tmp_path / "chest", CT, every_series=True)
    assert [name for name, _ in images] == ["chest_series1", "chest_series2"]


def test_the_order_is_that_of_a_listing_by_name() -> None:
    paths = [
        "a/x10",
        "a/x9",
        "a/x9b",
        "a/x09",
        "a-b",
        "a",
        "A10/x",
        "A9/x",
        "a1/x",
        "x/1",
        "x/10/a",
    ]
    listed = sorted(paths, key=lambda path: [(natural_key(Path(x)), x) for x in path.split("/")])
    assert sorted(paths, key=lambda path: order(Image(path, 0))) == listed
    one, two = Image("a", 0, "1.9", 10), Image("a", 0, "1.8", 9)
    assert sorted([Image("a", 0, "1.1"), one, two], key=order) == [two, one, Image("a", 0, "1.1")]
