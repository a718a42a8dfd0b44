# SPDX-License-Identifier: Apache-2.0
"""A bundle of one MR channel takes any volume; its values are intensities, not HU."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from brain_phantoms import AFFINE, save_slices, save_volumes, tiny_brain
from phantoms import save_nifti
from refusals import refused_by
from tiny_bundle import tiny_bundle, tiny_flair_bundle

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.outputs.save import save
from medvol.tasks.cases import AS_IT_IS
from medvol.tasks.task import Bundle, load_bundle, task_of

BRAIN = tiny_brain()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(tiny_flair_bundle(tmp_path_factory.mktemp("bundles") / "flair"))


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    return save_volumes(tmp_path / "patient", BRAIN)


def words_of(page: Path) -> str:
    """A page without its pictures, whose letters mean nothing."""
    return re.sub('src="data:[^"]*"', "", page.read_text(encoding="utf-8"))


def test_any_volume_is_read_and_shown_from_black_to_bright(
    predictor: Bundle, patient: Path, tmp_path: Path
) -> None:
    result = predictor.predict(patient / "flair.nii.gz")
    assert np.array_equal(result.mask, BRAIN.mask)
    written = save(result, tmp_path / "out")
    (row,) = json.loads(written["json"].read_text(encoding="utf-8"))["measurements"]
    assert (row["voxels"], row["mean_intensity"]) == (72, 180)
    page = words_of(written["html"])
    assert "0 to 180" in page  # the shown window
    assert not re.search(r"\bHU\b", page)


def test_each_volume_of_a_folder_is_a_case(
    predictor: Bundle, patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--bundle", str(predictor.spec.folder), "--format", "csv", "-o"]
    assert main(["predict", str(patient), *words, str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "flair: brain tumour 5.8 ml", "t1: brain tumour 0.0 ml", "t1c: brain tumour 0.0 ml",
    ]  # fmt: skip


def test_slice_pictures_are_no_volume(predictor: Bundle, tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "p", BRAIN, suffix=".png")
    refused_by(lambda: predictor.predict(folder / "p_3.png"), "E_FORMAT")


def test_evaluation_names_no_hu(predictor: Bundle, patient: Path, tmp_path: Path) -> None:
    save_nifti(patient / "truth.nii.gz", BRAIN.mask, AFFINE)
    row = {"image": "patient/flair.nii.gz", "label": "patient/truth.nii.gz", "case": "a"}
    (tmp_path / "list.json").write_text(json.dumps({"training": [row]}))
    words = ["evaluate", str(predictor.spec.folder), "--data", str(tmp_path / "list.json")]
    assert main([*words, "-o", str(tmp_path / "out"), "--report"]) == 0
    record = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert record["cases"][0]["regions"]["tumour"]["dice"] == 1
    assert not re.search(r"\bHU\b", words_of(tmp_path / "out" / "report.html"))


def test_other_sequences_than_those_of_the_patient_are_refused(
    patient: Path, tmp_path: Path
) -> None:
    names = {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"}
    image = "network_data_format#inputs#image#"
    theirs = {image + "modality": "MR", image + "channel_def": names}
    bundle = read_spec(tiny_bundle(tmp_path / "theirs", metadata=theirs))
    error = refused_by(lambda: task_of(bundle).read(patient, AS_IT_IS), "E_SERIES")
    assert error.path == str(patient)
    assert error.reason == "no file is 'T2'."
    assert "T1c, T1, T2, FLAIR" in error.remedy
