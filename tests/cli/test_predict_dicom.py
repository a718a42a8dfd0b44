# SPDX-License-Identifier: Apache-2.0
"""`medvol predict --format dicom` and `medvol measure`: DICOM in and out, nothing invented."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from child_work import InlineChild
from dicom_patients import PATIENT_ID, PATIENT_NAME, STUDY_UID, radiograph, write_study
from dicom_phantoms import write
from phantoms import save_nifti, tiny_chest
from pydicom import dcmread
from radiographs import chest_like, save_picture
from tiny_bundle import tiny_bundle, tiny_classifier_bundle, tiny_radiograph_bundle

from medvol.cli import main
from medvol.engine import pipeline

CHEST = tiny_chest(noise_hu=5)
FILES = {"segmentation.dcm", "report.dcm", "summary.dcm"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "study"
    return write_study(folder, np.rint(CHEST.ct).astype(int), CHEST.affine)


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in this process, which is quicker."""
    monkeypatch.setattr("medvol.engine.child.Child", InlineChild)


def run(*words: object) -> int:
    return main([str(word) for word in words])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_group_writes_all_three(bundle: Path, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("predict", study, "--bundle", bundle, "-o", out, "--format", "dicom") == 0
    assert names(out / "study") == {*FILES, "run.json"}
    for name in FILES:
        dataset = dcmread(out / "study" / name)
        assert (dataset.StudyInstanceUID, dataset.PatientID) == (STUDY_UID, PATIENT_ID)
    record = json.loads((out / "study" / "run.json").read_text())
    assert record["formats"] == ["dicom-seg", "dicom-sr", "dicom-sc"]
    assert {*record["files"]} == FILES
    assert "labelmap" not in record["asked"]


def test_only_dicom_holds_the_patient(bundle: Path, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("nii", "json", "html", "csv", "dicom")
    assert run("predict", study, "--bundle", bundle, "-o", out, "--format", *words) == 0
    for path in (out / "study").iterdir():
        content = path.read_bytes()
        private = [PATIENT_ID.encode(), PATIENT_NAME.encode(), STUDY_UID.encode()]
        assert any(word in content for word in private) == (path.name in FILES)


def test_a_second_run_finds_it_done(
    bundle: Path, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", study, "--bundle", bundle, "-o", tmp_path, "--format", "dicom-seg")
    assert run(*words) == 0
    uid = dcmread(tmp_path / "study" / "segmentation.dcm").SOPInstanceUID
    assert run(*words) == 0
    assert "complete already" in capsys.readouterr().out
    assert run(*words, "--overwrite") == 0
    assert dcmread(tmp_path / "study" / "segmentation.dcm").SOPInstanceUID == uid
    assert run(*words, "--labelmap") == 0  # something else was asked for
    other = dcmread(tmp_path / "study" / "segmentation.dcm")
    assert other.SegmentationType == "LABELMAP"
    assert other.SOPInstanceUID != uid


def test_again_takes_the_options_over(
    bundle: Path, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--format", "dicom-seg", "--labelmap", "--empty-frames")
    assert run("predict", study, "--bundle", bundle, "-o", tmp_path / "a", *options) == 0
    words = ("predict", study, "--bundle", bundle, "-o", tmp_path / "b")
    assert run(*words, "--again", tmp_path / "a" / "study" / "run.json") == 0
    assert "nothing differs" in capsys.readouterr().out
    one, other = (dcmread(tmp_path / x / "study" / "segmentation.dcm") for x in "ab")
    assert one.SOPInstanceUID == other.SOPInstanceUID
    assert (other.SegmentationType, other.NumberOfFrames) == ("LABELMAP", 16)


def test_other_formats_are_refused_before_the_network_runs(
    bundle: Path, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ran = []
    plain = pipeline.Pipeline.run
    monkeypatch.setattr(
        pipeline.Pipeline, "run", lambda self, image: ran.append(image.path) or plain(self, image)
    )
    ct = save_nifti(tmp_path / "in" / "chest.nii.gz", CHEST.ct, CHEST.affine)
    out = tmp_path / "out"
    words = ("--bundle", bundle, "-o", out, "--format", "nii", "dicom")
    assert run("predict", ct, study, *words) == 2
    assert ran == [study]  # the other image is done all the same
    assert names(out) >= {"study"}
    assert not (out / "chest").exists()
    said = capsys.readouterr().err
    (line,) = [line for line in said.splitlines() if "E_NOT_DICOM" in line][:1]
    assert "NIfTI-1" in line
    assert "leave out dicom-seg" in line


def test_a_radiograph_gets_a_map_and_a_report(tmp_path: Path) -> None:
    bundle = tiny_radiograph_bundle(tmp_path / "bundle")
    (path,) = write(tmp_path / "in", [radiograph(chest_like(1))])
    out = tmp_path / "out"
    assert run("predict", path, "--bundle", bundle, "-o", out, "--format", "dicom") == 0
    assert names(out / "IM000") == {"report.dcm", "summary.dcm", "run.json"}
    record = json.loads((out / "IM000" / "run.json").read_text())
    assert record["classes"]["map"] == "grad-cam"
    picture = save_picture(tmp_path / "x.png", chest_like(1))
    assert run("predict", picture, "--bundle", bundle, "-o", out, "--format", "dicom") == 2
    assert not (out / "x").exists()


def test_a_classifier_of_slices_gives_report_and_profile(study: Path, tmp_path: Path) -> None:
    bundle = tiny_classifier_bundle(tmp_path / "bundle")
    out = tmp_path / "out"
    assert run("predict", study, "--bundle", bundle, "-o", out, "--format", "dicom") == 0
    assert names(out / "study") == {"report.dcm", "summary.dcm", "run.json"}
    assert run("predict", study, "--bundle", bundle, "-o", out, "--format", "dicom-seg") == 2


def test_measure_gives_a_mask_by_hand(
    bundle: Path, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = save_nifti(tmp_path / "hand.nii.gz", CHEST.labels, CHEST.affine)
    words = ("measure", study, mask, "--bundle", bundle, "-o", tmp_path / "out")
    assert run(*words, "--format", "dicom", "--labelmap") == 0
    assert names(tmp_path / "out" / "study") == {*FILES, "run.json"}
    dataset = dcmread(tmp_path / "out" / "study" / "segmentation.dcm")
    assert dataset.SegmentationType == "LABELMAP"
    assert {x.SegmentAlgorithmType for x in dataset.SegmentSequence} == {"MANUAL"}
    ct = save_nifti(tmp_path / "chest.nii.gz", CHEST.ct, CHEST.affine)
    capsys.readouterr()
    words = ("measure", ct, mask, "--bundle", bundle, "-o", tmp_path / "out")
    assert run(*words, "--format", "dicom-seg") == 2
    assert "E_NOT_DICOM" in capsys.readouterr().err
    assert not (tmp_path / "out" / "chest").exists()


def test_without_dicom_nothing_reads_the_headers_again(
    bundle: Path, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shutil.copytree(study, tmp_path / "study")
    monkeypatch.setattr("medvol.outputs.dicom.source.header_of", lambda *_: pytest.fail("read"))
    assert run("predict", moved, "--bundle", bundle, "-o", tmp_path / "out") == 0
    assert not names(tmp_path / "out" / "study") & FILES
