# SPDX-License-Identifier: Apache-2.0
"""The files of a case: each is there, whole, and says the same as the others."""

import csv
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import slicerio
import torch
from markupsafe import escape
from matplotlib import image as pictures
from phantoms import save_nifti, tiny_chest
from refusals import full_disk, refused_by
from tiny_bundle import tiny_bundle

from medvol import __version__
from medvol.answer import Answer
from medvol.errors import InputError
from medvol.outputs.save import save
from medvol.progress import STAGES
from medvol.tasks.task import load_bundle

FILES = {
    "nii": "segmentation.nii.gz",
    "seg": "segmentation.seg.nrrd",
    "scene": "scene.mrb",
    "csv": "measurements.csv",
    "png": "overlay.png",
    "preview": "preview.png",
    "thumbnail": "thumbnail.jpg",
    "html": "report.html",
    "json": "run.json",
}
NAMES = {1: "ground-glass opacity", 2: "consolidation", 3: "lung (rest)"}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    folder, chest = tmp_path_factory.mktemp("predicted"), tiny_chest(noise_hu=5)
    ct = save_nifti(folder / "chest.nii.gz", chest.ct, chest.affine)
    return load_bundle(tiny_bundle(folder / "thresholds")).predict(ct)


@pytest.fixture(scope="module")
def saved(result: Answer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "new" / "chest"
    assert save(result, folder) == {name: folder / file for name, file in FILES.items()}
    return folder


def test_files_written_side_by_side_are_those_written_one_by_one(
    saved: Path, result: Answer, tmp_path: Path
) -> None:
    alone = {name: save(result, tmp_path / name, formats=[name])[name] for name in ("nii", "seg")}
    alone |= {name: save(result, tmp_path / name, formats=[name])[name] for name in ("png", "csv")}
    for name, path in alone.items():
        assert path.read_bytes() == (saved / FILES[name]).read_bytes(), name


def test_of_several_files_that_fail_the_first_says_why(
    result: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> Callable[..., None]:
        def write(*_: object) -> None:
            raise InputError("E_NOSPACE", tmp_path, f"no room for {name}.", "Make room.")

        return write

    monkeypatch.setattr("medvol.outputs.seg_nrrd.write", fail("seg"))
    monkeypatch.setattr("medvol.outputs.pictures.write_overlay", fail("png"))
    with pytest.raises(InputError, match="no room for seg"):
        save(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_but_the_files(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == sorted(FILES.values())


def test_mask_is_on_the_grid_of_the_input(saved: Path, result: Answer) -> None:
    mask, ct = nibabel.load(saved / FILES["nii"]), nibabel.load(result.image.path)
    assert mask.shape == ct.shape
    assert np.array_equal(mask.affine, ct.affine)
    assert mask.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(mask.dataobj), result.mask)


def test_slicer_segmentation_says_the_same(saved: Path, result: Answer) -> None:
    read = slicerio.read_segmentation(str(saved / FILES["seg"]))
    assert np.array_equal(read["voxels"], result.mask)
    assert np.allclose(LPS_TO_RAS @ read["ijkToLPS"], result.image.affine)
    assert {s["labelValue"]: s["name"] for s in read["segments"]} == NAMES
    assert "Closed surface" in read["containedRepresentationNames"]


def test_scene_holds_image_and_segments(saved: Path) -> None:
    with zipfile.ZipFile(saved / FILES["scene"]) as scene:
        assert scene.testzip() is None
        suffixes = {"".join(Path(name).suffixes) for name in scene.namelist()}
        assert {".mrml", ".seg.nrrd"} <= suffixes


def test_measurements_are_of_the_mask(saved: Path, result: Answer) -> None:
    with open(saved / FILES["csv"], encoding="utf-8") as file:
        rows = {int(row["value"]): row for row in csv.DictReader(file)}
    assert {value: row["name"] for value, row in rows.items()} == NAMES
    labels, ct = result.mask, np.asarray(nibabel.load(result.image.path).dataobj)
    for value, row in rows.items():
        marked = labels == value
        assert int(row["voxels"]) == marked.sum() > 0
        assert float(row["volume_ml"]) == pytest.approx(marked.sum() * 0.016, rel=1e-5)
        assert float(row["mean_hu"]) == pytest.approx(ct[marked].mean(), rel=1e-5)
        share = 100 * marked.sum() / (labels > 0).sum()
        assert float(row["share_of_lung_percent"]) == pytest.approx(share, rel=1e-5)


def test_picture(saved: Path) -> None:
    assert (saved / FILES["png"]).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    height, width = pictures.imread(saved / FILES["png"]).shape[:2]
    assert min(height, width) > 300


def test_report_is_one_page_by_itself(saved: Path, result: Answer) -> None:
    page = (saved / FILES["html"]).read_text(encoding="utf-8")
    assert "Research use only" in page
    assert "data:image/png;base64," in page
    assert "://" not in page  # needs no network
    for stage in ("read", "prepare", "network", "restore", "write"):
        assert f"<dt>{escape(STAGES[stage])}</dt>" in page, stage
    for words in [*NAMES.values(), result.spec.weights_sha256, "LPS", "32 × 32 × 16"]:
        assert words in page, words


def test_run_can_be_repeated_from_its_record(saved: Path, result: Answer) -> None:
    record = json.loads((saved / FILES["json"]).read_text(encoding="utf-8"))
    ct, weights = result.image.path, result.spec.weights
    assert record["input"]["path"] == "chest.nii.gz"
    assert record["input"]["sha256"] == hashlib.sha256(ct.read_bytes()).hexdigest()
    assert record["input"]["shape"] == [32, 32, 16]
    assert record["input"]["affine"] == tiny_chest().affine.tolist()
    assert record["input"]["facts"]["format"] == "NIfTI-1"
    assert record["bundle"]["name"] == "thresholds"
    assert record["bundle"]["version"] == result.spec.version
    assert record["bundle"]["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert record["bundle"]["chain_fingerprint"] == result.run.chain_fingerprint
    assert len(record["bundle"]["chain_fingerprint"]) == 16
    assert (record["device"], record["precision"]) == ("cpu", "fp32")
    assert record["settings"] == {
        "threads": torch.get_num_threads(), "window": [16, 16, 8], "overlap": 0.5,
        "windows_at_once": result.run.settings["windows_at_once"],  # as many as are the fastest
        "backend": "torch",
    }  # fmt: skip
    assert record["settings"]["windows_at_once"] in (1, 2)
    assert set(record["written_s"]) == {*FILES} - {"json"}
    assert list(record["times_s"]) == ["read", "prepare", "network", "restore", "measure", "write"]
    assert all(seconds >= 0 for seconds in record["times_s"].values())
    assert record["peak_memory_bytes"] > 100e6
    assert (record["input"]["notes"], record["remarks"]) == ([], [])
    assert record["versions"]["medvol"] == __version__
    assert record["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert "Research use only" in record["notice"]
    voxels = [row["voxels"] for row in record["measurements"]]
    assert voxels == [int((result.mask == value).sum()) for value in NAMES]
    assert str(ct.parent) not in (saved / FILES["json"]).read_text()  # no path of this machine


def test_only_what_was_asked_for(result: Answer, tmp_path: Path) -> None:
    written = save(result, tmp_path, formats=["html", "csv"])
    assert list(written) == ["csv", "html"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "measurements.csv", "report.html", "run.json"
    ]  # fmt: skip
    page = (tmp_path / FILES["html"]).read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "scene.mrb" not in page


def test_unknown_format(result: Answer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown formats \['pdf'\]; give some of nii, seg"):
        save(result, tmp_path / "new", formats=["nii", "pdf"])
    with pytest.raises(ValueError, match="cases is for all images together, not for chest"):
        save(result, tmp_path / "new", formats=["cases"])
    assert not (tmp_path / "new").exists()


def test_a_second_run_takes_the_place_of_the_first(result: Answer, tmp_path: Path) -> None:
    save(result, tmp_path, formats=["nii", "csv"])
    (tmp_path / "notes.txt").write_text("mine")
    save(result, tmp_path, formats=["csv"])
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "measurements.csv", "notes.txt", "run.json"
    ]  # fmt: skip


def test_the_record_lists_every_file_with_its_checksum(saved: Path) -> None:
    files = json.loads((saved / "run.json").read_text(encoding="utf-8"))["files"]
    assert files == {
        name: hashlib.sha256((saved / name).read_bytes()).hexdigest()
        for name in sorted(set(FILES.values()) - {"run.json"})
    }


@pytest.mark.parametrize("mine", ["run.json", "measurements.csv"])
def test_what_medvol_did_not_write_is_not_replaced(
    result: Answer, tmp_path: Path, mine: str
) -> None:
    (tmp_path / mine).write_text("mine")
    (tmp_path / "scene.mrb").write_text("mine, and not asked for")
    error = refused_by(lambda: save(result, tmp_path, formats=["nii", "csv"]), "E_OUTPUT")
    assert error.path == str(tmp_path / mine)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        mine: "mine", "scene.mrb": "mine, and not asked for"
    }  # fmt: skip


def test_a_corrected_mask_stays_whatever_is_written(result: Answer, tmp_path: Path) -> None:
    save(result, tmp_path, formats=["nii", "csv"])
    before = (tmp_path / "run.json").read_bytes()
    mask = nibabel.load(tmp_path / FILES["nii"])
    corrected = np.asarray(mask.dataobj) * 0
    nibabel.save(nibabel.Nifti1Image(corrected, mask.affine), tmp_path / FILES["nii"])
    for formats in (["csv"], ["nii"], None):
        error = refused_by(lambda asked=formats: save(result, tmp_path, formats=asked), "E_OUTPUT")
        assert error.path == str(tmp_path / FILES["nii"])
        assert "was changed since" in error.reason
    assert not np.asarray(nibabel.load(tmp_path / FILES["nii"]).dataobj).any()
    assert (tmp_path / "run.json").read_bytes() == before


@pytest.mark.parametrize("name", FILES)
def test_full_disk_leaves_nothing(result: Answer, tmp_path: Path, name: str) -> None:
    with full_disk(50), pytest.raises(InputError) as caught:
        save(result, tmp_path, formats=[name])
    assert caught.value.code == "E_NOSPACE"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["chest.hdr", "chest.img"])
def test_hash_of_a_pair_is_of_header_and_data(tmp_path: Path, given: str) -> None:
    chest = tiny_chest(noise_hu=5)
    nibabel.save(nibabel.Nifti1Pair(chest.ct, chest.affine), tmp_path / "chest.hdr")
    lines = "".join(
        f"{name} {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}\n"
        for name in ("chest.hdr", "chest.img")
    )
    result = load_bundle(tiny_bundle(tmp_path / "thresholds")).predict(tmp_path / given)
    save(result, tmp_path / "out", formats=["json"])
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["input"]["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert record["input"]["path"] == given
