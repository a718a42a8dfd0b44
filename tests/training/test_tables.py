# SPDX-License-Identifier: Apache-2.0
"""Tables of several folds as one, and figures of images with a class, by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest

from medvol.metrics.classes.decision import Decision
from medvol.training.tables import class_figures, join_cases, join_slices

HEAD = "case,region,dice,voxels_both,voxels_predicted,voxels_true\n"


def test_cases_are_joined_and_summarised_anew(tmp_path: Path) -> None:
    (tmp_path / "0.csv").write_text(HEAD + "a,x,0.5,1,2,2\na,y,,0,0,0\nmean,x,0.5,,,\n")
    (tmp_path / "1.csv").write_text(HEAD + "b,x,1.0,6,6,6\nb,y,0,0,4,4\npooled,y,0,,,\n")
    joined = tmp_path / "all.csv"
    figures = join_cases([tmp_path / "0.csv", tmp_path / "1.csv"], joined)
    assert figures["pooled"] == {"x": pytest.approx(14 / 16), "y": 0.0}
    assert figures["mean"] == {"x": 0.75, "y": 0.0}  # y: only b has it
    assert figures["cases_in_mean"] == {"x": 2, "y": 1}
    lines = joined.read_text().splitlines()
    assert lines[1:3] == ["a,x,0.5,1,2,2", "a,y,,0,0,0"]
    assert lines[5:] == ["pooled,x,0.8750,,,", "pooled,y,0.0000,,,", "mean,x,0.7500,,,",
                         "mean,y,0.0000,,,"]  # fmt: skip


def test_slices_are_joined(tmp_path: Path) -> None:
    head = "case,slice,log_odds,lesion_mm2\n"
    (tmp_path / "0.csv").write_text(head + "a,0,-1,0\na,1,0,60\na,2,-2,90\na,3,5,10\n")
    (tmp_path / "1.csv").write_text(head + "b,0,0,0\n")
    tables = [tmp_path / "0.csv", tmp_path / "1.csv"]
    slices, figures = join_slices(tables, tmp_path / "all.csv", smallest_mm2=50.0)
    assert slices.truth.tolist() == [0, 1, 1, 0]
    assert slices.probability == pytest.approx(1 / (1 + np.exp([1, 0, 2, 0])))
    assert figures["auc_mean"] == 0.5  # of a alone: b has no positive slice
    assert figures["cases_in_mean"] == 1
    assert figures["auc_pooled"]["value"] == pytest.approx(1.5 / 4)
    with open(tmp_path / "all.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["slices"], row["positive"], row["auc"]) for row in rows] == [
        ("a", "3", "2", "0.5000"), ("b", "1", "0", "nan"), ("mean", "4", "2", "0.5000"),
        ("pooled", "4", "2", "0.3750"),
    ]  # fmt: skip


def test_figures_of_classes_and_within_a_source(tmp_path: Path) -> None:
    given = [("a", 0, 0.9, "s"), ("b", 1, 0.4, "s"), ("c", 1, 0.6, "t"), ("d", 1, 0.1, "t")]
    items = [{"image": f"/{name}", "label": c, "source": s} for name, c, _, s in given]
    lines = [f"/{name},{p},{1 - p}" for name, _, p, _ in given]
    path = tmp_path / "predictions.csv"
    path.write_text("\n".join(["image,probability_no,probability_very_ill", *lines]) + "\n")
    figures = class_figures([path], items, ("no", "very ill"))
    assert figures["images"] == 4
    assert figures["accuracy"] == 0.75
    assert figures["balanced accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["AUC"] == 1.0
    assert figures["recall very ill"] == pytest.approx(2 / 3)
    assert figures["precision no"] == 0.5
    assert figures["log loss"] == pytest.approx(-np.log([0.9, 0.6, 0.4, 0.9]).mean())
    assert figures["AUC within s"] == 1.0
    chosen = class_figures([path], items, ("no", "very ill"), [Decision(2.0, 0.3)])
    assert chosen["accuracy"] == 1.0  # the least of b, c, d is 0.6; with temperature 0.55
    assert chosen["balanced accuracy"] == 1.0
    assert chosen["AUC"] == 1.0
    odds = np.sqrt([9, 6 / 4, 4 / 6, 9])  # of the true class
    assert chosen["log loss"] == pytest.approx(-np.log(odds / (1 + odds)).mean())
    assert "AUC within t" not in figures  # it has one class
