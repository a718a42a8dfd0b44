# SPDX-License-Identifier: Apache-2.0
"""Entries beside each other: done ones are skipped, failed ones recorded, the best is named."""

import csv
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fake_training import PROGRAM, fake_bundle, quality
from refusals import refused_by

from medvol.report.leaderboard import Row, ranked
from medvol.search import launch
from medvol.search.comparison import Comparison
from medvol.search.training import prepare
from medvol.search.trial import Halted

ENTRIES: dict[str, dict[str, Any]] = {
    "far": {"learning_rate": 0.1},
    "crash": {"mood": "crash"},
    "near": {"learning_rate": 0.25, "network_def#out_features": 4},
    "nearer": {"learning_rate": 0.3, "network_def#out_features": 8},
    "equal": {"learning_rate": 0.3},
}
REACHED = 0.875  # share of the quality after three epochs


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return fake_bundle(tmp_path / "bundle")


def leaderboard(folder: Path) -> list[dict[str, str]]:
    with open(folder / "leaderboard.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def starts(comparison: Comparison) -> dict[str, list[str]]:
    files = {name: comparison.folder_of(name) / "starts.txt" for name in comparison.entries}
    return {name: path.read_text().split() for name, path in files.items() if path.is_file()}


def test_the_best_by_validation_wins_and_a_crash_stops_nobody(bundle: Path, tmp_path: Path) -> None:
    made = Comparison(prepare(bundle), ENTRIES, tmp_path / "out")
    told: list[str] = []
    made.run(jobs=2, say=lambda row: told.append(row.name))
    assert sorted(told) == sorted(ENTRIES)
    rows = leaderboard(tmp_path / "out")
    assert [row["name"] for row in rows] == ["equal", "nearer", "near", "far", "crash"]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", ""]
    assert [row["parameters"] for row in rows] == ["8", "32", "16", "8", "8"]
    assert [row["score"] for row in rows[:4]] == [
        f"{quality(rate) * REACHED:.6g}" for rate in (0.3, 0.3, 0.25, 0.1)
    ]
    assert rows[0]["other"] == "3"  # every figure of the best epoch
    assert (rows[0]["best_epoch"], rows[0]["epochs"], rows[0]["seconds"]) == ("3", "3", "1.5")
    assert rows[4]["reason"] == "ValueError: no such layer"
    assert made.winner is not None
    assert made.winner.name == "equal"
    assert json.loads((tmp_path / "out" / "winner.json").read_text()) == ENTRIES["equal"]
    assert (tmp_path / "out" / "leaderboard.png").read_bytes().startswith(b"\x89PNG")
    assert [path.parent.name for path in tmp_path.glob("out/entries/*/*.pt")] == ["equal"]


def test_what_is_done_is_skipped_and_what_failed_is_tried_again(
    bundle: Path, tmp_path: Path
) -> None:
    made = Comparison(prepare(bundle), ENTRIES, tmp_path / "out")
    made.run()
    told: list[str] = []
    made.run(say=lambda row: told.append(row.name))
    assert told == ["crash"]
    assert starts(made) == {**{name: ["0"] for name in ENTRIES}, "crash": ["0", "0"]}
    more = Comparison(made.training, {**ENTRIES, "new": {"learning_rate": 0.31}}, tmp_path / "out")
    more.run(say=lambda row: told.append(row.name))
    assert told == ["crash", "crash", "new"]
    assert leaderboard(tmp_path / "out")[2]["name"] == "new"


def test_an_entry_that_was_stopped_goes_on(bundle: Path, tmp_path: Path) -> None:
    training = prepare(bundle, settings={"epochs": 8, "epoch_s": 0.2})
    made = Comparison(training, {"slow": {}, "next": {}}, tmp_path / "out")
    halt = threading.Event()

    def stop_after_an_epoch() -> None:
        while not (made.folder_of("slow") / "last.pt").is_file():
            time.sleep(0.01)
        halt.set()

    watcher = threading.Thread(target=stop_after_an_epoch)
    watcher.start()
    with pytest.raises(Halted):
        made._train("slow", halt, 1, 0.0)
    watcher.join()
    assert made.rows == []
    made.run(jobs=2)
    first, second = starts(made)["slow"]
    assert first == "0"
    assert int(second) >= 1
    assert [row.epochs for row in made.rows] == [8, 8]


def test_two_share_a_comparison(bundle: Path, tmp_path: Path) -> None:
    training = prepare(bundle, settings={"epoch_s": 0.05})
    entries = {f"e{k}": {"learning_rate": 0.1 * k} for k in range(4)}
    made = [Comparison(training, entries, tmp_path / "out") for _ in "ab"]
    threads = [threading.Thread(target=one.run) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert starts(made[0]) == {name: ["0"] for name in entries}
    assert [row.name for row in made[0].rows] == ["e3", "e2", "e1", "e0"]


def test_a_name_with_other_settings_is_refused_before_anything_is_trained(
    bundle: Path, tmp_path: Path
) -> None:
    training = prepare(bundle)
    Comparison(training, {"a": {"learning_rate": 0.1}}, tmp_path / "out").run()
    other = Comparison(training, {"b": {}, "a": {"learning_rate": 0.2}}, tmp_path / "out")
    assert "other settings" in refused_by(other.run, "E_FORMAT").reason
    assert not other.folder_of("b").exists()


def test_only_the_winner_is_tested(bundle: Path, tmp_path: Path) -> None:
    made = Comparison(prepare(bundle), {"a": {}, "b": {"learning_rate": 0.3}}, tmp_path / "out")
    with pytest.raises(ValueError, match="no winner"):
        made.test({})
    made.run()
    folder = made.test({"part": "test"})
    assert (folder / "weights.txt").read_text() == str(made.folder_of("b") / "model.pt")
    (bundle / "configs" / "evaluate.json").unlink()
    refused_by(lambda: made.test({}), "E_BUNDLE")


def test_ranks() -> None:
    def row(name: str, value: float | None, parameters: int | None) -> Row:
        return Row(name, value, parameters, 1.0, 1, 1, {}, "epochs", "")

    rows = [row("failed", None, 1), row("big", 0.5, 9), row("unknown", 0.5, None),
            row("small", 0.5, 3), row("best", 0.6, 99), row("below", -0.1, 1)]  # fmt: skip
    names = [row.name for row in ranked(rows)]
    assert names == ["best", "small", "big", "unknown", "below", "failed"]
