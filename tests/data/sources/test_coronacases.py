# SPDX-License-Identifier: Apache-2.0
"""The 20-case set: both layouts, slices of unknown lung, volumes in a window, the real set."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from phantoms import make_coronacases_set, save_nifti, tiny_chest

from medvol.data.lung_lesions import LABELS, NO_LESION
from medvol.data.sources.coronacases import ONLY_HERE, find_cases, read
from medvol.errors import InputError
from medvol.images import read_image


@pytest.mark.parametrize("published", [False, True])
def test_lesions_are_told_apart_by_their_density(tmp_path, published):
    folder = make_coronacases_set(tmp_path / "in", published=published)
    read(folder, tmp_path, folds=1)
    written = nibabel.load(tmp_path / "labels" / "coronacases_001_label.nii.gz")
    truth = tiny_chest()
    assert np.array_equal(np.asarray(written.dataobj), truth.labels)
    assert np.array_equal(written.affine, truth.affine)


def test_the_lung_is_left_open_where_it_is_not_known(tmp_path):
    folder = make_coronacases_set(tmp_path / "in")
    lines = [f"coronacases_001,{z},{int(z != 6)}" for z in range(16)]
    (folder / "slices.csv").write_text("\n".join(["case,slice,lung_known", *lines]))
    datalist = read(folder, tmp_path, folds=1)
    assert datalist.labels == {label.value: label.name for label in LABELS} | {
        0: "background", NO_LESION: "background or lung"
    }  # fmt: skip
    labels = nibabel.load(tmp_path / "labels" / "coronacases_001_label.nii.gz").get_fdata()
    truth = tiny_chest().labels
    assert np.array_equal(np.delete(labels, 6, 2), np.delete(truth, 6, 2))
    # 32 x 32 voxels, of which 16 are ground-glass and 16 consolidation
    assert [int((labels[..., 6] == value).sum()) for value in (0, 1, 2, 3, 4)] == [
        0, 16, 16, 0, 992
    ]  # fmt: skip


def test_slices_of_another_volume_are_refused(tmp_path):
    folder = make_coronacases_set(tmp_path / "in")
    (folder / "slices.csv").write_text("case,slice,lung_known\ncoronacases_001,0,1\n")
    with pytest.raises(InputError, match="has 16 slices, of which it counts 1") as refusal:
        read(folder, tmp_path, folds=1)
    assert refusal.value.code == "E_GEOMETRY"
    (folder / "slices.csv").write_text("volume,slice\ncoronacases_001,0\n")
    with pytest.raises(InputError, match="no columns case, slice and lung_known") as refusal:
        read(folder, tmp_path, folds=1)
    assert refusal.value.code == "E_FORMAT"
    lines = [f"coronacases_001,{number},1" for number in range(1, 17)]  # from 1
    (folder / "slices.csv").write_text("\n".join(["case,slice,lung_known", *lines]))
    with pytest.raises(InputError, match="not counted from 0") as refusal:
        read(folder, tmp_path, folds=1)
    assert refusal.value.code == "E_FORMAT"


def test_of_the_radiopaedia_volumes_only_that_of_another_patient_is_read(tmp_path):
    cases = ("coronacases_001", "radiopaedia_4_85506_1", ONLY_HERE)
    folder = make_coronacases_set(tmp_path, cases, published=True)
    assert [files.case for files in find_cases(folder)] == ["coronacases_001", ONLY_HERE]


def test_a_volume_in_a_window_is_written_in_hu(tmp_path):
    folder = make_coronacases_set(tmp_path / "in", (ONLY_HERE,), published=True)
    made = tiny_chest()
    grey = np.clip((made.ct + 1250.0) * 255 / 1500, 0, 255).round().astype(np.uint8)
    save_nifti(folder / "COVID-19-CT-Seg_20cases" / f"{ONLY_HERE}.nii.gz", grey, made.affine)
    datalist = read(folder, tmp_path, folds=1)
    written = read_image(Path(datalist.parts["training"][0]["image"]))
    assert written.path.name == f"{ONLY_HERE}_ct.nii.gz"
    assert np.abs(written.array - made.ct.astype(float)).max() <= 3  # half a grey is 2.94 HU


def test_a_mask_of_two_classes_is_refused(tmp_path):
    folder = make_coronacases_set(tmp_path / "in")
    made = tiny_chest()
    two = np.where(made.labels < 3, made.labels, 0).astype(np.uint8)
    save_nifti(folder / "coronacases_001_lesion.nii.gz", two, made.affine)
    with pytest.raises(InputError, match="known values are 0, 1") as refusal:
        read(folder, tmp_path, folds=1)
    assert refusal.value.code == "E_VALUES"


def test_real_set(real_data, tmp_path):
    datalist = read(real_data / "ct_coronacases", tmp_path)
    facts = datalist.about["facts"]
    assert len(facts) == 8
    # as counted in the masks themselves: all lesion, whichever its kind
    lesion = {
        case: own["voxels"]["ground-glass opacity"] + own["voxels"]["consolidation"]
        for case, own in facts.items()
    }
    files = real_data / "ct_coronacases"
    for case in ("coronacases_004", ONLY_HERE):
        mask = nibabel.load(files / f"{case}_lesion.nii.gz").get_fdata()
        assert lesion[case] == int((mask > 0).sum())
