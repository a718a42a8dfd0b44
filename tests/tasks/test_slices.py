# SPDX-License-Identifier: Apache-2.0
"""A bundle that answers with classes of slices: no mask, but a table, a picture and an answer."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_classifier_bundle

from medvol.answer import Answer
from medvol.cli import main
from medvol.outputs.save import save
from medvol.tasks.task import load_bundle

CHEST, HEALTHY = tiny_chest(noise_hu=5), tiny_chest(lesions=False, noise_hu=5)
FILES = ["report.html", "run.json", "slices.csv", "slices.png", "thumbnail.jpg"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    save_nifti(folder / "chest.nii.gz", CHEST.ct, CHEST.affine)
    save_nifti(folder / "healthy.nii.gz", HEALTHY.ct, HEALTHY.affine)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier_bundle(tmp_path_factory.mktemp("bundles") / "classifier")


@pytest.fixture(scope="module")
def results(bundle: Path, scans: Path) -> list[Answer]:
    predictor = load_bundle(bundle)
    return [predictor.predict(scans / f"{name}.nii.gz") for name in ("chest", "healthy")]


def test_slices_with_the_planted_lesion_are_found(results: list[Answer]) -> None:
    slices = results[0].slices
    assert slices is not None
    assert np.flatnonzero(slices.probability >= 0.5).tolist() == [5, 6, 7, 8]
    assert (slices.threshold, slices.length_mm) == (0.5, 16)
    assert (results[0].found, results[0].finding) == (True, "lesion found")
    assert (results[1].found, results[1].finding) == (False, "no lesion found")


def test_there_is_no_mask(results: list[Answer]) -> None:
    assert results[0].mask is None
    assert results[0].measurements == []
    assert results[0].volume_ml == {}


def test_a_run_shorter_than_the_rule_is_no_finding(bundle: Path, scans: Path) -> None:
    """Four slices of 4 mm are a run of 16 mm."""
    path = bundle / "configs" / "metadata.json"
    before = path.read_text()
    try:
        for length_mm, found in ((16.0, True), (16.1, False)):
            rule = {"threshold": 0.5, "length_mm": length_mm}
            path.write_text(json.dumps({**json.loads(before), "slice_rule": rule}))
            assert load_bundle(bundle).predict(scans / "chest.nii.gz").found is found
    finally:
        path.write_text(before)


def test_files(results: list[Answer], tmp_path: Path) -> None:
    save(results[0], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    with open(tmp_path / "slices.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["slice", "z_mm", "probability"]
    assert len(rows) == 16
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Lesion found" in page
    assert "4 of 16 slices at or above 0.50, the longest run 16 mm" in page
    assert page.count("data:image/png;base64,") == 1
    assert "Measurements" not in page
    assert "Research use only" in page
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["answer"] == "lesion found"
    assert record["slices"]["rule"] == {"threshold": 0.5, "length_mm": 10.0}
    assert record["measurements"] == []


def test_one_line_a_case(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(scans), "--bundle", str(bundle), "-o", str(tmp_path)]
    assert main([*words, "--format", "slices"]) == 0
    chest, healthy = capsys.readouterr().out.splitlines()
    assert chest.startswith("chest: lesion found, 4 of 16 slices at or above 0.50, the longest")
    assert healthy.startswith("healthy: no lesion found, 0 of 16 slices")
    names = {path.name for path in (tmp_path / "chest").iterdir()}
    assert names == {"run.json", "slices.csv"}


@pytest.mark.parametrize("wanted", ["nii", "scene", "csv"])
def test_formats_of_a_mask_are_refused_before_anything_is_read(
    wanted: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "no.nii.gz", "--bundle", str(bundle), "-o", str(tmp_path / "out")]
    assert main([*words, "--format", "html", wanted]) == 2
    said = capsys.readouterr().err
    assert f"its answers have no mask, so there is no {wanted}" in said
    possible = "image, slices, profile, cases, index, cases-json, dicom-sr, dicom-sc, thumbnail"
    assert f"give some of {possible}, html, json" in said


def test_a_threshold_for_a_bundle_without_a_gate_is_refused(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(scans), "--bundle", str(bundle), "-o", str(tmp_path / "out")]
    assert main([*words, "--gate", "0.5"]) == 2
    assert "its inference.json has no `gate_threshold`, so no gate" in capsys.readouterr().err


@pytest.mark.slow
def test_the_same_through_monai(
    bundle: Path, scans: Path, results: list[Answer], tmp_path: Path
) -> None:
    words = {
        "config_file": bundle / "configs/inference.json", "bundle_root": bundle,
        "dataset_dir": scans, "output_dir": tmp_path,
    }  # fmt: skip
    given = [word for key, value in words.items() for word in (f"--{key}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", *given], cwd="/", check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["chest_slices.csv", "healthy_slices.csv"]
    for name, result in zip(("chest", "healthy"), results, strict=True):
        save(result, tmp_path / name, formats=["slices"])
        by_medvol = (tmp_path / name / "slices.csv").read_text()
        assert (tmp_path / f"{name}_slices.csv").read_text() == by_medvol
