# SPDX-License-Identifier: Apache-2.0
"""`medvol evaluate`: from datalist to page, with the network or with masks that are there."""

import csv
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from phantoms import save_nifti, tiny_chest
from PIL import Image
from refusals import full_disk
from tiny_bundle import threshold_weights, tiny_bundle
from trusted import trusted

from medvol.cli import main
from medvol.images import read_image
from medvol.metrics.masks.overlap import dice, overlap_counts
from medvol.owned import MANIFEST, filling
from medvol.tasks.task import load_bundle

CHEST = tiny_chest(noise_hu=5)
NAMES = {0: "background", 1: "ground-glass opacity", 2: "consolidation", 3: "lung (rest)"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trusted(tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A datalist of three chests of two persons in two folds, and one without truth."""
    rows: list[dict[str, Any]] = []
    for case, patient, fold in (("a", "p", 0), ("b", "p", 0), ("c", "c", 1)):
        image, label = f"{case}_ct.nii.gz", f"labels/{case}.nii.gz"
        save_nifti(tmp_path / image, CHEST.ct, CHEST.affine)
        save_nifti(tmp_path / label, CHEST.labels, CHEST.affine)
        rows.append({"image": image, "label": label, "case": case, "patient": patient,
                     "fold": fold})  # fmt: skip
    rows.append({"image": "d_ct.nii.gz", "fold": 1})
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"name": "tiny", "labels": NAMES, "training": rows}))
    return path


def evaluate(bundle: Path, data: Path, report: Path, *options: str) -> int:
    words = ["evaluate", str(bundle), "--data", str(data), "--output", str(report), "--report",
             *options]  # fmt: skip
    return main(words)


def _draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pixel a case in place of its picture, which takes half a second."""
    monkeypatch.setattr(
        "medvol.tasks.compare_masks.draw_errors",
        lambda path, *_, **__: Image.new("L", (1, 1)).save(path),
    )


def masks(data: Path, **marked: np.ndarray) -> Path:
    folder = data.parent / "masks"
    for case, labels in marked.items():
        save_nifti(folder / f"{case}.nii.gz", labels, CHEST.affine)
    return folder


def without_lesion() -> np.ndarray:
    return np.where(CHEST.labels > 0, 3, 0).astype(np.uint8)


def files(folder: Path) -> list[str]:
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return sorted(str(p.relative_to(folder)) for p in found)


def test_network_to_page(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report"
    assert evaluate(bundle, data, report, "--fold", "1") == 0
    assert files(report) == [
        "c/errors.png", "c/errors.seg.nrrd", "c/segmentation.nii.gz",
        "lesions.csv", "metrics.csv", "metrics.json", "report.html",
    ]  # fmt: skip
    result = load_bundle(bundle).predict(tmp_path / "c_ct.nii.gz")
    saved = read_image(report / "c" / "segmentation.nii.gz", kind="mask")
    assert np.array_equal(saved.array, result.mask)
    counts = overlap_counts(
        torch.from_numpy(result.mask), torch.from_numpy(CHEST.labels), result.spec.focus
    )
    with open(report / "metrics.csv", encoding="utf-8") as file:
        rows = {row["region"]: row for row in csv.DictReader(file)}
    assert float(rows["lesion"]["dice"]) == pytest.approx(float(dice(counts)), rel=1e-5)
    assert 0 < float(rows["lesion"]["dice"]) <= 1
    assert rows["lesion"]["voxels_true"] == "96"
    record = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    weights = sha256((bundle / "models" / "model.pt").read_bytes()).hexdigest()
    assert record["bundle"]["Weights SHA-256"] == weights
    assert record["protocol"] == {
        "Data": f"tiny (datalist.json, SHA-256 {sha256(data.read_bytes()).hexdigest()[:12]}…)",
        "Cases": "1 case from what fold 1 holds out; 1 without truth left out",
        "Patients": "each case is a patient of its own",
        "Masks": "masks made by the bundle, fp32 on cpu",
    }
    assert record["cases"][0]["seconds"] > 0
    page = (report / "report.html").read_text(encoding="utf-8")
    assert all(words in page for words in (weights, "thresholds", "tiny (datalist.json", "image/j"))
    assert str(tmp_path) not in page
    said = capsys.readouterr()
    assert said.err.splitlines()[1:] == []  # but what the bundle is
    first, second, third = said.out.splitlines()
    assert first.startswith("c: lesion Dice ")
    assert second.startswith("lesion Dice pooled ")
    assert third == f"report {report / 'report.html'}"


def test_one_object_for_programs_and_nothing_else(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, report = masks(data, a=CHEST.labels, b=CHEST.labels), tmp_path / "report"
    assert evaluate(bundle, data, report, "--predictions", str(folder), "--json") == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert "lesion Dice pooled" in said.err
    assert found["output"] == str(report)
    assert found["files"]["metrics.csv"] == str(report / "metrics.csv")
    assert found["summary"]["lesion"]["dice_mean"]["value"] == 1
    (refused,) = found["refused"]
    assert (refused["case"], refused["code"]) == ("c", "E_PATH")
    assert refused["path"].startswith(str(folder))
    assert evaluate(bundle, data, report, "--predictions", str(tmp_path / "no"), "--json") == 2
    everything = json.loads(capsys.readouterr().out)
    assert everything.keys() == {"output", "refused"}
    assert len(everything["refused"]) == 3


def test_masks_that_are_there_worst_first(bundle: Path, data: Path, tmp_path: Path) -> None:
    half = CHEST.labels.copy()
    half[half == 1] = 3  # consolidation only: 32 of 96 voxels
    folder = masks(data, a=half, b=CHEST.labels, c=without_lesion())
    report = tmp_path / "report"
    assert evaluate(bundle, data, report, "--predictions", str(folder), "--tolerance", "1") == 0
    assert "a/segmentation.nii.gz" not in files(report)
    record = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    assert record["protocol"]["Masks"] == "masks read from the folder masks; no network was run"
    assert record["protocol"]["Cases"] == "3 cases from all folds; 1 without truth left out"
    assert record["protocol"]["Patients"] == "of 2 patients, whose cases are grouped"
    assert "Weights SHA-256" not in record["bundle"]
    assert record["tolerance_mm"] == 1
    assert [c["regions"]["lesion"]["dice"] for c in record["cases"]] == [0.5, 1.0, 0.0]
    summary = record["summary"]["lesion"]
    assert summary["dice_pooled"]["value"] == pytest.approx(2 * 128 / (128 + 288))
    assert summary["dice_mean"] == {
        "value": 0.5, "low": None, "high": None, "cases": 3, "withheld": "of fewer than 5 patients",
    }  # fmt: skip
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.index("<h2>1. c</h2>") < page.index("<h2>2. a</h2>") < page.index("<h2>3. b</h2>")


def test_a_report_serves_as_masks_of_the_next(bundle: Path, data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert evaluate(bundle, data, first, "--limit", "1") == 0
    assert evaluate(bundle, data, second, "--limit", "1", "--predictions", str(first)) == 0
    tables = [(folder / "metrics.csv").read_text() for folder in (first, second)]
    assert tables[0] == tables[1]


def test_against_an_earlier_evaluation(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = masks(data, a=CHEST.labels, b=CHEST.labels, c=CHEST.labels)
    words = ["evaluate", str(bundle), "--data", str(data), "--predictions", str(better)]
    assert main([*words, "--output", str(tmp_path / "first")]) == 0
    capsys.readouterr()
    second = tmp_path / "second"
    assert main([*words, "--output", str(second), "--against", str(tmp_path / "first")]) == 0
    assert "lesion against first: dice mean +0.000, dice median +0.000" in capsys.readouterr().out
    assert "gains.csv" in json.loads((second / MANIFEST).read_text())["files"]
    missing = tmp_path / "missing"
    assert main([*words, "--output", str(tmp_path / "third"), "--against", str(missing)]) == 2
    assert "E_PATH" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


def test_broken_cases_are_listed_and_do_not_stop_the_others(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "a_ct.nii.gz"
    image.write_bytes(image.read_bytes()[:-40])
    folder = masks(data, a=CHEST.labels, b=CHEST.labels)
    report = tmp_path / "report"
    assert evaluate(bundle, data, report, "--predictions", str(folder)) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in said] == [
        ["medvol:", "E_TRUNCATED"],
        ["medvol:", "E_PATH"],
        ["medvol:", "2"],
        ["E_TRUNCATED", f"{image}:"],
        ["E_PATH", f"{folder / 'c'}:"],
    ]
    assert said[2] == "medvol: 2 of 3 failed:"
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "Not measured: 2 cases" in page
    assert "E_TRUNCATED a_ct.nii.gz" in page
    assert [p.name for p in report.iterdir() if p.is_dir()] == ["b"]
    record = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    assert [(row["case"], row["code"]) for row in record["refused"]] == [
        ("a", "E_TRUNCATED"), ("c", "E_PATH"),
    ]  # fmt: skip


def test_every_case_broken_leaves_no_page_of_an_older_run(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    with filling(report) as scratch:
        for name in ("report.html", "metrics.csv", "metrics.json"):
            (scratch / name).write_text("old")
    (tmp_path / "masks").mkdir()
    assert evaluate(bundle, data, report, "--predictions", str(tmp_path / "masks")) == 2
    assert files(report) == []


@pytest.mark.parametrize("mine", ["metrics.csv", "c/segmentation.nii.gz", "c/errors.png"])
def test_what_medvol_did_not_write_stays(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mine: str
) -> None:
    report = tmp_path / "report"
    (report / "c").mkdir(parents=True)
    (report / mine).write_text("mine")
    assert evaluate(bundle, data, report, "--fold", "1") == 2
    errors = capsys.readouterr().err
    assert f"E_OUTPUT {report / mine}: it would be replaced, and nothing says" in errors
    assert (report / mine).read_text() == "mine"


def test_a_folder_of_a_case_that_holds_its_image_is_refused(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(data.read_text())["training"]
    image = data.parent / rows[0]["image"]
    own = tmp_path / "cases" / rows[0]["case"] / image.name
    own.parent.mkdir(parents=True)
    image.rename(own)
    rows[0]["image"] = str(own)
    data.write_text(json.dumps({**json.loads(data.read_text()), "training": rows}))
    assert evaluate(bundle, data, tmp_path / "cases") == 2
    assert f"E_OUTPUT {own.parent}: this output folder holds the input" in capsys.readouterr().err
    assert [p for p in (tmp_path / "cases").rglob("*") if p.is_file()] == [own]


def test_other_weights(bundle: Path, data: Path, tmp_path: Path) -> None:
    nothing = threshold_weights()
    nothing["bias"] = torch.tensor([1e6, 0.0, 0.0, 0.0])  # background always wins
    torch.save(nothing, tmp_path / "fold1.pt")
    report = tmp_path / "report"
    weights = ("--weights", str(tmp_path / "fold1.pt"), "--limit", "1")
    assert main(["evaluate", str(bundle), "--data", str(data), "-o", str(report), *weights]) == 0
    record = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    assert record["cases"][0]["regions"]["lung"]["predicted_ml"] == 0
    assert record["bundle"]["Weights"] == "fold1.pt"
    assert (
        record["bundle"]["Weights SHA-256"]
        == sha256((tmp_path / "fold1.pt").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fold", "7"], "fold 7 leaves no validation case"),
        (["--limit", "0"], "--limit is 0; give 1 or more"),
        (["--tolerance", "-1"], "tolerance_mm is -1.0; give 0 or more"),
        (["--smallest-lesion", "nan"], "smallest_lesion_ml is nan; give 0 or more"),
        (["--weights", "no.pt"], "E_BUNDLE no.pt: the weights cannot be read"),
        (["--weights", "x.pt", "--predictions", "y"], "--predictions takes masks that are there"),
        (["--map", "lung"], "--map 'lung' has no \"=\"; give"),
        (["--map", "liver=lung (rest)"], "E_LABELS"),
    ],
)
def test_wrong_options(
    bundle: Path, data: Path, tmp_path: Path, options: list[str], words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert evaluate(bundle, data, tmp_path / "report", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_full_disk(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = masks(data, a=CHEST.labels, b=CHEST.labels, c=CHEST.labels)
    with full_disk(400):
        assert evaluate(bundle, data, tmp_path / "out", "--predictions", str(folder)) == 2
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["E_NOSPACE"] * 3
    assert files(tmp_path / "out") == []


def test_a_file_where_the_folder_should_be(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("something else")
    folder = masks(data, a=CHEST.labels)
    assert evaluate(bundle, data, tmp_path / "out", "--predictions", str(folder)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"medvol: E_NOSPACE {tmp_path / 'out'}")
    assert (tmp_path / "out").read_text() == "something else"


def test_labels_that_differ_are_refused_before_anything_runs(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _draw_nothing(monkeypatch)
    datalist = json.loads(data.read_text())
    data.write_text(json.dumps({**datalist, "labels": {**NAMES, 2: "effusion"}}))
    folder = masks(data, a=CHEST.labels, b=CHEST.labels, c=CHEST.labels)
    given = ("--predictions", str(folder))
    assert evaluate(bundle, data, tmp_path / "report", *given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"medvol: E_LABELS {data}: the data name 'effusion' (2), the bundle")
    assert not (tmp_path / "report").exists()
    assert evaluate(bundle, data, tmp_path / "report", *given, "--map", "effusion=") == 0
    record = json.loads((tmp_path / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert list(record["summary"]) == ["ground-glass opacity", "lung (rest)"]
    assert record["protocol"]["Names"] == "of the data = of the bundle: effusion = none"
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Not measured, since the data lack their labels: lesion, consolidation, lung." in page
    said = ("--map", "effusion=consolidation")
    assert evaluate(bundle, data, tmp_path / "report", *given, *said) == 0
    record = json.loads((tmp_path / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert record["protocol"]["Names"] == "of the data = of the bundle: effusion = consolidation"
    assert record["summary"]["consolidation"]["dice_pooled"]["value"] == 1.0


def test_figures_without_a_report(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(bundle), "--data", str(data), "-o", str(tmp_path / "out")]
    assert main([*words, "--fold", "1"]) == 0
    assert files(tmp_path / "out") == [
        "c/segmentation.nii.gz", "lesions.csv", "metrics.csv", "metrics.json",
    ]  # fmt: skip
    assert capsys.readouterr().out.splitlines()[-1] == f"figures in {tmp_path / 'out'}"


def test_few_patients_are_said(
    bundle: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _draw_nothing(monkeypatch)
    folder = masks(data, a=CHEST.labels, b=CHEST.labels, c=CHEST.labels)
    assert evaluate(bundle, data, tmp_path / "report", "--predictions", str(folder)) == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "does not know what the network was trained on" in page
    assert "Figures are of 2 patients: too few to rely on." in page
    datalist = json.loads(data.read_text())
    rows = [{**datalist["training"][0], "case": str(n), "patient": str(n)} for n in range(10)]
    data.write_text(json.dumps({**datalist, "training": rows}))
    folder = masks(data, **{str(n): CHEST.labels for n in range(10)})
    assert evaluate(bundle, data, tmp_path / "report", "--predictions", str(folder)) == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "too few to rely on" not in page


@pytest.mark.slow
def test_real_volumes(real_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "datalist.json"
    folder = str(real_data / "ct_radiopaedia")
    assert main(["data", "radiopaedia", folder, "--output", str(data)]) == 0
    report = tmp_path / "report"
    assert evaluate(Path("covid_ct_lesion_3d"), data, report, "--fold", "1") == 0
    record = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    assert [case["case"] for case in record["cases"]] == ["rp1", "rp6", "rp7"]
    assert record["interval"]["patients"] == 2
    assert record["summary"]["lung"]["dice_pooled"]["value"] > 0.9
    assert (report / "report.html").stat().st_size > 500_000
