# SPDX-License-Identifier: Apache-2.0
"""CTs of one's own with masks: paired by name, in one numbering, on the grid of their image."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from phantoms import save_nifti
from refusals import refused_by

from medvol.cli import main
from medvol.data.datalist import Datalist
from medvol.data.sources.masks import paired, read, table_of
from medvol.images import read_image
from medvol.labels import Label, LabelTable
from medvol.outputs.seg_nrrd import write_seg_nrrd

SHAPE, AFFINE = (12, 10, 6), np.diag([-2.0, -2.0, 4.0, 1.0])
RED = (200, 0, 0)


def ct(folder: Path, name: str, seed: int = 0) -> Path:
    values = np.random.default_rng(seed).integers(-900, 100, SHAPE).astype(np.int16)
    return Path(save_nifti(folder / name, values, AFFINE))


def drawn(folder: Path, name: str, segments: dict[str, tuple[slice, ...]], first: int = 0) -> None:
    """Segments as 3D Slicer saves them, from slice `first` on."""
    array, table = np.zeros(SHAPE, np.uint8), []
    for value, (label, where) in enumerate(segments.items(), start=1):
        array[where] = value
        table.append(Label(value, label, RED))
    affine = AFFINE.copy()
    affine[2, 3] = first * 4.0
    folder.mkdir(parents=True, exist_ok=True)
    write_seg_nrrd(folder / name, array[:, :, first:], affine, LabelTable(tuple(table)))


LIVER = (slice(2, 5), slice(2, 5), slice(3, 5))
SPLEEN = (slice(8, 10), slice(2, 5), slice(3, 5))


def map_of(datalist: Datalist, case: str) -> npt.NDArray[Any]:
    item = next(x for x in datalist.parts["training"] if x["case"] == case)
    return read_image(item["label"], "mask").array


def test_segments_get_the_same_numbers_whatever_their_order_and_crop(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ct(tmp_path / "ct", f"{name}.nii.gz")
    drawn(tmp_path / "m", "a.seg.nrrd", {"Liver": LIVER, "spleen": SPLEEN})
    drawn(tmp_path / "m", "b.seg.nrrd", {"Spleen": SPLEEN, "liver": LIVER}, first=2)
    datalist = read(tmp_path / "ct", tmp_path / "m", tmp_path / "out", folds=2)
    assert datalist.labels == {0: "background", 1: "Liver", 2: "spleen"}
    for case in ("a", "b"):
        labels = map_of(datalist, case)
        assert labels.shape == SHAPE
        assert (labels[LIVER] == 1).all()
        assert (labels[SPLEEN] == 2).all()
        assert int((labels > 0).sum()) == 18 + 12
    assert {item["fold"] for item in datalist.parts["training"]} == {0, 1}


def test_label_maps_are_named_and_values_of_one_name_become_one_label(tmp_path: Path) -> None:
    ct(tmp_path, "p1_ct.nii.gz")
    values = np.zeros(SHAPE, np.uint8)
    values[LIVER], values[SPLEEN], values[0, 0, 0] = 3, 7, 5
    save_nifti(tmp_path / "p1_mask.nii.gz", values, AFFINE)
    given = ["3=lung", "5=lung", "7=lesion"]
    datalist = read(tmp_path, tmp_path, tmp_path / "out", labels=given)
    assert datalist.labels == {0: "background", 1: "lung", 2: "lesion"}
    labels = map_of(datalist, "p1_ct")
    assert (labels[LIVER] == 1).all()
    assert labels[0, 0, 0] == 1
    assert (labels[SPLEEN] == 2).all()


def test_segments_that_are_not_asked_for_are_left_out(tmp_path: Path) -> None:
    ct(tmp_path / "ct", "a.nii.gz")
    drawn(tmp_path / "m", "a.seg.nrrd", {"skin": LIVER, "spleen": SPLEEN})
    datalist = read(tmp_path / "ct", tmp_path / "m", tmp_path / "out", labels=["Spleen"])
    assert datalist.labels == {0: "background", 1: "Spleen"}
    assert np.unique(map_of(datalist, "a")).tolist() == [0, 1]


def test_the_command_writes_and_draws_and_patients_share_a_fold(tmp_path: Path) -> None:
    for name in ("p1_a", "p1_b", "p2_a"):
        ct(tmp_path / "ct", f"{name}.nii.gz", seed=len(name))
        drawn(tmp_path / "m", f"{name}.seg.nrrd", {"liver": LIVER})
    words = [
        "data",
        "masks",
        str(tmp_path / "ct"),
        str(tmp_path / "m"),
        "-o",
        str(tmp_path / "o" / "datalist.json"),
    ]
    assert main([*words, "--folds", "2", "--patient-pattern", r"^(p\d+)_"]) == 0
    content = json.loads((tmp_path / "o" / "datalist.json").read_text())
    folds = {item["case"]: item["fold"] for item in content["training"]}
    assert folds["p1_a"] == folds["p1_b"] != folds["p2_a"]
    assert (tmp_path / "o" / "overview.png").is_file()
    assert content["training"][0]["label"] == "labels/p1_a_label.nii.gz"


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ((), "E_EMPTY", "holds no image"),
        (("a.nii.gz", "b.nii.gz", "a.seg.nrrd"), "E_PATH", "1 image of 2 without a mask: b.nii.gz"),
        (("a.nii.gz", "a.seg.nrrd", "a_seg.seg.nrrd"), "E_PATH", "a has 2 masks"),
        (("a.nii", "a.nii.gz", "a.seg.nrrd"), "E_PATH", "a.nii and a.nii.gz are both the case a"),
    ],
)
def test_an_image_has_one_mask(
    tmp_path: Path, files: tuple[str, ...], code: str, words: str
) -> None:
    for folder in ("ct", "m"):
        (tmp_path / folder).mkdir()
    for name in files:
        if name.endswith(".nrrd"):
            drawn(tmp_path / "m", name, {"liver": LIVER})
        else:
            ct(tmp_path / "ct", name)
    assert words in refused_by(lambda: paired(tmp_path / "ct", tmp_path / "m"), code).reason


def test_a_mask_of_another_place_and_values_without_a_name_are_refused(tmp_path: Path) -> None:
    ct(tmp_path / "ct", "a.nii.gz")
    values = np.zeros(SHAPE, np.uint8)
    values[LIVER] = 2
    moved = AFFINE.copy()
    moved[:3, 3] = 1.0  # half a voxel
    save_nifti(tmp_path / "m" / "a.nii.gz", values, moved)
    arguments = (tmp_path / "ct", tmp_path / "m", tmp_path / "out")
    error = refused_by(lambda: read(*arguments), "E_LABELS")
    assert "values without a name: [2]" in error.reason
    assert "--labels 2=name2" in error.remedy
    refused_by(lambda: read(*arguments, labels=["2=liver"]), "E_GEOMETRY")


def test_a_segment_that_no_mask_has_and_masks_of_nothing_are_refused(tmp_path: Path) -> None:
    refused_by(lambda: table_of(tmp_path, [], ["liver"]), "E_LABELS")
    refused_by(lambda: table_of(tmp_path, [], None), "E_LABELS")


@pytest.mark.parametrize("word", ["0=liver", "x=liver", "1=", "1=a 1=b"])
def test_names_of_values_that_mean_nothing_are_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ValueError, match="one name"):
        table_of(tmp_path, [], word.split())
