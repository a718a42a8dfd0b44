# SPDX-License-Identifier: Apache-2.0
"""The page of a classifier, its tables and pictures: every figure in its place, nothing loaded."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
from PIL import Image
from refusals import full_disk, refused_by

from medvol.bundle.spec import HumanReference
from medvol.errors import InputError
from medvol.metrics.classes.confounding import Confounding, Predicted
from medvol.metrics.classes.evaluation import ClassCase, ClassEvaluation, SliceEvaluation, Tuned
from medvol.metrics.intervals import Estimate
from medvol.report.class_evaluation import (
    ClassPictures,
    class_content,
    confounding_lines,
    summary_line,
    tuned_line,
)
from medvol.report.evaluation import (
    About,
    render_evaluation,
    write_evaluation,
    write_metrics_csv,
    write_metrics_json,
)
from medvol.report.plots import curves_of, draw_curves

NAMES = ("no <ill>", "ill")
ROWS = (  # truth, probability of the second class: right, wrong, right, right
    ("a <1>", "p1", 0, 0.25), ("a2", "p1", 1, 0.125), ("b", "p2", 1, 0.75), ("c", "p3", 1, 0.875),
)  # fmt: skip
REFUSED = InputError("E_TRUNCATED", "/secret/patient/x.png", "it ends early.", "Copy it.")


def answers() -> tuple[ClassCase, ...]:
    return tuple(
        ClassCase(case, f"{case}.png", patient, truth, np.array([1 - p, p]), ("N_X y.",))
        for case, patient, truth, p in ROWS
    )


def predicted(target: str, clue: str, auc: float) -> Predicted:
    return Predicted(target, clue, Estimate(0.75, 0.5, 1.0, 4), Estimate(auc, auc, auc, 4), 0.6, 3)


CONFOUNDING = Confounding(
    (
        predicted("class", "border", 0.9),
        predicted("class", "without the lungs", 0.8),
        predicted("source", "border", 0.7),
    ),
    training=20, measured=4, shared=2, unreadable=1,
)  # fmt: skip
EVALUATION = ClassEvaluation(
    answers(), (("broken", REFUSED),), NAMES, Tuned(2.0, 0.5, 10), CONFOUNDING
)
ABOUT = About(
    protocol={"Data": "set (datalist.json)", "Images": "4 images of the test part"},
    bundle={"Bundle": "my_bundle", "Weights SHA-256": "5f70bf18"},
    files={"predictions.csv": "each image", "a b.png": "a picture"},
    remarks=["The intervals are of 3 patients."],
)
NONE = ClassPictures()
TILES = ClassPictures(
    tiles={"a2": "data:image/jpeg;base64,AAAA", "b": "data:image/jpeg;base64,BBBB"}
)


def rendered(evaluation: ClassEvaluation = EVALUATION, pictures: ClassPictures = NONE) -> str:
    return render_evaluation(evaluation, class_content(evaluation, pictures), ABOUT)


def text_of(page: str) -> str:
    body = page[page.index("<body>") :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.fixture(scope="module")
def page() -> str:
    return rendered(pictures=TILES)


@pytest.mark.parametrize(
    "words",
    [
        "my_bundle Research use only. Not a medical device.",
        "0.750 accuracy 0.667 AUC",  # of three patients: no interval
        "0.667 AUC",  # 0.75 and 0.875 above 0.25, 0.125 not
        "4 images of 3 patients",
        "set (datalist.json); 4 images of the test part.",
        "Not measured: 1 image broken : E_TRUNCATED x.png: it ends early. Copy it.",
        "The intervals are of 3 patients.",
        "The class can be predicted from the border alone with AUC 0.900 and accuracy 0.750, "
        "from the image without the lungs with AUC 0.800 and accuracy 0.750; the bundle has AUC "
        "0.667 and accuracy 0.750.",
        "The source (of 3) can be predicted from the border alone with AUC 0.700",
        "the bundle, from the whole image 0.750 0.667",
        "border 0.750 (0.500 to 1.000) 0.900 (0.900 to 0.900)",
        "always the most frequent class 0.600 0.500",
        "no <ill> 1 100.0 % 0 0.0 % 1 ill 1 33.3 % 2 66.7 % 3",
        "ill 1.000 no interval: of fewer than 5 patients of 2 0.667",  # precision
        "Ranking: ill",
        "At or above Sensitivity",
        "0.2 0.667 0.000 0.667 0.000 2 1 1",
        "0.500, chosen on validation 0.667 1.000 1.000 0.500 2 1 0",
        "on 10 images of the validation part",
        "with temperature 2.00",
        "no <ill> 0.875 · true: ill 0.125 loss 2.08 · a2",
        "ill 0.750 · right loss 0.29 · b",
        "fitted on 20 images of the training part and measured on 4",
        "2 training images were left out",
        "1 images could not be read",
        "by leaving out one patient after another (jackknife)",
        "The calibration error has no interval: with few cases it is too high by itself",
        "Weights SHA-256 5f70bf18",
    ],
)
def test_page_says(page: str, words: str, tmp_path: Path) -> None:
    if words.startswith("Ranking"):  # only beside its picture
        picture = tmp_path / "curves.png"
        draw_curves(picture, curves_of(EVALUATION))
        page = rendered(pictures=ClassPictures(curves=picture))
        assert page.count("data:image/png;base64,") == 1
    assert words in text_of(page)


def test_the_page_divides_figures_by_source_and_names_human_readers() -> None:
    images = tuple(
        replace(image, groups={"source": "hospital <A>" if n < 2 else "B"})
        for n, image in enumerate(answers())
    )
    evaluation = ClassEvaluation(images, (), NAMES)
    human = [HumanReference("", "accuracy", 0.9, "two readers", "A 2020")]
    text = text_of(
        render_evaluation(evaluation, class_content(evaluation, NONE), replace(ABOUT, human=human))
    )
    assert "What human readers reach Figure Humans Here Accuracy two readers; A 2020 0.90" in text
    assert "By source Source Images Patients Accuracy" in text
    assert "hospital <A> 2 1 0.500" in text
    assert "B 2 2 1.000" in text


def test_highest_loss_comes_first_and_wrong_ones_are_marked(page: str) -> None:
    figures = re.findall(r"<figure( class=\"wrong\")?>\s*<img[^>]*base64,(\w+)", page)
    assert figures == [(' class="wrong"', "AAAA"), ("", "BBBB")]


def test_page_loads_nothing_and_names_no_folder(page: str) -> None:
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {x for x in links if not x.startswith("data:")} == {"./predictions.csv", "./a%20b.png"}
    for outside in ("http:", "https:", "url(", "@import", "<link", "<script", "secret", "/data"):
        assert outside not in page


def test_what_is_not_defined_is_said() -> None:
    names = ("normal", "ill", "rare")
    images = tuple(
        ClassCase(str(n), "x.png", str(n), n % 2, np.array([0.5, 0.3, 0.2])) for n in range(4)
    )
    page = text_of(rendered(ClassEvaluation(images, (), names)))
    assert "rare not defined not defined 1.000" in page  # never predicted, does not occur
    assert "ill not defined 0.000" in page  # occurs, never predicted: recall 0
    assert "rare 0 – 0 – 0 – 0" in page  # no row of the matrix
    assert "Thresholds" not in page  # three classes
    assert "temperature" not in page
    assert "What predicts" not in page


def test_one_image_has_no_interval_and_no_curve() -> None:
    alone = ClassEvaluation(EVALUATION.cases[:1], (), NAMES)
    text = text_of(rendered(alone))
    assert "1.000 accuracy not defined AUC 1 image of 1 patient" in text
    assert "With --calibrate one is chosen" in text
    slices = text_of(rendered(SliceEvaluation(EVALUATION.cases[:1], (), NAMES)))
    assert "Thresholds on the probability of ill" in slices
    assert "--calibrate" not in slices  # their datalists have no validation part
    assert curves_of(alone) == []


def test_without_anything_predicted() -> None:
    nothing = replace(EVALUATION, confounding=Confounding((), 0, 4, 0, 0))
    assert "<h2>What predicts the" not in rendered(nothing)
    assert confounding_lines(nothing) == [
        "What else predicts the class was not tested: there is nothing to train on."
    ]
    assert confounding_lines(replace(EVALUATION, confounding=None)) == []


def test_lines_for_the_terminal() -> None:
    assert summary_line(EVALUATION).startswith("accuracy 0.750, AUC 0.667")
    assert summary_line(EVALUATION).endswith("images: 4, patients: 3")
    # 0.75 and 0.75 are right, of 0.875 and 0.875 one: 0.25 and 0.375 too little and too much
    assert tuned_line(EVALUATION).startswith("calibration error 0.312, with temperature 2.00 ")
    assert tuned_line(EVALUATION).endswith("threshold 0.500: sensitivity 0.667, specificity 1.000")
    with pytest.raises(ValueError, match="nothing was chosen"):
        tuned_line(ClassEvaluation(answers(), (), NAMES))


def test_csv_has_a_row_an_image(tmp_path: Path) -> None:
    write_metrics_csv(tmp_path / "metrics.csv", EVALUATION)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "metrics.csv").read_text())))
    assert rows[1] == {
        "image": "a2.png", "case": "a2", "patient": "p1", "truth": "ill", "predicted": "no <ill>",
        "probability_no_<ill>": "0.875", "probability_ill": "0.125", "loss": "2.07944",
        "notes": "N_X y.",
    }  # fmt: skip
    assert len(rows) == 4


def test_json_says_the_same_and_how(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics_json(path, EVALUATION, About({"Data": "set"}, {"Version": "1"}))
    record = json.loads(path.read_text())
    assert (record["bundle"], record["protocol"]) == ({"Version": "1"}, {"Data": "set"})
    assert (record["class_names"], record["images"]) == (list(NAMES), 4)
    assert record["summary"]["accuracy"] == {
        "value": 0.75, "low": None, "high": None, "cases": 4,
        "withheld": "of fewer than 5 patients",
    }  # fmt: skip
    assert record["calibration_error_withheld"].startswith("with few cases it is too high")
    assert record["classes"]["ill"]["recall"]["value"] == pytest.approx(2 / 3)
    assert record["confusion"]["counts"] == [[1, 0], [1, 2]]
    assert record["tuned"] == {"temperature": 2.0, "threshold": 0.5, "images": 10}
    assert list(record["calibration"]) == ["as given", "with temperature"]
    chosen = record["thresholds"][4]
    assert chosen["threshold"] == 0.5
    assert (chosen["found"], chosen["specificity"]) == (2, 1.0)
    border = record["confounding"]["predictions"][0]
    assert (border["target"], border["clue"], border["auc"]["value"]) == ("class", "border", 0.9)
    assert record["confounding"]["left_out_as_their_patient_is_measured"] == 2
    assert record["refused"][0] == {"case": "broken", "code": "E_TRUNCATED", "file": "x.png",
                                    "reason": "it ends early.", "remedy": "Copy it."}  # fmt: skip
    assert record["interval"]["patients"] == 3
    bare = ClassEvaluation(answers()[:1], (), NAMES)
    write_metrics_json(path, bare, ABOUT)
    record = json.loads(path.read_text())
    assert (record["tuned"], record["confounding"]) == (None, None)
    assert record["summary"]["macro_auc"]["value"] is None


def test_curves_of_two_classes_are_of_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[matplotlib.figure.Figure] = []
    real = matplotlib.figure.Figure.subplots
    monkeypatch.setattr(
        "matplotlib.figure.Figure.subplots",
        lambda self, *a, **k: drawn.append(self) or real(self, *a, **k),
    )
    (curve,) = curves_of(EVALUATION)
    assert (curve.name, curve.share) == ("ill", 0.75)
    draw_curves(tmp_path / "curves.png", [curve])
    left, right = drawn[0].axes
    roc = left.lines[1].get_xydata().tolist()
    assert roc == pytest.approx(np.array([[0, 0], [0, 1 / 3], [0, 2 / 3], [1, 2 / 3], [1, 1]]))
    assert right.lines[0].get_xydata()[0].tolist() == [0, 1]
    assert right.lines[1].get_ydata()[0] == 0.75
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width == 1000


def test_curves_of_three_classes_leave_out_what_does_not_occur() -> None:
    table = np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.4, 0.5, 0.1]])
    images = tuple(ClassCase(str(n), "x", str(n), n % 2, row) for n, row in enumerate(table))
    assert [c.name for c in curves_of(ClassEvaluation(images, (), ("a", "b", "c")))] == ["a", "b"]


WRITERS = {
    "page": lambda folder: write_evaluation(
        folder / "report.html", EVALUATION, class_content(EVALUATION, TILES), ABOUT
    ),
    "csv": lambda folder: write_metrics_csv(folder / "m.csv", EVALUATION),
    "json": lambda folder: write_metrics_json(folder / "m.json", EVALUATION, ABOUT),
    "curves": lambda folder: draw_curves(folder / "c.png", curves_of(EVALUATION)),
}


@pytest.mark.parametrize("what", WRITERS)
def test_full_disk_leaves_nothing(tmp_path: Path, what: str) -> None:
    with full_disk(50):
        refused_by(lambda: WRITERS[what](tmp_path), "E_NOSPACE")
    assert list(tmp_path.iterdir()) == []


def test_areas_of_the_evaluation_by_hand() -> None:
    assert EVALUATION.summary["macro_auc"].value == pytest.approx(2 / 3)
    assert math.isnan(ClassEvaluation(answers()[:1], (), NAMES).summary["macro_auc"].value)
