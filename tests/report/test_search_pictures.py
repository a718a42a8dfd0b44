# SPDX-License-Identifier: Apache-2.0
"""Pictures of searches: they are drawn from one trial on, and show what they were given."""

import csv
from pathlib import Path

from PIL import Image

from medvol.report.leaderboard import Row, draw_leaderboard, write_leaderboard
from medvol.report.study import draw_history, draw_importance

ROWS = [
    Row("a", 0.9, 1000, 3.5, 4, 2, {"accuracy": 0.9, "loss": 0.1234567}, "patience", ""),
    Row("b", 0.8, None, 0.0, 4, 4, {"accuracy": 0.8}, "epochs", ""),
    Row("c", None, None, 0.0, 0, None, {}, "failed", "no memory"),
]


def inked(path: Path) -> int:
    """Pixels that are not white."""
    with Image.open(path) as picture:
        return sum(picture.convert("L").histogram()[:250])


def test_history_shows_whole_and_pruned_trials(tmp_path: Path) -> None:
    draw_history(tmp_path / "one.png", {0: 0.5}, pruned={}, metric="dice")
    draw_history(tmp_path / "two.png", {0: 0.5, 2: 0.7}, pruned={1: 0.1}, metric="dice")
    assert inked(tmp_path / "two.png") > inked(tmp_path / "one.png") > 0


def test_importance(tmp_path: Path) -> None:
    draw_importance(tmp_path / "i.png", {"network_def#width": 0.25, "learning_rate": 0.75})
    assert inked(tmp_path / "i.png") > 0


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
