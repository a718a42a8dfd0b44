# SPDX-License-Identifier: Apache-2.0
"""Entries beside each other: done ones are skipped, failed ones recorded, the best is named."""

import csv
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_training import PROGRAM, fake_bundle, quality
from monai.bundle import ConfigParser
from refusals import refused_by

from medvol.report.leaderboard import Row, ranked
from medvol.search import launch
from medvol.search.comparison import Comparison, only, read_contest, shipped_grids
from medvol.search.training import prepare

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
    files = {name: comparison.folder_of_entry(name) / "starts.txt" for name in comparison.entries}
    return {name: path.read_text().split() for name, path in files.items() if path.is_file()}


def test_the_best_by_validation_wins_and_a_crash_stops_nobody(bundle: Path, tmp_path: Path) -> None:
    made = Comparison(prepare(bundle), ENTRIES, tmp_path / "out")
    told: list[str] = []
    made.run(jobs=2, say=lambda trial: told.append(trial.user_attrs["name"]))
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
    made.run(say=lambda trial: told.append(trial.user_attrs["name"]))
    assert told == ["crash"]
    assert starts(made) == {**{name: ["0"] for name in ENTRIES}, "crash": ["0", "0"]}
    more = Comparison(made.training, {**ENTRIES, "new": {"learning_rate": 0.31}}, tmp_path / "out")
    more.run(say=lambda trial: told.append(trial.user_attrs["name"]))
    assert told == ["crash", "crash", "new"]
    assert leaderboard(tmp_path / "out")[2]["name"] == "new"


def test_an_entry_that_was_stopped_goes_on(bundle: Path, tmp_path: Path) -> None:
    training = prepare(bundle, settings={"epochs": 8, "epoch_s": 0.2})
    made = Comparison(training, {"slow": {}, "next": {}}, tmp_path / "out")
    halt = threading.Event()

    def stop_after_an_epoch() -> None:
        while not (made.folder_of_entry("slow") / "last.pt").is_file():
            time.sleep(0.01)
        halt.set()

    watcher = threading.Thread(target=stop_after_an_epoch)
    watcher.start()
    made._work(halt, 1, lambda _: None)
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
    entries = {"b": {}, "a": {"learning_rate": 0.2}}
    error = refused_by(lambda: Comparison(training, entries, tmp_path / "out"), "E_CHANGED")
    assert error.path == str(tmp_path / "out" / "entries" / "a")
    assert error.reason == "it was started with learning_rate 0.1, now 0.2."
    assert not (tmp_path / "out" / "entries" / "b").exists()


def test_only_the_winner_is_tested(bundle: Path, tmp_path: Path) -> None:
    made = Comparison(prepare(bundle), {"a": {}, "b": {"learning_rate": 0.3}}, tmp_path / "out")
    with pytest.raises(ValueError, match="no winner"):
        made.test({})
    made.run()
    folder = made.test({"part": "test"})
    assert (folder / "weights.txt").read_text() == str(made.folder_of_entry("b") / "model.pt")
    (bundle / "configs" / "evaluate.json").unlink()
    refused_by(lambda: made.test({}), "E_BUNDLE")


def test_ranks() -> None:
    def row(name: str, value: float | None, parameters: int | None) -> Row:
        return Row(name, value, parameters, 1.0, 1, 1, {}, "epochs", "")

    rows = [row("failed", None, 1), row("big", 0.5, 9), row("unknown", 0.5, None),
            row("small", 0.5, 3), row("best", 0.6, 99), row("below", -0.1, 1)]  # fmt: skip
    names = [row.name for row in ranked(rows)]
    assert names == ["best", "small", "big", "unknown", "below", "failed"]


def test_some_entries_alone_and_the_others_later(bundle: Path, tmp_path: Path) -> None:
    training, folder = prepare(bundle), tmp_path / "out"
    entries = {"a": {"learning_rate": 0.1}, "b": {"learning_rate": 0.3}}
    first = Comparison(training, entries, folder)
    assert first.ask() is not None  # a, by a process that ended before it trained
    first.close()
    alone = Comparison(training, {"b": entries["b"]}, folder)
    alone.run()
    assert [row.name for row in alone.rows] == ["b"]
    alone.close()
    both = Comparison(training, entries, folder)
    told: list[str] = []
    both.run(say=lambda trial: told.append(trial.user_attrs["name"]))
    assert told == ["a"]
    assert [row.name for row in both.rows] == ["b", "a"]
    both.close()


def test_an_entry_that_was_put_in_the_queue_and_never_asked_for(
    bundle: Path, tmp_path: Path
) -> None:
    made = Comparison(prepare(bundle), {"a": {}, "b": {}}, tmp_path / "out")
    for name in ("gone", "b"):
        told = {"name": name, "settings": {}, "parameters": 8}
        made.study.enqueue_trial({}, user_attrs=told)
    made.run()
    assert sorted(row.name for row in made.rows) == ["a", "b"]
    assert starts(made) == {"a": ["0"], "b": ["0"]}
    made.close()


