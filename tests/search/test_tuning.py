# SPDX-License-Identifier: Apache-2.0
"""Search spaces; and a study that was stopped goes on, several share it, what is best runs."""

import csv
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fake_training import PROGRAM, fake_bundle, quality
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from refusals import refused_by

from medvol.search import launch
from medvol.search.training import prepare
from medvol.search.tuning import Axis, Strategy, Tuning, grid, importance, read_space

RATES = (0.1, 0.3)
WIDTHS = (1, 2)
GRID = {"learning_rate": Axis(RATES), "network_def#width": Axis(WIDTHS)}
EPOCHS = 3
REACHED = 1 - 0.5**EPOCHS  # share of the quality after three epochs


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return fake_bundle(tmp_path / "bundle")


class StopAfter:
    """What is told of trials, and ends the search as Ctrl-C does after so many."""

    def __init__(self, trials: int) -> None:
        self.left = trials

    def __call__(self, _: FrozenTrial) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def search(bundle: Path, folder: Path, strategy: Strategy, **options: object) -> Tuning:
    space = options.pop("space", GRID)
    return Tuning(prepare(bundle, settings=options), space, folder, strategy)  # type: ignore


def starts(folder: Path) -> list[list[str]]:
    """The epochs from which each trial was started, trial by trial."""
    found = sorted(folder.glob("trials/*/starts.txt"))
    return [path.read_text().split() for path in found]


def test_a_grid_visits_every_combination_once(bundle: Path, tmp_path: Path) -> None:
    few = search(bundle, tmp_path / "out", Strategy(1, "grid", "none"))
    few.run()
    assert len(few.trials) == 1
    few.close()
    made = search(bundle, tmp_path / "out", Strategy(9, "grid", "none"))
    made.run(jobs=2)
    visited = [tuple(made.values(trial).values()) for trial in made.trials]
    assert visited == [(0.1, 1), (0.1, 2), (0.3, 1), (0.3, 2)]
    best = made.best
    assert best is not None
    assert best.value == pytest.approx(quality(0.3, 2) * REACHED)
    assert json.loads((tmp_path / "out" / "best.json").read_text()) == {
        "learning_rate": 0.3, "network_def#width": 2,
    }  # fmt: skip
    assert starts(tmp_path / "out") == [["0"]] * 4
    kept = [path.parent.name for path in sorted(tmp_path.glob("out/trials/*/*.pt"))]
    assert kept == ["0003"]  # weights of the best alone
    shares = importance(made)
    assert set(shares) == {"learning_rate", "network_def#width"}
    assert sum(shares.values()) == pytest.approx(1)
    made.close()


def test_the_table_says_how_each_went(bundle: Path, tmp_path: Path) -> None:
    space = {"mood": Axis(("good", "crash", "nan"))}
    made = search(bundle, tmp_path / "out", Strategy(3, "grid"), space=space)
    made.run()
    made.close()
    with open(tmp_path / "out" / "trials.csv", encoding="utf-8") as file:
        good, crash, nan = csv.DictReader(file)
    assert (good["state"], good["best_epoch"], good["epochs"], good["seconds"]) == (
        "complete", "3", "3", "1.5",
    )  # fmt: skip
    assert good["score"] == str(quality(0.1) * REACHED)
    assert (crash["state"], crash["reason"]) == ("fail", "ValueError: no such layer")
    assert nan["state"] == "fail"
    assert "ended without any figure of score" in nan["reason"]


def test_a_study_stopped_after_two_of_four_runs_two_more(bundle: Path, tmp_path: Path) -> None:
    folder, strategy = tmp_path / "out", Strategy(4, "random", "none")
    space = {"learning_rate": Axis(low=0.0, high=1.0)}
    first = search(bundle, folder, strategy, space=space)
    with pytest.raises(KeyboardInterrupt):
        first.run(say=StopAfter(2))
    first.close()
    assert len(starts(folder)) == 2
    again = search(bundle, folder, strategy, space=space)
    told: list[int] = []
    again.run(say=lambda trial: told.append(trial.number))
    assert told == [2, 3]
    drawn = [trial.params["learning_rate"] for trial in again.trials]
    assert len(set(drawn)) == 4
    again.close()
    whole = search(bundle, tmp_path / "whole", strategy, space=space)
    whole.run()
    assert [trial.params["learning_rate"] for trial in whole.trials] == drawn
    whole.close()


def test_a_trial_that_was_stopped_goes_on_from_its_last_epoch(bundle: Path, tmp_path: Path) -> None:
    folder, strategy = tmp_path / "out", Strategy(1, "grid", "none")
    space = {"learning_rate": Axis((0.3,))}
    options = {"space": space, "epochs": 4, "epoch_s": 0.3}
    first = search(bundle, folder, strategy, **options)
    halt = threading.Event()
    worker = threading.Thread(target=first._work, args=(halt, 1, lambda _: None))
    worker.start()
    while not (folder / "trials" / "0000" / "last.pt").is_file():
        time.sleep(0.01)
    halt.set()
    worker.join()
    (left,) = first.trials
    assert left.state == TrialState.RUNNING
    first.close()
    again = search(bundle, folder, strategy, **options)
    again.run()
    (trial,) = again.trials
    assert (trial.number, trial.state) == (0, TrialState.COMPLETE)
    (begun,) = starts(folder)
    assert begun[0] == "0"
    assert int(begun[1]) >= 1
    assert list(trial.intermediate_values) == [1, 2, 3, 4]
    again.close()


