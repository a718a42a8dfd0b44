# SPDX-License-Identifier: Apache-2.0
"""A planted lesion through gate and segmenter, by `medvol predict` and by MONAI's own command."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from matplotlib import image as pictures
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle, tiny_gated_bundle
from trusted import trusted

from medvol.answer import Answer, Slices
from medvol.cli import main
from medvol.outputs.save import save
from medvol.tasks.task import load_bundle

CHEST, HEALTHY = tiny_chest(noise_hu=5), tiny_chest(lesions=False, noise_hu=5)
WITH_LESION, PASSING = [5, 6, 7, 8], [4, 5, 6, 7, 8, 9]  # as planted, and a margin of one slice
ALL = {
    "segmentation.nii.gz", "segmentation.seg.nrrd", "scene.mrb", "measurements.csv", "overlay.png",
    "preview.png", "slices.csv", "slices.png", "thumbnail.jpg", "report.html", "run.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    save_nifti(folder / "chest.nii.gz", CHEST.ct, CHEST.affine)
    save_nifti(folder / "healthy.nii.gz", HEALTHY.ct, HEALTHY.affine)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gated_bundle(tmp_path_factory.mktemp("bundles") / "gated")


@pytest.fixture(scope="module")
def plain(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    made = tiny_bundle(tmp_path_factory.mktemp("bundles") / "plain")
    return load_bundle(made).predict(scans / "chest.nii.gz")


@pytest.fixture(scope="module")
def results(bundle: Path, scans: Path) -> list[Answer]:
    predictor = load_bundle(bundle)
    return [predictor.predict(scans / f"{name}.nii.gz") for name in ("chest", "healthy")]


def test_the_lesion_is_segmented_and_slices_far_from_it_are_not(
    results: list[Answer], plain: Answer
) -> None:
    labels = results[0].mask
    assert np.array_equal(labels[..., PASSING], plain.mask[..., PASSING])
    assert np.flatnonzero(labels.any((0, 1))).tolist() == PASSING
    assert np.isin(CHEST.labels, (1, 2)).sum() == 96  # 64 of ground-glass, 32 of consolidation
    assert np.isin(labels, (1, 2))[np.isin(CHEST.labels, (1, 2))].all()


def test_probability_of_every_slice_of_the_input(results: list[Answer]) -> None:
    slices = results[0].slices
    assert slices is not None
    assert np.flatnonzero(slices.probability >= 0.5).tolist() == WITH_LESION
    assert slices.threshold == 0.5
    assert slices.z_mm.tolist() == [-20.0 + 4 * k for k in range(16)]
    assert slices.length_mm == 16
    assert results[0].finding == ""  # the labels are the answer
    assert results[0].run.settings["slices_segmented"] == "6 of 16"


@pytest.mark.parametrize("threshold", [None, 0.0])
def test_a_gate_that_is_off_or_passes_everything_gives_the_plain_mask(
    threshold: float | None, scans: Path, plain: Answer, tmp_path: Path
) -> None:
    bundle = tiny_gated_bundle(tmp_path / "b", threshold=threshold)
    result = load_bundle(bundle).predict(scans / "chest.nii.gz")
    assert np.array_equal(result.mask, plain.mask)
    assert (result.slices is None) == (threshold is None)
    written = save(result, tmp_path / "out")
    assert ("slices" in written) == (threshold is not None)


def test_nothing_found(results: list[Answer], tmp_path: Path) -> None:
    result = results[1]
    assert not result.mask.any()
    assert result.found is False
    assert result.finding == "no lesion found"
    save(result, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == ALL
    assert "No lesion found" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "run.json").read_text())["answer"] == "no lesion found"


@pytest.mark.parametrize(("segmented", "answer"), [(0, "no lesion found"), (2, "")])
def test_nothing_is_found_when_no_slice_passed_and_not_when_none_of_the_input_has_the_threshold(
    segmented: int, answer: str, results: list[Answer]
) -> None:
    """Thick slices of the network may pass where the thin ones of the input stay just below."""
    below = Slices(np.full(16, 0.4, np.float32), 0.5, np.arange(16.0), segmented)
    assert replace(results[0], slices=below).finding == answer


def test_files_of_slices(results: list[Answer], tmp_path: Path) -> None:
    written = save(results[0], tmp_path)
    assert {path.name for path in written.values()} == ALL
    with open(written["slices"], encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["slice", "z_mm", "probability", "lesion_voxels"]
    assert [int(row["slice"]) for row in rows] == list(range(16))
    assert [float(row["z_mm"]) for row in rows] == [-20.0 + 4 * k for k in range(16)]
    assert [k for k, row in enumerate(rows) if float(row["probability"]) >= 0.5] == WITH_LESION
    voxels = np.isin(results[0].mask, (1, 2)).sum((0, 1))
    assert [int(row["lesion_voxels"]) for row in rows] == voxels.tolist()
    assert min(pictures.imread(written["profile"]).shape[:2]) > 300
    page = written["html"].read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3  # overlay, preview, profile
    assert "4 of 16 slices at or above 0.50, the longest run 16 mm" in page
    record = json.loads(written["json"].read_text())
    assert record["slices"]["number_found"] == 4
    assert record["slices"]["longest_run_mm"] == 16
    assert record["settings"]["gate_threshold"] == 0.5
    assert record["bundle"]["gate_sha256"] == results[0].spec.gate_sha256
    assert len(record["bundle"]["gate_sha256"]) == 64


def test_the_page_alone_still_shows_the_slices(results: list[Answer], tmp_path: Path) -> None:
    save(results[0], tmp_path, formats=["html"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "run.json"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3  # overlay, preview, profile


def test_one_line_a_case(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "predict",
        str(scans),
        "--bundle",
        str(bundle),
        "-o",
        str(tmp_path),
        "--format",
        "json",
    ]
    assert main(words) == 0
    chest, healthy = capsys.readouterr().out.splitlines()
    assert chest.startswith("chest: ground-glass opacity 1.0 ml, ")
    assert "4 of 16 slices at or above 0.50, the longest run 16 mm" in chest
    assert healthy.startswith("healthy: no lesion found, ground-glass opacity 0.0 ml, ")


def test_gate_without_weights_is_refused_with_the_way_out(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_gated_bundle(tmp_path / "b")
    (gate := bundle / "models" / "slice_gate" / "weights.pt").unlink()
    trusted(bundle)
    words = ["predict", str(scans / "chest.nii.gz"), "--bundle", str(bundle),
             "-o", str(tmp_path / "out"), "--format", "json"]  # fmt: skip
    assert main(words) == 2
    assert capsys.readouterr().err == (
        f"medvol: E_BUNDLE {gate}: the weights cannot be read (No such file or directory). Copy "
        "models/slice_gate/weights.pt into the bundle, train it, or switch the gate off with "
        "--gate off.\n"
    )
    assert not (tmp_path / "out").exists()
    assert main([*words, "--gate", "off"]) == 0


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
    for name, result in zip(("chest", "healthy"), results, strict=True):
        mask = nibabel.load(tmp_path / f"{name}_seg.nii.gz")
        assert np.array_equal(np.asarray(mask.dataobj), result.mask)
        assert result.slices is not None
        with open(tmp_path / f"{name}_slices.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["slice", "z_mm", "probability"]
        expected = [f"{p:.4f}" for p in result.slices.probability]
        assert [row["probability"] for row in rows] == expected
