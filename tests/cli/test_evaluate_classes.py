# SPDX-License-Identifier: Apache-2.0
"""`medvol evaluate` of a bundle of classes: from datalist to page.

The bundle's score for pneumonia grows with the mean grey of the bottom left quarter, where the made
disease is. It ranks every ill picture above every other, and calls all of them pneumonia.
"""

import csv
import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from radiographs import made_classes
from refusals import full_disk
from tiny_bundle import quarter_bundle, tiny_bundle

from medvol.cli import main
from medvol.owned import MANIFEST, filling

BOTTOM_LEFT = 2
EACH = {"training": 12, "validation": 6, "test": 8}
OUTPUTS = ["curves.png", "metrics.csv", "metrics.json", "reliability.png", "report.html"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quarter_bundle(tmp_path_factory.mktemp("bundles") / "quarters", BOTTOM_LEFT)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made_classes(tmp_path / "data", each=EACH, marked="ill")


def evaluate(bundle: Path, data: Path, report: Path, *options: str) -> int:
    words = ["evaluate", str(bundle), "--data", str(data), "--output", str(report), "--report",
             *options]  # fmt: skip
    return main(words)


def record_of(report: Path) -> dict:
    record: dict = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    return record


def changed(data: Path, **entries: object) -> Path:
    datalist = json.loads(data.read_text(encoding="utf-8"))
    data.write_text(json.dumps({**datalist, **entries}), encoding="utf-8")
    return data


def test_network_to_page(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report"
    assert evaluate(bundle, data, report, "--calibrate") == 0
    assert sorted(path.name for path in report.iterdir()) == [MANIFEST, *OUTPUTS]
    record = record_of(report)
    assert record["summary"]["accuracy"]["value"] == 0.5
    assert record["summary"]["macro_auc"]["value"] == 1.0
    assert record["confusion"]["counts"] == [[0, 8], [0, 8]]
    weights = sha256((bundle / "models" / "model.pt").read_bytes()).hexdigest()
    assert record["bundle"]["Weights SHA-256"] == weights
    assert record["protocol"] == {
        "Data": f"made (datalist.json, SHA-256 {sha256(data.read_bytes()).hexdigest()[:12]}…)",
        "Images": "16 images of the test part",
        "Patients": "each image is a patient of its own",
        "Run": "fp32 on cpu",
        "Chosen on": "temperature and threshold chosen on the validation part",
    }
    assert record["tuned"]["images"] == 12
    (chosen,) = (r for r in record["thresholds"] if r["threshold"] == record["tuned"]["threshold"])
    assert (chosen["sensitivity"], chosen["specificity"]) == (1.0, 1.0)
    border = record["confounding"]["predictions"][0]
    assert (border["target"], border["clue"], border["auc"]["value"]) == ("class", "border", 1.0)
    assert record["confounding"]["training_images"] == 24
    with open(report / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"test_{n:03d}.png" for n in range(16)]
    assert {row["predicted"] for row in rows} == {"pneumonia"}
    page = (report / "report.html").read_text(encoding="utf-8")
    assert all(words in page for words in (weights, "quarters", "where the network looked"))
    assert page.count("data:image/jpeg") == 16
    assert page.count("data:image/png") == 2
    assert str(tmp_path) not in page
    said = capsys.readouterr()
    assert said.err.splitlines()[1:] == []  # but what the bundle is
    figures, class_line, source_line, tuned, last = said.out.splitlines()
    assert figures.startswith("accuracy 0.500 (")
    assert "The class can be predicted from the border alone with AUC 1.000" in class_line
    assert class_line.endswith("; the bundle has AUC 1.000 and accuracy 0.500.")
    assert source_line.startswith(
        "The source (of 2) can be predicted from the border alone with AUC 1"
    )
    assert tuned.endswith("sensitivity 1.000, specificity 1.000")
    assert last == f"report {report / 'report.html'}"


def test_part_and_limit(bundle: Path, data: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    assert evaluate(bundle, data, report, "--part", "training", "--limit", "2") == 0
    record = record_of(report)
    images = "4 images of the training part, the first 2 of each class at most"
    assert record["protocol"]["Images"] == images
    assert record["confounding"] is None  # it would be measured on what it was fitted on
    assert record["tuned"] is None
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "was not tested" in page
    assert "Figures are of 4 patients" in page


def test_without_the_confounding_test(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(bundle, data, tmp_path / "report", "--no-confounding") == 0
    assert record_of(tmp_path / "report")["confounding"] is None
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_datalist_of_a_test_part_only(bundle: Path, tmp_path: Path) -> None:
    data = made_classes(tmp_path / "data", each={"test": 2}, marked="half")
    assert evaluate(bundle, data, tmp_path / "report") == 0
    assert record_of(tmp_path / "report")["confounding"] is None


def test_classes_are_matched_by_name(bundle: Path, data: Path, tmp_path: Path) -> None:
    datalist = json.loads(data.read_text(encoding="utf-8"))
    test = [
        {"image": item["image"], "label": 1 - item["label"]} for item in datalist["test"][:6]
    ]  # without class, case and patient
    changed(data, labels={"0": "Pneumonia", "1": "NORMAL"}, test=test, training=[], validation=[])
    assert evaluate(bundle, data, tmp_path / "report") == 0
    record = record_of(tmp_path / "report")
    assert record["class_names"] == ["normal", "pneumonia"]
    assert record["summary"]["macro_auc"]["value"] == 1.0
    with open(tmp_path / "report" / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["truth"] for row in rows] == ["normal", "pneumonia"] * 3
    assert rows[0]["case"] == rows[0]["patient"] == "test_000.png"


def test_patients_in_both_parts_are_named(bundle: Path, data: Path, tmp_path: Path) -> None:
    datalist = json.loads(data.read_text(encoding="utf-8"))
    datalist["training"][0]["patient"] = datalist["test"][0]["patient"]
    changed(data, **datalist)
    assert evaluate(bundle, data, tmp_path / "report") == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert (
        "1 patient of these images is in the training part too: the figures are too good." in page
    )
    assert record_of(tmp_path / "report")["confounding"]["training_images"] == 23


def test_broken_images_are_listed_and_do_not_stop_the_others(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.parent / "test_000.png").write_bytes(b"")
    (data.parent / "test_003.png").unlink()
    report = tmp_path / "report"
    assert evaluate(bundle, data, report) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in said[:2]] == ["E_EMPTY", "E_PATH"]
    assert said[2] == "medvol: 2 of 16 failed:"
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "Not measured: 2 images" in page
    assert "E_EMPTY test_000.png" in page
    assert [row["case"] for row in record_of(report)["refused"]] == ["test_000", "test_003"]
    assert record_of(report)["protocol"]["Images"].startswith("14 images of the test part; 2 not")


def test_every_image_broken_leaves_no_page_of_an_older_run(bundle: Path, tmp_path: Path) -> None:
    data = made_classes(tmp_path / "data", each={"test": 1}, marked="half")
    for image in data.parent.glob("*.png"):
        image.write_bytes(b"")
    report = tmp_path / "report"
    with filling(report) as scratch:
        for name in OUTPUTS:
            (scratch / name).write_text("old")
    assert evaluate(bundle, data, report) == 2
    assert [path.name for path in report.iterdir()] == [MANIFEST]


def test_other_weights(bundle: Path, data: Path, tmp_path: Path) -> None:
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    state["3.bias"] = torch.tensor([100.0, 0.0])  # normal always wins
    torch.save(state, tmp_path / "other.pt")
    options = ("--weights", str(tmp_path / "other.pt"), "--no-confounding")
    assert evaluate(bundle, data, tmp_path / "report", *options) == 0
    record = record_of(tmp_path / "report")
    assert record["confusion"]["counts"] == [[8, 0], [8, 0]]
    assert record["bundle"]["Weights"] == "other.pt"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fold", "0"], "--fold is not for a bundle of radiographs"),
        (["--predictions", "masks"], "--predictions is not for a bundle of radiographs"),
        (["--tolerance", "3"], "--tolerance is not for"),
        (["--smallest-lesion", "1"], "--smallest-lesion is not for"),
        (["--limit", "0"], "--limit is 0; give 1 or more"),
        (["--part", "validation", "--calibrate"], "figures of it would be too good"),
        (["--weights", "no.pt"], "E_BUNDLE no.pt: the weights cannot be read"),
    ],
)
def test_wrong_options(
    bundle: Path, data: Path, tmp_path: Path, options: list[str], words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert evaluate(bundle, data, tmp_path / "report", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_parts_that_are_not_there(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made_classes(tmp_path / "data", each={"test": 1}, marked="half")
    assert evaluate(bundle, data, tmp_path / "report", "--calibrate") == 2
    assert "has no validation case" in capsys.readouterr().err
    assert evaluate(bundle, data, tmp_path / "report", "--part", "training") == 2
    assert "has no training case" in capsys.readouterr().err


def test_other_classes_are_refused(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {part: [] for part in ("training", "validation")}
    test = [{"image": "test_000.png", "label": 0}]
    changed(data, labels={"0": "normal", "1": "covid"}, test=test, **parts)
    assert evaluate(bundle, data, tmp_path / "report") == 2
    said = capsys.readouterr().err
    assert said.startswith("medvol: E_LABELS ")
    assert "the data name 'covid' (1), the bundle 'normal' (0), 'pneumonia' (1)." in said


@pytest.mark.parametrize("option", [["--part", "test"], ["--calibrate"], ["--no-confounding"]])
def test_options_of_classes_are_refused_for_masks(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "thresholds")
    data = tmp_path / "datalist.json"
    data.write_text(json.dumps({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}))
    assert evaluate(bundle, data, tmp_path / "report", *option) == 2
    assert f"{option[0]} is not for a bundle of volumes; leave it out" in capsys.readouterr().err


def test_full_disk(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(400):
        assert evaluate(bundle, data, tmp_path / "out", "--no-confounding") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.split()[1] == "E_NOSPACE"
    assert not (tmp_path / "out").exists()


def test_a_class_that_does_not_occur_is_said(bundle: Path, data: Path, tmp_path: Path) -> None:
    datalist = json.loads(data.read_text(encoding="utf-8"))
    changed(data, test=[item for item in datalist["test"] if item["label"] == 0])
    assert evaluate(bundle, data, tmp_path / "report", "--no-confounding") == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    for words in (
        "does not know what the network was trained on",
        "No image is of the class pneumonia; nothing is known of it.",
        "Figures are of 8 patients: too few to rely on.",
        "Whether the class can be predicted from beside the lungs was not tested.",
    ):
        assert words in page
    test = [{**datalist["test"][0], "case": str(n), "patient": str(n)} for n in range(10)]
    changed(data, test=test)
    assert evaluate(bundle, data, tmp_path / "report", "--no-confounding") == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "too few to rely on" not in page
