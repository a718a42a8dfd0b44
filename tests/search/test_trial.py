# SPDX-License-Identifier: Apache-2.0
"""One training in a process of its own: how it ended is always known, and nothing outlives it."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fake_training import PROGRAM, fake_bundle, quality
from refusals import refused_by

from medvol.search import launch
from medvol.search.launch import alone, claim
from medvol.search.training import Training, prepare
from medvol.search.trial import Halted, Outcome, count_parameters, failure, run_trial


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return prepare(fake_bundle(tmp_path / "bundle"))


def trained(training: Training, folder: Path, trial: dict[str, Any], **options: Any) -> Outcome:
    return run_trial(training, trial, folder, **options)


def test_a_training_to_its_end(training: Training, tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []

    def watch(epoch: int, value: float) -> bool:
        told.append((epoch, value))
        return False

    outcome = trained(training, tmp_path / "t", {"learning_rate": 0.3}, watch=watch)
    assert outcome == Outcome("epochs", "", 3, 1.5, 3, {"score": 0.875, "other": 3.0})
    assert told == [(1, 0.5), (2, 0.75), (3, 0.875)]
    assert json.loads((tmp_path / "t" / "changes.json").read_text()) == {
        "learning_rate": 0.3,
        "+train#handlers": [
            {"_target_": "medvol.training.allowance.Allowance", "folder": "@output_dir",
             "evaluator": "@validate#evaluator", "budget_s": None, "patience": None}
        ],
    }  # fmt: skip


def test_one_that_is_done_is_not_started_again(training: Training, tmp_path: Path) -> None:
    first = trained(training, tmp_path / "t", {})
    assert trained(training, tmp_path / "t", {}) == first
    assert (tmp_path / "t" / "starts.txt").read_text() == "0\n"
    error = refused_by(lambda: trained(training, tmp_path / "t", {"epochs": 9}), "E_CHANGED")
    assert error.reason == "it was started with epochs 3, now 9."


def test_one_that_crashes_says_why_and_may_go_on(training: Training, tmp_path: Path) -> None:
    outcome = trained(training, tmp_path / "t", {"mood": "crash"})
    assert (outcome.stopped, outcome.reason) == ("failed", "ValueError: no such layer")
    assert (outcome.best_epoch, outcome.figures) == (None, {})
    trained(training, tmp_path / "t", {"mood": "crash"})
    assert (tmp_path / "t" / "starts.txt").read_text() == "0\n0\n"


def test_one_that_is_pruned_or_halted_leaves_no_process(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    real = launch.start_bundle

    def noted(*args: Any, **options: Any) -> Any:
        begun.append(real(*args, **options))
        return begun[-1]

    monkeypatch.setattr("medvol.search.trial.start_bundle", noted)
    slow = {"epochs": 600, "epoch_s": 0.05, "learning_rate": 0.3}
    outcome = trained(training, tmp_path / "pruned", slow, watch=lambda epoch, _: epoch == 2)
    assert outcome.stopped == "pruned"
    assert 2 <= outcome.epochs < 600
    halt = threading.Event()
    threading.Timer(0.5, halt.set).start()
    with pytest.raises(Halted):
        trained(training, tmp_path / "halted", slow, halt=halt)
    assert [process.returncode for process in begun] == [-15, -15]
    again = trained(training, tmp_path / "halted", slow, watch=lambda epoch, _: epoch == 20)
    assert again.epochs >= 20
    first, second = map(int, (tmp_path / "halted" / "starts.txt").read_text().split())
    assert first == 0
    assert second > 0


def test_a_claim_ends_with_the_process_that_has_it(forked_python: str, tmp_path: Path) -> None:
    right = claim(tmp_path)
    assert right is not None
    assert claim(tmp_path) is None
    right.release()
    code = (
        "import os, signal, sys; from pathlib import Path; from medvol.search.launch import claim\n"
        "right = claim(Path(sys.argv[1])); print(right is not None, flush=True); input()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with subprocess.Popen(
        [forked_python, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert claim(tmp_path) is None
        process.communicate("\n")
    assert process.returncode == -signal.SIGKILL
    again = claim(tmp_path)
    assert again is not None
    again.release()


def test_only_one_is_alone(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with alone(tmp_path):
            order.append("second")

    with alone(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("old\nValueError: of before\n", "of before"),
        ("Traceback\ntorch.OutOfMemoryError: CUDA out of memory. Tried\n\nRuntimeError: failed\n",
         "torch.OutOfMemoryError: CUDA out of memory. Tried"),
        ("medvol.errors.InputError: E_PATH a: no.\n", "medvol.errors.InputError: E_PATH a: no."),
        ("nothing known\n  last line  \n", "last line"),
        ("", "status 3"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure(log: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(log)
    assert words in failure(3, path)


def test_the_reason_is_that_of_this_start_and_of_signals(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("ValueError: before\n")
    begin = path.stat().st_size
    path.write_text("ValueError: before\nKeyError: now\n")
    assert failure(1, path, begin) == "KeyError: now"
    assert failure(-9, path) == "killed by signal 9; was there too little memory?"
    assert failure(-11, path) == "killed by signal 11"


def test_parameters_are_counted_without_training(training: Training) -> None:
    assert count_parameters(training, {"network_def#out_features": 4}) == 3 * 4 + 4
    assert count_parameters(training, {"network_def": {"_target_": "torch.nn.Linaer"}}) is None


def test_overlays_are_laid_over_the_training(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "bundle")
    (bundle / "configs" / "gate.json").write_text('{"learning_rate": 0.3}')
    other = tmp_path / "other.json"
    other.write_text('{"epochs": 1}')
    training = prepare(bundle, overlays=["gate.json", os.fspath(other)])
    outcome = trained(training, tmp_path / "t", {})
    assert outcome.figures["score"] == quality(0.3) * 0.5
