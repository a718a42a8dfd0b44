# SPDX-License-Identifier: Apache-2.0
"""Plots show what they were given: calibration, the course of a search, a leaderboard."""

import csv
from pathlib import Path

import matplotlib as mpl
import optuna
import pytest
from matplotlib import pyplot
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from PIL import Image

from medvol.metrics.classes.calibration import Bin
from medvol.report.leaderboard import Row, draw_leaderboard, write_leaderboard
from medvol.report.plots import draw_history, draw_importance, draw_reliability

ROWS = [
    Row("a", 0.9, 1000, 3.5, 4, 2, {"accuracy": 0.9, "loss": 0.1234567}, "patience", ""),
    Row("b", 0.8, None, 0.0, 4, 4, {"accuracy": 0.8}, "epochs", ""),
    Row("c", None, None, 0.0, 0, None, {}, "failed", "no memory"),
]


def inked(path: Path) -> int:
    """Pixels that are not white."""
    with Image.open(path) as picture:
        return sum(picture.convert("L").histogram()[:250])


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    """Three whole trials that differ, and one that was ended early at 0.3."""
    monkeypatch.setattr(optuna.logging, "get_verbosity", lambda: optuna.logging.ERROR)
    made = optuna.create_study(direction="maximize")
    for number, value in enumerate((0.5, 0.7, 0.3, 0.6)):
        made.add_trial(
            create_trial(
                state=TrialState.PRUNED if number == 2 else TrialState.COMPLETE,
                value=value,
                params={"network_def#width": float(number), "learning_rate": 0.1 * value},
                distributions={
                    "network_def#width": FloatDistribution(0, 9),
                    "learning_rate": FloatDistribution(0, 1),
                },
            )
        )
    return made


def test_history_shows_whole_and_pruned_trials(tmp_path: Path, study, drawn) -> None:
    before = dict(mpl.rcParams)
    draw_history(tmp_path / "h.png", study, metric="val_mean_dice")
    (axes,) = drawn[0].axes
    whole, _, ended = (dots.get_offsets().tolist() for dots in axes.collections)
    assert whole == [[0, 0.5], [1, 0.7], [3, 0.6]]
    assert ended == [[2, 0.3]]
    assert axes.lines[0].get_ydata().tolist() == [0.5, 0.7, 0.7, 0.7]  # best so far
    assert axes.get_ylabel() == "val mean dice"
    assert inked(tmp_path / "h.png") > 1000
    assert dict(mpl.rcParams) == before  # Optuna sets a style of its own
    assert pyplot.get_fignums() == []


def test_importance_has_a_bar_a_setting(tmp_path: Path, study, drawn) -> None:
    draw_importance(tmp_path / "i.png", study)
    (axes,) = drawn[0].axes
    assert {label.get_text() for label in axes.get_yticklabels()} == {
        "network_def#width", "learning_rate"
    }  # fmt: skip
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(1.0)
    assert pyplot.get_fignums() == []


def test_a_plot_that_cannot_be_written_leaves_no_figure_open(tmp_path: Path, study) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match="E_NOSPACE"):
        draw_importance(tmp_path / "file" / "i.png", study)
    assert pyplot.get_fignums() == []


def test_reliability_has_a_curve_a_group_with_a_dot_a_bin(tmp_path: Path, drawn) -> None:
    groups = {
        "held-out": [Bin(30, 0.1, 0.2), Bin(10, 0.9, 1.0)],
        "true HU": [Bin(5, 0.5, 0.4)],
    }
    draw_reliability(tmp_path / "r.png", groups, title="a bundle")
    (axes,) = drawn[0].axes
    diagonal, *curves = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert [c.get_xydata().tolist() for c in curves] == [[[0.1, 0.2], [0.9, 1.0]], [[0.5, 0.4]]]
    assert [c.get_label() for c in curves] == ["held-out (40 slices)", "true HU (5 slices)"]
    sizes = axes.collections[0].get_sizes().tolist()
    assert sizes[0] == 3 * sizes[1]
    assert inked(tmp_path / "r.png") > 1000


def test_words_of_reliability_are_those_given(tmp_path: Path, drawn) -> None:
    groups = {"as given": [Bin(3, 0.9, 1.0)]}
    draw_reliability(tmp_path / "r.png", groups, cases="images", share="share that is right")
    (axes,) = drawn[0].axes
    assert axes.lines[1].get_label() == "as given (3 images)"
    assert axes.get_ylabel() == "share that is right"


def test_leaderboard(tmp_path: Path) -> None:
    draw_leaderboard(tmp_path / "l.png", ROWS, metric="accuracy")
    draw_leaderboard(tmp_path / "none.png", ROWS[2:], metric="accuracy")
    assert inked(tmp_path / "l.png") > inked(tmp_path / "none.png")
    write_leaderboard(tmp_path / "l.csv", ROWS)
    with open(tmp_path / "l.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["rank", "name", "parameters", "accuracy", "loss", "best_epoch", "epochs", "seconds",
         "stopped", "reason"],
        ["1", "a", "1000", "0.9", "0.123457", "2", "4", "3.5", "patience", ""],
        ["2", "b", "", "0.8", "", "4", "4", "0.0", "epochs", ""],
        ["", "c", "", "", "", "", "0", "0.0", "failed", "no memory"],
    ]  # fmt: skip