def test_another_training_in_the_same_folder_is_refused(bundle: Path, tmp_path: Path) -> None:
    Comparison(prepare(bundle), {"a": {}}, tmp_path / "out").close()
    other = prepare(bundle, settings={"epochs": 9})
    error = refused_by(lambda: Comparison(other, {"b": {}}, tmp_path / "out"), "E_CHANGED")
    assert error.reason == "it was started with epochs None, now 9."


@pytest.mark.parametrize("mine", ["leaderboard.csv", "entries/a/notes.txt"])
def test_a_new_comparison_goes_where_nothing_of_its_names_lies(
    bundle: Path, tmp_path: Path, mine: str
) -> None:
    (tmp_path / "out" / mine).parent.mkdir(parents=True)
    (tmp_path / "out" / mine).write_text("mine")
    error = refused_by(lambda: Comparison(prepare(bundle), {"a": {}}, tmp_path / "out"), "E_OUTPUT")
    assert error.path == str(tmp_path / "out" / mine.partition("/")[0])
    assert len([*(tmp_path / "out").rglob("*")]) == mine.count("/") + 1


SIZE = 224


def written(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_products_are_multiplied_out(tmp_path: Path) -> None:
    contest = read_contest(written(
        tmp_path / "c.json", bundle="b", data="d.json", budget_s=5, settings={"epochs": 2},
        entries=[
            {"name": "plain", "learning_rate": 1},
            {"name": "net", "network_def": {"_target_": "N"}, "product": {
                "network_def#filters": [[4, 8], []], "network_def#dropout": {"wet": 0, "dry": 0.2},
            }},
        ],
    ))  # fmt: skip
    assert list(contest.entries) == [
        "plain", "net-4x8-wet", "net-4x8-dry", "net-none-wet", "net-none-dry",
    ]  # fmt: skip
    assert contest.entries["plain"] == {"learning_rate": 1}
    assert contest.entries["net-none-dry"] == {
        "network_def": {"_target_": "N"}, "network_def#filters": [], "network_def#dropout": 0.2,
    }  # fmt: skip
    assert next(iter(contest.entries["net-4x8-wet"])) == "network_def"  # the others lie over it
    assert (contest.bundle, contest.data) == ("b", tmp_path / "d.json")
    assert (contest.budget_s, contest.patience, contest.test) == (5, None, {})
    assert list(only(contest, ["plain"]).entries) == ["plain"]
    refused_by(lambda: only(contest, ["plane"]), "E_FORMAT")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "`entries` is not a list"),
        ({"entries": []}, "`entries` is not a list"),
        ({"entries": [{"name": "a"}], "budget": 1}, "it has the key `budget`"),
        ({"entries": [{"name": "a"}], "settings": []}, "`settings` is not an object"),
        ({"entries": [{"name": "a"}, {"name": "a"}]}, "two entries are called 'a'"),
        ({"entries": ["a"]}, "not an object with a `name`"),
        ({"entries": [{"name": "../a"}]}, "'../a' cannot be the name of a folder"),
        ({"entries": [{"name": "a", "product": [1]}]}, "`product` of 'a' is not an object"),
        ({"entries": [{"name": "a", "product": {"b": 1}}]}, "'a', b are neither a list"),
    ],
)  # fmt: skip
def test_a_comparison_of_another_form_is_refused(
    content: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "c.json", **content)
    assert words in refused_by(lambda: read_contest(path), "E_FORMAT").reason


def test_no_such_comparison(tmp_path: Path) -> None:
    refused_by(lambda: read_contest(tmp_path / "none.json"), "E_PATH")


def test_the_shipped_grid_has_more_than_forty_networks_that_can_be_made() -> None:
    contest = read_contest(Path("radiograph"))
    assert list(shipped_grids()) == ["radiograph"]
    assert len(contest.entries) == 50
    sizes = {}
    for name, values in contest.entries.items():
        parser = ConfigParser({"class_names": ["a", "b", "c"], "image_size": SIZE})
        for key, value in json.loads(json.dumps(values)).items():
            parser[key] = value
        with torch.device("meta"):
            network = parser.get_parsed_content("network_def")
            assert network(torch.zeros(1, 1, SIZE, SIZE)).shape == (1, 3), name
        sizes[name] = sum(p.numel() for p in network.parameters())
    assert len(set(sizes.values())) >= 30  # dropout changes no size
    assert sizes["vgg16-whole-4096x4096-plain"] > 100 * sizes["lenet5-120x84-d0"]
    assert sizes["lenet5-120x84-d0"] == 61_706 - 7 * 85  # ten classes have seven outputs more
