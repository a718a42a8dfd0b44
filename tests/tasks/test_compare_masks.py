# SPDX-License-Identifier: Apache-2.0
"""Masks beside their truth: labels by name, where masks are found, what is written and refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import slicerio
from phantoms import save_nifti, tiny_chest
from refusals import refused_by
from tiny_bundle import tiny_bundle

from medvol.bundle.spec import Spec, read_spec
from medvol.errors import InputError
from medvol.images import read_image
from medvol.metrics.masks.evaluation import MaskCase
from medvol.outputs.save import display_window
from medvol.owned import MANIFEST, filling
from medvol.tasks.compare_masks import MaskComparison, find_mask
from medvol.tasks.comparison import Order

CHEST = tiny_chest(noise_hu=5)
NAMES = {0: "background", 1: "ground-glass opacity", 2: "consolidation", 3: "lung (rest)"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return read_spec(tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds"))


def labelled(
    folder: Path, labels: np.ndarray = CHEST.labels, names: dict[int, str] | None = NAMES
) -> Path:
    """A datalist of one chest with this truth."""
    save_nifti(folder / "one_ct.nii.gz", CHEST.ct, CHEST.affine)
    save_nifti(folder / "one_label.nii.gz", labels, CHEST.affine)
    item = {"image": "one_ct.nii.gz", "label": "one_label.nii.gz", "case": "one"}
    known = {} if names is None else {"labels": names}
    (folder / "list.json").write_text(json.dumps({**known, "training": [item]}))
    return folder / "list.json"


def compared(spec: Spec, data: Path, said: dict[str, str] | None = None) -> MaskComparison:
    folder = data.parent
    return MaskComparison(
        spec,
        Order(data, folder / "out", report=True, predictions=folder / "masks",
              smallest_lesion_ml=0.0, names=said or {}),
    )  # fmt: skip


def found_in(comparison: MaskComparison) -> MaskCase:
    ((_, found),) = comparison.outcomes()
    if isinstance(found, InputError):
        raise found
    return found


def run(spec: Spec, folder: Path, marked: np.ndarray) -> MaskCase:
    save_nifti(folder / "masks" / "one.nii.gz", marked, CHEST.affine)
    return found_in(compared(spec, labelled(folder)))


def test_lesions_and_volumes_of_all_cases_are_files(bundle: Spec, tmp_path: Path) -> None:
    save_nifti(tmp_path / "masks" / "one.nii.gz", CHEST.labels, CHEST.affine)
    data = labelled(tmp_path)
    listed = json.loads(data.read_text())
    items = [{**listed["training"][0], "case": case, "scanner": case} for case in ("a", "b", "c")]
    data.write_text(json.dumps({**listed, "training": items}))
    for case in ("a", "b", "c"):
        save_nifti(tmp_path / "masks" / f"{case}.nii.gz", CHEST.labels, CHEST.affine)
    comparison = compared(bundle, data)
    evaluation = comparison.run()
    assert evaluation is not None
    comparison.write(evaluation)
    out = tmp_path / "out"
    lines = (out / "lesions.csv").read_text().splitlines()
    # lesion has two parts, ground-glass opacity and consolidation one each, in both masks
    assert len(lines) == 1 + 3 * 8
    assert sorted({line.split(",")[4] for line in lines[1:]}) == ["correct", "found"]
    assert (out / "volumes.png").is_file()
    record = json.loads((out / "metrics.json").read_text())
    assert [group["name"] for group in record["subgroups"]["scanner"]] == ["a", "b", "c"]
    page = (out / "report.html").read_text()
    assert "By scanner: lesion" in page
    assert 'href="./lesions.csv"' in page


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
        MANIFEST, "errors.png", "errors.seg.nrrd",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "code"),
    [("grid", "E_GEOMETRY"), ("value", "E_VALUES"), ("missing", "E_PATH"), ("truth", "E_GEOMETRY")],
)
def test_a_mask_that_does_not_belong_to_the_image(
    bundle: Spec, tmp_path: Path, what: str, code: str
) -> None:
    data, out, masks = labelled(tmp_path), tmp_path / "out" / "one", tmp_path / "masks"
    with filling(out) as scratch:
        (scratch / "errors.png").write_text("of an older run")
    moved = CHEST.affine.copy()
    moved[0, 3] += 2
    if what == "grid":
        save_nifti(masks / "one.nii.gz", CHEST.labels, moved)
    elif what == "value":
        save_nifti(masks / "one.nii.gz", CHEST.labels * 2, CHEST.affine)
    elif what == "truth":
        save_nifti(masks / "one.nii.gz", CHEST.labels, CHEST.affine)
        save_nifti(tmp_path / "one_label.nii.gz", CHEST.labels, moved)
    refused_by(lambda: found_in(compared(bundle, data)), code)
    assert [path.name for path in out.iterdir()] == [MANIFEST]


def test_truth_without_lung_and_with_a_label_of_its_own(bundle: Spec, tmp_path: Path) -> None:
    """As in slices of which only lesions were drawn: 4 is "background or lung"."""
    names = {0: "background", 1: NAMES[1], 2: NAMES[2], 4: "background or lung"}
    truth = np.where(CHEST.labels == 3, 4, CHEST.labels).astype(np.uint8)
    save_nifti(tmp_path / "masks" / "one.nii.gz", CHEST.labels, CHEST.affine)
    comparison = compared(bundle, labelled(tmp_path, truth, names))
    assert list(comparison.regions) == ["lesion", "ground-glass opacity", "consolidation"]
    found = found_in(comparison)
    assert [figures.dice for figures in found.regions.values()] == [1.0, 1.0, 1.0]


def test_labels_of_other_numbers_and_equal_names(bundle: Spec, tmp_path: Path) -> None:
    """Consolidation is 1 and lung is 2 in the truth, ground-glass opacity is 3."""
    number = np.array([0, 3, 1, 2], np.uint8)
    names = {0: "background", 1: "Consolidation", 2: "lung  (rest)", 3: "ground-glass opacity"}
    half = CHEST.labels.copy()
    half[half == 1] = 3
    save_nifti(tmp_path / "masks" / "one.nii.gz", half, CHEST.affine)
    found = found_in(compared(bundle, labelled(tmp_path, number[CHEST.labels], names)))
    assert found.regions["consolidation"].dice == 1.0
    assert found.regions["ground-glass opacity"].dice == 0.0
    assert found.regions["lesion"].dice == pytest.approx(2 * 32 / (32 + 96))
    assert found.regions["lung"].dice == 1.0


def test_labels_whose_names_differ_are_refused_unless_said(bundle: Spec, tmp_path: Path) -> None:
    names = {0: "background", 1: "lung", 2: "consolidation", 3: "GGO"}
    number = np.array([0, 3, 2, 1], np.uint8)
    data = labelled(tmp_path, number[CHEST.labels], names)
    save_nifti(tmp_path / "masks" / "one.nii.gz", CHEST.labels, CHEST.affine)
    with pytest.raises(InputError) as caught:
        compared(bundle, data)
    assert caught.value.code == "E_LABELS"
    assert caught.value.reason == (
        "the data name 'lung' (1), 'GGO' (3), the bundle 'ground-glass opacity' (1), "
        "'consolidation' (2), 'lung (rest)' (3)."
    )
    assert "--map" in caught.value.remedy
    said = {"lung": "lung (rest)", "ggo": "ground-glass opacity"}
    found = found_in(compared(bundle, data, said))
    assert {figures.dice for figures in found.regions.values()} == {1.0}
    assert list(compared(bundle, data, {**said, "GGO": ""}).regions) == [
        "consolidation", "lung (rest)",
    ]  # fmt: skip


def test_the_first_region_that_can_be_made_is_the_one_shown(bundle: Spec, tmp_path: Path) -> None:
    names = {0: "background", 1: "ground-glass opacity"}
    comparison = compared(bundle, labelled(tmp_path, names=names))
    assert (comparison.key, list(comparison.regions)) == (
        "ground-glass opacity",
        ["ground-glass opacity"],
    )
    refused_by(lambda: found_in(comparison), "E_VALUES")  # the truth holds what nobody names
    liver = labelled(tmp_path, names={0: "background", 7: "liver"})
    refused_by(lambda: compared(bundle, liver), "E_LABELS")


def test_a_datalist_without_names_has_those_of_the_bundle(bundle: Spec, tmp_path: Path) -> None:
    save_nifti(tmp_path / "masks" / "one.nii.gz", CHEST.labels, CHEST.affine)
    found = found_in(compared(bundle, labelled(tmp_path, names=None)))
    assert {figures.dice for figures in found.regions.values()} == {1.0}


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
    true = (CHEST.labels == 1).astype(np.uint8)
    data = labelled(tmp_path, true, {0: "background", 1: "tumour"})
    image = save_nifti(tmp_path / "one_ct.nii.gz", brain, CHEST.affine)
    save_nifti(tmp_path / "masks" / "one.nii.gz", np.roll(true, 1, axis=0), CHEST.affine)
    found = found_in(compared(bundle, data))
    assert list(found.regions) == ["tumour"]
    assert found.regions["tumour"].dice == pytest.approx(0.75)
    assert found.regions["tumour"].lesions == (1, 1, 1, 0)
    low, high = display_window(bundle, read_image(image))
    assert 0 <= low < 30
    assert 870 < high < 900
