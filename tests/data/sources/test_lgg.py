# SPDX-License-Identifier: Apache-2.0
"""The LGG slices: volumes, datalist, run lengths, and what is not the data set."""

import csv
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from brain_phantoms import TUMOUR, TUMOUR_BOX, make_lgg_set, save_slices, tiny_brain
from PIL import Image
from refusals import refused_by

from medvol.data.sources.lgg import LABELS, SliceRow, fold_rows, patient_of, read
from medvol.images import read_image
from medvol.images.rle import decode_rle

DATA = os.environ.get("MEDVOL_TEST_DATA")
CASE = "TCGA_XX_0000_20000101"


def slices(folder: Path) -> list[dict[str, str]]:
    with open(folder / "slices.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_volumes_and_masks_in_patient_axes(tmp_path: Path) -> None:
    datalist = read(make_lgg_set(tmp_path / "in"), tmp_path / "out", folds=2)
    row = datalist.parts["training"][0]
    assert (row["case"], row["patient"]) == (CASE, "TCGA_XX_0000")
    image, made = read_image(row["image"], "sequences"), tiny_brain()
    assert np.array_equal(image.seen, made.sequences)
    assert [note.code for note in image.notes] == ["N_SIZE"]  # a head of 3 cm
    label = nibabel.load(row["label"])
    assert np.array_equal(np.asarray(label.dataobj), made.mask)
    assert nibabel.aff2axcodes(label.affine) == ("L", "P", "S")
    assert label.header.get_zooms() == pytest.approx((0.9, 0.9, 5.0))
    assert (np.asarray(nibabel.load(Path(row["image"]) / "flair.nii.gz").dataobj)[TUMOUR_BOX]
            == TUMOUR[1]).all()  # fmt: skip


def test_facts_and_folds(tmp_path: Path) -> None:
    folder = make_lgg_set(tmp_path / "in")
    save_slices(folder / "TCGA_XX_0000_20010101", tiny_brain())  # the first patient, a year later
    datalist = read(folder, tmp_path / "out", folds=2, spacing=(1, 1, 10))
    fold = {row["case"]: row["fold"] for row in datalist.parts["training"]}
    assert fold[CASE] == fold["TCGA_XX_0000_20010101"]
    assert set(fold.values()) == {0, 1}
    facts = datalist.about["facts"][CASE]
    assert facts["slices"] == 6
    assert facts["tumour_slices"] == 2
    assert facts["voxels"] == {"brain tumour": 72}
    assert facts["ml"] == {"brain tumour": pytest.approx(0.72)}
    assert facts["sequences_equal_to_flair"] == []
    assert datalist.about["modality"] == {"0": "MR"}
    assert datalist.about["labels"] == {"0": "background", "1": "brain tumour"}
    assert fold_rows(datalist)[-1] == ["all", "4", "30", "8", "288"]


def test_a_sequence_that_is_a_copy_of_flair_is_said(tmp_path: Path) -> None:
    made = tiny_brain()
    made.sequences[2] = made.sequences[1]
    save_slices(tmp_path / "in" / "p_1", made)
    datalist = read(tmp_path / "in", tmp_path / "out", folds=1)
    assert datalist.about["facts"]["p_1"]["sequences_equal_to_flair"] == ["t1c"]


def test_slices_with_encoded_masks(tmp_path: Path) -> None:
    read(make_lgg_set(tmp_path / "in"), tmp_path / "out", folds=2)
    table = slices(tmp_path / "out")
    assert list(table[0]) == list(SliceRow._fields)
    assert len(table) == 24
    third = table[2]
    assert third["image"] == f"{CASE}/{CASE}_3.tif"
    assert (third["has_tumour"], third["tumour_pixels"]) == ("1", "36")
    # six columns of six pixels, 40 rows a column: the first begins at pixel 8 * 40 + 10 + 1
    assert third["mask_rle"].startswith("331 6 371 6 411 6")
    mask = decode_rle(third["mask_rle"], (int(third["rows"]), int(third["columns"])))
    assert np.array_equal(mask, tiny_brain().mask[:, :, 2].T)
    assert [row["has_tumour"] for row in table[18:]] == ["0"] * 6


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks_are_turned_as_their_slices_are(suffix: str, tmp_path: Path) -> None:
    """Stored on their side, with the EXIF tag that says so; both come back as they were."""
    made, folder = tiny_brain(), save_slices(tmp_path / "in" / "p_1", tiny_brain(), suffix=suffix,
                                             masks=suffix)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored picture is to be turned to the right
    for path in folder.iterdir():
        with Image.open(path) as picture:
            turned = picture.transpose(Image.Transpose.ROTATE_90)
        turned.save(path, exif=exif)
    (row,) = read(tmp_path / "in", tmp_path / "out", folds=1).parts["training"]
    assert np.array_equal(read_image(row["image"], "sequences").seen, made.sequences)
    assert np.array_equal(read_image(row["label"], "mask").array, made.mask)


def test_masks_of_ones_are_masks(tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "in" / "p_1", tiny_brain(), masks=".png")
    for path in folder.glob("*_mask.png"):
        with Image.open(path) as picture:
            ones = Image.fromarray(np.asarray(picture) // 255)
        ones.save(path)
    (row,) = read(tmp_path / "in", tmp_path / "out", folds=1).parts["training"]
    assert np.array_equal(read_image(row["label"], "mask").array, tiny_brain().mask)


def test_a_set_without_any_tumour_is_refused(tmp_path: Path) -> None:
    save_slices(tmp_path / "in" / "p_1", tiny_brain(tumour=False))
    error = refused_by(lambda: read(tmp_path / "in", tmp_path / "out", folds=1), "E_LABELS")
    assert (error.path, error.reason) == (
        str(tmp_path / "out" / "labels"), "none of its 1 label map has foreground."
    )  # fmt: skip
    save_slices(tmp_path / "in" / "p_2", tiny_brain())
    assert len(read(tmp_path / "in", tmp_path / "out", folds=1).parts["training"]) == 2


@pytest.mark.parametrize(
    ("case", "patient"),
    [("TCGA_CS_4941_19960909", "TCGA_CS_4941"), ("p1", "p1"), ("a_b", "a_b"), ("_1", "_1")],
)
def test_patient_of_an_examination(case: str, patient: str) -> None:
    assert patient_of(case) == patient


def test_what_is_not_the_set_is_refused(tmp_path: Path) -> None:
    folder = make_lgg_set(tmp_path / "in", patients=2)
    out = tmp_path / "out"
    refused_by(lambda: read(tmp_path / "none", out), "E_PATH")
    error = refused_by(lambda: read(folder, out, folds=3), "E_EMPTY")
    assert "2 cases of 2 patients are too few for 3 folds" in error.reason
    Image.new("L", (9, 9)).save(folder / CASE / f"{CASE}_2_mask.tif")
    refused_by(lambda: read(folder, out, folds=2), "E_DIMS")
    (folder / CASE / f"{CASE}_2_mask.tif").write_bytes(b"II*\0")
    refused_by(lambda: read(folder, out, folds=2), "E_TRUNCATED")
    (folder / CASE / f"{CASE}_2_mask.tif").unlink()
    error = refused_by(lambda: read(folder, out, folds=2), "E_PATH")
    assert f"{CASE}_2_mask" in error.reason


def test_the_table_names_what_the_masks_hold() -> None:
    assert [(label.value, label.name) for label in LABELS] == [(1, "brain tumour")]


@pytest.mark.skipif(not DATA, reason="MEDVOL_TEST_DATA names no folder")
def test_real_examinations(tmp_path: Path) -> None:
    """Two of the 99: slices, pixels and copies of FLAIR as their own table says."""
    source = Path(str(DATA)) / "mri_lgg"
    names = ["TCGA_CS_4941_19960909", "TCGA_FG_6692_20020606"]
    for name in names:
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).symlink_to(source / name)
    read(tmp_path / "in", tmp_path / "out", folds=2)
    rows = slices(tmp_path / "out")
    with open(source / "slices.csv", encoding="utf-8") as file:
        truth = {(r["case"], int(r["slice"])): r for r in csv.DictReader(file)}
    assert len(rows) == sum(case in names for case, _ in truth)
    for row in rows:
        assert row["tumour_pixels"] == truth[row["case"], int(row["slice"])]["tumour_pixels"]
