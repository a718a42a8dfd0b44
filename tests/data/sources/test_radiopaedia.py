# SPDX-License-Identifier: Apache-2.0
"""The Radiopaedia volumes: both layouts, refusals, and the real set where it is at hand."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from phantoms import make_radiopaedia_set, save_nifti, tiny_chest

from medvol.data.lung_lesions import merge_labels
from medvol.data.sources.radiopaedia import patient_of, read
from medvol.errors import InputError


def test_label_maps_are_merged_and_patients_kept_together(tmp_path):
    datalist = read(make_radiopaedia_set(tmp_path / "in"), tmp_path, folds=3)
    fold = {row["case"]: row["fold"] for row in datalist.parts["training"]}
    # rp2+rp3 have twice the lesion of the others and open fold 0
    assert fold == {"rp1": 1, "rp2": 0, "rp3": 0, "rp4": 2}
    written = nibabel.load(tmp_path / "labels" / "rp1_label.nii.gz")
    truth = tiny_chest()
    assert written.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(written.dataobj), truth.labels)
    assert np.array_equal(written.affine, truth.affine)


def test_original_layout_gives_the_same_with_effusion_as_background(tmp_path):
    made = tiny_chest()
    mask = np.where(made.labels < 3, made.labels, 0).astype(np.uint8)
    mask[20:24, 12:14, 5] = 3  # pleural effusion, 8 voxels of the lung mask
    sides = np.where(made.labels > 0, 1, 0).astype(np.uint8)
    sides[16:] *= 2  # right lung 1, left lung 2
    for kind, array in (("rp_im", made.ct), ("rp_msk", mask), ("rp_lung_msk", sides)):
        save_nifti(tmp_path / "in" / kind / "1.nii.gz", array, made.affine)
    datalist = read(tmp_path / "in", tmp_path, folds=1)
    assert datalist.about["facts"]["rp1"]["voxels"] == {
        "ground-glass opacity": 64, "consolidation": 32, "lung (rest)": 1432
    }  # fmt: skip


def test_a_lesion_outside_the_lung_mask_stays_a_lesion():
    assert merge_labels([[1, 2, 0, 3]], [[0, 0, 1, 1]]).tolist() == [[1, 2, 3, 0]]


def spoil_grid(folder: Path) -> None:
    made = tiny_chest()
    made.affine[0, 3] += 1.0
    save_nifti(folder / "rp4_lung.nii.gz", (made.labels > 0).astype(np.uint8), made.affine)


def spoil_shape(folder: Path) -> None:
    made = tiny_chest()
    save_nifti(folder / "rp4_lesion.nii.gz", made.labels[:-1] * 0, made.affine)


def spoil_values(folder: Path) -> None:
    made = tiny_chest()
    save_nifti(folder / "rp4_lesion.nii.gz", made.labels * 7, made.affine)


def spoil_missing(folder: Path) -> None:
    (folder / "rp4_lung.nii.gz").unlink()


@pytest.mark.parametrize(
    ("spoil", "code", "file", "words"),
    [
        (spoil_grid, "E_GEOMETRY", "rp4_lung.nii.gz", "does not lie on the grid of rp4_ct"),
        (spoil_shape, "E_GEOMETRY", "rp4_lesion.nii.gz", r"shape \(31, 32, 16\)"),
        (spoil_values, "E_VALUES", "rp4_lesion.nii.gz", "holds 7, 14, 21; known values are 0"),
        (spoil_missing, "E_PATH", "rp4_lung.nii.gz", "no such file"),
    ],
    ids=["shifted by 1 mm", "other shape", "unknown values", "missing"],
)
def test_a_mask_that_does_not_belong_is_refused(tmp_path, spoil, code, file, words):
    folder = make_radiopaedia_set(tmp_path / "in")
    spoil(folder)
    with pytest.raises(InputError, match=words) as refusal:
        read(folder, tmp_path, folds=2)
    assert refusal.value.code == code
    assert Path(refusal.value.path).name == file


@pytest.mark.parametrize(
    ("cases", "words"),
    [((), "0 cases of 0 patients"), (("rp2", "rp3"), "2 cases of 1 patients")],
    ids=["empty folder", "one patient"],
)
def test_too_few_patients_are_refused(tmp_path, cases, words):
    make_radiopaedia_set(tmp_path, cases)
    with pytest.raises(InputError, match=words) as refusal:
        read(tmp_path, tmp_path, folds=2)
    assert refusal.value.code == "E_EMPTY"


def test_patients():
    assert [patient_of(c) for c in ("rp1", "rp3", "rp6", "rp7")] == [
        "rp1", "rp2+rp3", "rp6+rp7", "rp6+rp7"
    ]  # fmt: skip


def test_real_set(real_data, tmp_path):
    datalist = read(real_data / "ct_radiopaedia", tmp_path)
    folds = {row["case"]: row["fold"] for row in datalist.parts["training"]}
    assert folds == {
        "rp1": 1, "rp2": 3, "rp3": 3, "rp4": 2, "rp6": 1, "rp7": 1, "rp8": 2, "rp9": 0
    }  # fmt: skip
    assert datalist.about["facts"]["rp1"]["voxels"]["ground-glass opacity"] == 64838
    assert datalist.about["facts"]["rp6"]["voxels"]["ground-glass opacity"] == 24