def test_two_share_a_study(bundle: Path, tmp_path: Path) -> None:
    """Two searches with connections of their own, as in two processes."""
    made = [
        search(bundle, tmp_path / "out", Strategy(6, "tpe", "none"), epoch_s=0.02) for _ in "ab"
    ]
    told: list[list[int]] = [[], []]
    threads = [
        threading.Thread(target=one.run, kwargs={"say": lambda t, own=own: own.append(t.number)})
        for one, own in zip(made, told, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told[0] + told[1]) == list(range(6))
    assert all(told)
    assert starts(tmp_path / "out") == [["0"]] * 6
    for one in made:
        one.close()


def test_a_bad_trial_is_ended_early_and_marked(bundle: Path, tmp_path: Path) -> None:
    """The median of the five good ones is far above the last at every epoch."""
    folder = tmp_path / "out"
    space = {"learning_rate": Axis((0.3, 0.31, 0.32, 0.33, 0.34, 1.0))}
    options = {"space": space, "epochs": 20, "epoch_s": 0}
    good = search(bundle, folder, Strategy(6, "grid"), **options)
    with pytest.raises(KeyboardInterrupt):
        good.run(say=StopAfter(5))
    path = bundle / "configs" / "train.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "epoch_s": 0.1}))
    good.training.settings.pop("epoch_s")  # type: ignore
    good.run()
    last = good.trials[-1]
    assert last.state == TrialState.PRUNED
    assert last.user_attrs["stopped"] == "pruned"
    assert last.user_attrs["epochs"] < 20
    assert 0.3 * 0.5 <= (last.value or 0) < 0.3
    assert good.best is not None
    assert good.best.number == 0
    good.close()


def test_another_space_or_training_in_the_same_folder_is_refused(
    bundle: Path, tmp_path: Path
) -> None:
    folder, strategy = tmp_path / "out", Strategy(1, "random")
    search(bundle, folder, strategy).close()
    search(bundle, folder, Strategy(5, "tpe", "none")).close()
    other = {"learning_rate": Axis((0.1, 0.2))}
    error = refused_by(lambda: search(bundle, folder, strategy, space=other), "E_CHANGED")
    assert "started with learning_rate 'Axis(choices=(0.1, 0.3)," in error.reason
    assert "now 'Axis(choices=(0.1, 0.2)," in error.reason
    error = refused_by(lambda: search(bundle, folder, strategy, epochs=9), "E_CHANGED")
    assert "started with epochs None, now 9" in error.reason
    error = refused_by(lambda: search(bundle, folder, Strategy(4, "grid")), "E_CHANGED")
    assert error.reason == "it was started with grid False, now True."


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"trials": 0}, "trials is 0; give 1 or more"),
     ({"trials": 1, "sampler": "best"}, "sampler is 'best'; give one of tpe, random, grid"),
     ({"trials": 1, "pruner": "some"}, "pruner is 'some'; give one of median, halving, none")],
)  # fmt: skip
def test_a_strategy_that_makes_no_sense(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Strategy(**wrong)  # type: ignore


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_each_kind_of_setting(tmp_path: Path) -> None:
    space = read_space(written(tmp_path / "s.json", {
        "rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch": {"low": 2, "high": 8, "step": 2},
        "share": {"low": 0, "high": 0.5, "step": 0.25}, "name": {"choices": ["a", None, [1, 2]]},
    }))  # fmt: skip
    assert {name: axis.distribution for name, axis in space.items()} == {
        "rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch": IntDistribution(2, 8, step=2),
        "share": FloatDistribution(0, 0.5, step=0.25),
        "name": CategoricalDistribution(["a", None, "[1, 2]"]),
    }
    drawn = {"rate": 0.001, "batch": 4, "share": 0.25, "name": "[1, 2]"}
    values = {name: axis.value(drawn[name]) for name, axis in space.items()}
    assert values == {"rate": 0.001, "batch": 4, "share": 0.25, "name": [1, 2]}


def test_a_grid_in_its_order() -> None:
    space = {
        "a": Axis(low=1, high=3),
        "b": Axis(([1], "x")),
        "c": Axis(low=0.0, high=0.2, step=0.1),
    }
    points = grid(space)
    assert len(points) == 3 * 2 * 3
    assert points[0] == {"a": 1, "b": "[1]", "c": 0.0}
    assert points[-1] == {"a": 3, "b": "x", "c": 0.2}


@pytest.mark.parametrize(
    ("axis", "words"),
    [(Axis(low=0.0, high=1.0), "a: a grid needs choices"),
     (Axis(low=1, high=9, log=True), "a: a grid needs choices"),
     (Axis(low=1, high=20_000), "more than 1000 points")],
)  # fmt: skip
def test_a_grid_without_end(axis: Axis, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        grid({"a": axis})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ([], "is not a JSON object"),
        ({}, "it names no setting"),
        ({"a": [1, 2]}, "`a`: give choices, or low and high"),
        ({"a": {"low": 1}}, "`a`: give choices, or low and high"),
        ({"a": {"choices": []}}, "`a`: choices is a list of one value or more"),
        ({"a": {"low": 2, "high": 1}}, "`a`: "),
        ({"a": {"low": 0, "high": 1.0, "log": True}}, "`a`: "),
        ({"a": {"low": "x", "high": 1}}, "`a`: "),
    ],
)  # fmt: skip
def test_a_space_of_another_form_is_refused(content: Any, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "s.json", content)
    assert words in refused_by(lambda: read_space(path), "E_FORMAT").reason


def test_no_such_space(tmp_path: Path) -> None:
    refused_by(lambda: read_space(tmp_path / "none.json"), "E_PATH")
