# SPDX-License-Identifier: Apache-2.0
"""`medvol measure`: a mask by hand gets what a prediction gets, and what differs from it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.images import read_image
from medvol.outputs.seg_nrrd import write_seg_nrrd
from medvol.spatial import voxel_volume_ml

CHEST = tiny_chest()
ML = voxel_volume_ml(CHEST.affine)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return save_nifti(tmp_path / "chest.nii.gz", CHEST.ct, CHEST.affine)


def _cropped(path: Path, bundle: Path, mask: np.ndarray) -> Path:
    """What is marked alone, as 3D Slicer saves a segmentation without an image."""
    at = np.argwhere(mask)
    low, high = at.min(axis=0), at.max(axis=0) + 1
    affine = CHEST.affine.copy()
    affine[:3, 3] = (CHEST.affine @ [*low, 1])[:3]
    inside = mask[tuple(map(slice, low, high))]
    assert inside.shape != mask.shape
    write_seg_nrrd(path, inside, affine, read_spec(bundle).labels)
    return path


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_cropped_mask_of_slicer_is_measured_beside_the_prediction(bundle, image, tmp_path):
    by_hand = CHEST.labels.copy()
    hidden = np.argwhere(by_hand == 1)[:10]
    by_hand[tuple(hidden.T)] = 3  # ten voxels of ground-glass that the prediction marked too much
    mask = _cropped(tmp_path / "corrected.seg.nrrd", bundle, by_hand)
    before = save_nifti(tmp_path / "before" / "segmentation.nii.gz", CHEST.labels, CHEST.affine)
    words = ["measure", image, mask, "--bundle", bundle, "-o", tmp_path / "out",
             "--prediction", before.parent]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    folder = tmp_path / "out" / "chest"
    saved = read_image(folder / "segmentation.nii.gz", "mask")
    assert np.array_equal(saved.array, by_hand)

    measured = {row["name"]: row for row in _rows(folder / "measurements.csv")}
    glass = int((by_hand == 1).sum())
    assert int(measured["ground-glass opacity"]["voxels"]) == glass
    assert float(measured["ground-glass opacity"]["volume_ml"]) == pytest.approx(glass * ML, 1e-5)

    differs = {row["region"]: row for row in _rows(folder / "difference.csv")}
    row = differs["ground-glass opacity"]
    assert float(row["dice"]) == pytest.approx(2 * glass / (2 * glass + 10), 1e-5)
    assert float(row["volume_error_ml"]) == pytest.approx(10 * ML, 1e-5)
    assert float(differs["consolidation"]["dice"]) == 1

    record = json.loads((folder / "run.json").read_text())
    assert record["mask"]["file"] == "corrected.seg.nrrd"
    assert record["difference"]["ground-glass opacity"]["voxels_both"] == glass
    assert "weights_sha256" not in record["bundle"]
    assert "device" not in record
    page = (folder / "report.html").read_text()
    assert "Difference to the prediction" in page
    assert "corrected.seg.nrrd" in page
    assert (folder / "errors.png").is_file()
    errors = read_image(folder / "errors.seg.nrrd", "mask").array
    assert int((errors == 2).sum()) == 10  # false


def test_without_a_prediction_there_is_no_difference(bundle, image, tmp_path, capsys):
    mask = save_nifti(tmp_path / "mask.nii.gz", CHEST.labels, CHEST.affine)
    assert main(["measure", str(image), str(mask), "--bundle", str(bundle),
                 "-o", str(tmp_path / "out")]) == 0  # fmt: skip
    made = {path.name for path in (tmp_path / "out" / "chest").iterdir()}
    assert {"measurements.csv", "report.html", "scene.mrb", "run.json"} <= made
    assert not made & {"difference.csv", "errors.png", "errors.seg.nrrd"}
    said = capsys.readouterr()
    assert "no prediction: it was read from mask.nii.gz" in said.err
    assert "consolidation" in said.out


def test_as_json_it_is_one_object(bundle, image, tmp_path, capsys):
    mask = save_nifti(tmp_path / "mask.nii.gz", CHEST.labels, CHEST.affine)
    words = ["measure", str(image), str(mask), "--bundle", str(bundle),
             "-o", str(tmp_path / "out"), "--format", "nii", "csv", "--json"]  # fmt: skip
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["mask"]["file"] == "mask.nii.gz"
    assert set(said["files"]) == {"nii", "csv"}
    rows = {row["name"]: row for row in said["measurements"]}
    assert rows["consolidation"]["voxels"] == int((CHEST.labels == 2).sum())


def test_a_mask_of_lesions_alone_says_nothing_of_the_lung(image, tmp_path, capsys):
    bundle = tiny_bundle(tmp_path / "regions", metadata={"lung_regions": True})
    lesions = np.where(np.isin(CHEST.labels, (1, 2)), CHEST.labels, 0)
    shares, records, said = [], [], []
    for name, labels in (("whole", CHEST.labels), ("lesions", lesions)):
        mask = save_nifti(tmp_path / f"{name}.nii.gz", labels, CHEST.affine)
        words = ["measure", str(image), str(mask), "--bundle", str(bundle),
                 "-o", str(tmp_path / name), "--format", "csv", "html"]  # fmt: skip
        assert main(words) == 0
        folder = tmp_path / name / "chest"
        shares.append([x["share_of_lung_percent"] for x in _rows(folder / "measurements.csv")])
        records.append(json.loads((folder / "run.json").read_text()))
        said.append(capsys.readouterr().err)
    assert all(shares[0][:3])
    assert shares[1] == ["", "", ""]
    assert ("regions" in records[0], "regions" in records[1]) == (True, False)
    assert ["nothing of the lung beside" in x for x in said] == [False, True]
    assert "of the lung</span>" not in (tmp_path / "lesions" / "chest" / "report.html").read_text()


def test_a_grid_that_a_network_would_do_worse_on_is_no_matter_here(image, tmp_path):
    """A part of the lungs is one, whoever marked it."""
    coverage = {"organ": "lungs", "extent_mm": 100, "usual_mm": 200, "slices": 9,
                "in_plane_mm": [9, 10], "between_slices_mm": [9, 10],
                "orientation": "axial"}  # fmt: skip
    bundle = tiny_bundle(tmp_path / "covers", metadata={"coverage": coverage})
    given = read_spec(bundle).coverage.notes(CHEST.ct.shape, CHEST.affine)
    assert [note.code for note in given] == ["N_COVERAGE", "N_GRID"]
    mask = save_nifti(tmp_path / "mask.nii.gz", CHEST.labels, CHEST.affine)
    words = ["measure", str(image), str(mask), "--bundle", str(bundle), "-o", str(tmp_path / "out"),
             "--format", "csv"]  # fmt: skip
    assert main(words) == 0
    record = json.loads((tmp_path / "out" / "chest" / "run.json").read_text())
    assert [code for code, _ in record["notes"]] == ["N_COVERAGE"]


def _segments(path: Path, bundle: Path, name: str) -> Path:
    """Consolidation alone, under another name of the same length."""
    mask = np.where(CHEST.labels == 2, 2, 0).astype(np.uint8)
    write_seg_nrrd(path, mask, CHEST.affine, read_spec(bundle).labels)
    path.write_bytes(path.read_bytes().replace(b"Name:=consolidation", b"Name:=" + name.encode()))
    return path


def test_a_segment_of_another_name_is_refused_until_it_is_mapped(bundle, image, tmp_path, capsys):
    mask = _segments(tmp_path / "a.seg.nrrd", bundle, "white lungs")
    words = ["measure", str(image), str(mask), "--bundle", str(bundle),
             "-o", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("medvol: E_LABELS")
    assert "'white lungs'" in said
    assert "--map" in said
    assert not (tmp_path / "out" / "chest").exists()
    assert main([*words, "--map", "white lungs=consolidation"]) == 0
    (row,) = (
        x for x in _rows(tmp_path / "out" / "chest" / "measurements.csv") if x["value"] == "2"
    )
    assert int(row["voxels"]) == int((CHEST.labels == 2).sum())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda mask, affine: (mask[:, :, 1:], affine), None),  # cropped: nothing is marked there
        (lambda mask, affine: (mask, affine @ np.diag([2, 2, 2, 1])), "E_GEOMETRY"),
        (lambda mask, affine: (np.where(mask == 2, 9, mask), affine), "E_VALUES"),
    ],
)
def test_a_mask_of_another_grid_or_value(bundle, image, tmp_path, capsys, change, code):
    labels, affine = change(CHEST.labels, CHEST.affine.copy())
    if code is None:
        affine[:3, 3] += affine[:3, 2]
        assert not CHEST.labels[:, :, 0].any()
    mask = save_nifti(tmp_path / "mask.nii.gz", labels, affine)
    words = ["measure", str(image), str(mask), "--bundle", str(bundle), "-o", str(tmp_path / "out")]
    assert main(words) == (0 if code is None else 2)
    if code:
        assert capsys.readouterr().err.startswith(f"medvol: {code}")


def test_results_are_not_written_over_the_mask_or_the_prediction(bundle, image, tmp_path, capsys):
    mask = save_nifti(tmp_path / "chest" / "segmentation.nii.gz", CHEST.labels, CHEST.affine)
    words = ["measure", str(image), str(mask), "--bundle", str(bundle), "-o", str(tmp_path)]
    assert main(words) == 2
    assert "E_OUTPUT" in capsys.readouterr().err
    assert [path.name for path in mask.parent.iterdir()] == ["segmentation.nii.gz"]


def test_a_bundle_that_marks_nothing_has_no_mask_to_measure(image, tmp_path, capsys):
    words = ["measure", str(image), str(image), "--bundle", "chest_xray_covid",
             "-o", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 2
    assert "marks no voxels" in capsys.readouterr().err


def test_segments_of_a_real_chest(real_data, tmp_path):
    """Its two lungs as 3D Slicer saved them, 34,450 and 33,700 voxels of 92.8345 mm^3 each."""
    folder = real_data / "ct_formats"
    mapped = {"right lung": "lung (rest)", "left lung": "lung (rest)", "ribs": "", "tissue": "",
              "cervical vertebral column": "", "thoracic vertebral column": "",
              "lumbar vertebral column": ""}  # fmt: skip
    words = ["measure", str(folder / "CTChest4.nrrd"),
             str(folder / "CTChest4_Segmentation.seg.nrrd"), "--bundle", "covid_ct_lesion_3d",
             "-o", str(tmp_path), "--format", "csv"]  # fmt: skip
    for name, label in mapped.items():
        words += ["--map", f"{name}={label}"]
    assert main(words) == 0
    (lung,) = (x for x in _rows(tmp_path / "CTChest4" / "measurements.csv") if x["value"] == "3")
    assert float(lung["volume_ml"]) == pytest.approx(6326.7, abs=0.1)
