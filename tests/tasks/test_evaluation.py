# SPDX-License-Identifier: Apache-2.0
"""One case beside its truth: where masks are found, what is written, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import slicerio
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.bundle.spec import Spec, read_spec
from medvol.data.datalist import LabelledCase
from medvol.errors import InputError
from medvol.images import read_image
from medvol.metrics.masks.comparison import Measure
from medvol.tasks.evaluation import (
    display_window,
    evaluate_case,
    find_mask,
    from_folder,
    make_plan,
)

CHEST = tiny_chest(noise_hu=5)
MEASURE = Measure(smallest_lesion_ml=0.0)
NAMES = {0: "background", 1: "ground-glass opacity", 2: "consolidation", 3: "lung (rest)"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return read_spec(tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds"))


def labelled(folder: Path, *, ct: np.ndarray = CHEST.ct, name: str = "one") -> LabelledCase:
    image = save_nifti(folder / f"{name}_ct.nii.gz", ct, CHEST.affine)
    label = save_nifti(folder / f"{name}_label.nii.gz", CHEST.labels, CHEST.affine)
    return LabelledCase(name, name, None, str(image), str(label))


def run(bundle: Spec, folder: Path, marked: np.ndarray, **more: np.ndarray):
    save_nifti(folder / "masks" / "one.nii.gz", marked, more.get("affine", CHEST.affine))
    plan = make_plan(bundle, NAMES, MEASURE)
    masks = from_folder(folder / "masks", bundle)
    return evaluate_case(labelled(folder), folder / "out" / "one", plan, masks)


def test_half_of_the_ground_glass_and_a_false_block(bundle: Spec, tmp_path: Path) -> None:
    marked = CHEST.labels.copy()
    marked[8:10, 16:20, 5:9] = 3  # of 4 x 4 x 4 voxels of ground-glass, half become lung
    marked[22:24, 12:14, 6:8] = 2  # 8 voxels of lung become consolidation
    found = run(bundle, tmp_path, marked)
    assert list(found.regions) == [
        "lesion", "ground-glass opacity", "consolidation", "lung (rest)", "lung",
    ]  # fmt: skip
    lesion, glass, solid, _, lung = found.regions.values()
    assert lesion.dice == pytest.approx(2 * (32 + 32) / (96 + 72))
    assert glass.dice == pytest.approx(2 * 32 / (64 + 32))
    assert solid.dice == pytest.approx(2 * 32 / (32 + 40))
    assert lung.dice == 1.0
    assert lesion.lesions == (2, 2, 3, 1)
    assert (glass.lesions, lung.lesions) == ((1, 1, 1, 0), None)
    assert glass.volume_error_ml == pytest.approx(-32 * 0.016)
    assert glass.hd95_mm == pytest.approx(4.0)  # the missed half reaches two voxels of 2 mm
    assert (found.seconds, found.notes) == (None, ())

    errors = slicerio.read_segmentation(str(tmp_path / "out" / "one" / "errors.seg.nrrd"))
    assert {s["labelValue"]: s["name"] for s in errors["segments"]} == {
        1: "missed (false negative)", 2: "false (false positive)", 3: "correct (true positive)",
    }  # fmt: skip
    voxels = np.asarray(errors["voxels"])
    assert [int((voxels == value).sum()) for value in (1, 2, 3)] == [32, 8, 64]
    assert (voxels[8:10, 16:20, 5:9] == 1).all()
    assert sorted(p.name for p in (tmp_path / "out" / "one").iterdir()) == [
        "errors.png", "errors.seg.nrrd",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "code"),
    [("grid", "E_GEOMETRY"), ("value", "E_VALUES"), ("missing", "E_PATH"), ("truth", "E_GEOMETRY")],
)
def test_a_mask_that_does_not_belong_to_the_image(
    bundle: Spec, tmp_path: Path, what: str, code: str
) -> None:
    out = tmp_path / "out" / "one"
    out.mkdir(parents=True)
    (out / "errors.png").write_text("of an older run")
    moved = CHEST.affine.copy()
    moved[0, 3] += 2
    masks = tmp_path / "masks"
    if what == "grid":
        save_nifti(masks / "one.nii.gz", CHEST.labels, moved)
    elif what == "value":
        save_nifti(masks / "one.nii.gz", CHEST.labels * 2, CHEST.affine)
    elif what == "truth":
        save_nifti(masks / "one.nii.gz", CHEST.labels, CHEST.affine)
    case = labelled(tmp_path)
    if what == "truth":
        save_nifti(Path(case.label), CHEST.labels, moved)
    with pytest.raises(InputError) as caught:
        evaluate_case(case, out, make_plan(bundle, {}, MEASURE), from_folder(masks, bundle))
    assert caught.value.code == code
    assert list(out.iterdir()) == []


def test_truth_without_lung_and_with_a_label_of_its_own(bundle: Spec, tmp_path: Path) -> None:
    """As in slices of which only lesions were drawn: 4 is "background or lung"."""
    names = {0: "background", 1: "glass", 2: "solid", 4: "background or lung"}
    plan = make_plan(bundle, names, MEASURE)
    assert list(plan.regions) == ["lesion", "ground-glass opacity", "consolidation"]
    assert plan.truth_values == (1, 2, 3, 4)
    case = labelled(tmp_path)
    truth = np.where(CHEST.labels == 3, 4, CHEST.labels).astype(np.uint8)
    save_nifti(Path(case.label), truth, CHEST.affine)
    save_nifti(tmp_path / "masks" / "one.nii.gz", CHEST.labels, CHEST.affine)
    masks = from_folder(tmp_path / "masks", bundle)
    found = evaluate_case(case, tmp_path / "out", plan, masks)
    assert [figures.dice for figures in found.regions.values()] == [1.0, 1.0, 1.0]


def test_the_first_region_that_can_be_made_is_the_one_shown(bundle: Spec) -> None:
    plan = make_plan(bundle, {0: "background", 1: "ground-glass opacity"}, MEASURE)
    assert (plan.key, list(plan.regions)) == ("ground-glass opacity", ["ground-glass opacity"])
    with pytest.raises(InputError) as caught:
        make_plan(bundle, {0: "background", 7: "liver"}, MEASURE)
    assert caught.value.code == "E_BUNDLE"
    assert "[0, 7]" in caught.value.reason
    assert "3 lung (rest)" in caught.value.remedy


@pytest.mark.parametrize(
    "file",
    [
        "one/segmentation.nii.gz", "one/one_seg.nii.gz", "one_seg.nii.gz", "one.nii.gz",
        "one.nii", "one_seg.nrrd", "ct/segmentation.nii.gz", "ct/ct_seg.nii.gz", "ct_seg.nii.gz",
        "ct.mha",
    ],
)  # fmt: skip
def test_masks_are_found_under_the_names_that_programs_give(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    (tmp_path / "two.nii.gz").touch()
    assert find_mask(tmp_path, ("one", "ct")) == tmp_path / file


def test_the_name_of_the_case_and_compressed_files_come_first(tmp_path: Path) -> None:
    for name in ("ct.nii.gz", "one.nii", "one.nii.gz"):
        (tmp_path / name).touch()
    assert find_mask(tmp_path, ("one", "ct")) == tmp_path / "one.nii.gz"


def test_a_bundle_that_is_no_ct(tmp_path: Path) -> None:
    """Nothing of an evaluation is about CT: one label, an MR image, no window in the metadata."""
    metadata = {
        "label_table": [{"value": 1, "name": "tumour", "color": [250, 90, 90]}],
        "network_data_format#inputs#image#modality": "MR",
        "display_window_hu": None, "focus_labels": None, "focus_name": None,
        "reference_organ": None,
    }  # fmt: skip
    bundle = read_spec(tiny_bundle(tmp_path / "brain", metadata=metadata))
    brain = np.random.default_rng(0).integers(0, 900, CHEST.ct.shape).astype(np.int16)
    image = save_nifti(tmp_path / "flair.nii.gz", brain, CHEST.affine)
    true = (CHEST.labels == 1).astype(np.uint8)
    label = save_nifti(tmp_path / "label.nii.gz", true, CHEST.affine)
    save_nifti(tmp_path / "masks" / "a.nii.gz", np.roll(true, 1, axis=0), CHEST.affine)
    found = evaluate_case(
        LabelledCase("a", "a", 0, str(image), str(label)), tmp_path / "out",
        make_plan(bundle, {}, MEASURE), from_folder(tmp_path / "masks", bundle),
    )  # fmt: skip
    assert list(found.regions) == ["tumour"]
    assert found.regions["tumour"].dice == pytest.approx(0.75)
    assert found.regions["tumour"].lesions == (1, 1, 1, 0)
    low, high = display_window(bundle, read_image(image))
    assert 0 <= low < 30
    assert 870 < high < 900
