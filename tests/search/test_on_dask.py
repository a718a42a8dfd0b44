# SPDX-License-Identifier: Apache-2.0
"""Trials on Dask's workers end as they do here, and are made good for when a worker dies."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_training import PROGRAM, fake_bundle, quality
from optuna.trial import TrialState
from refusals import refused_by

from medvol.cli import main
from medvol.search import launch, on_dask
from medvol.search.on_dask import DaskTrials, trials_on
from medvol.search.training import Training, prepare
from medvol.search.trial import Halted, run_trial
from medvol.search.tuning import Axis, Strategy, Tuning
from medvol.tasks.dask_client import open_client

distributed = pytest.importorskip("distributed")
RATES = {"learning_rate": Axis((0.3, 0.1))}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with a worker of two threads, both within this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp",
        dashboard_address="127.0.0.1:0",
    ) as cluster:  # fmt: skip
        yield str(cluster.scheduler_address)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return prepare(fake_bundle(tmp_path / "b"))


def test_tune_and_compare_take_it(
    scheduler: str, training: Training, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space, contest = tmp_path / "space.json", tmp_path / "contest.json"
    space.write_text('{"learning_rate": {"choices": [0.1, 0.3]}}')
    entries = [{"name": "a", "learning_rate": 0.1}, {"name": "b", "mood": "crash"}]
    contest.write_text(json.dumps({"bundle": str(training.bundle), "entries": entries}))
    tune = ["tune", str(training.bundle), "--space", str(space), "--sampler", "grid"]
    assert main([*tune, "-o", str(tmp_path / "tune"), "--dask", scheduler]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Dask's dashboard: http://127.0.0.1:")
    assert "2 trials: 2 trained, 0 ended early, 0 failed\nbest trial 1: score 0.8750" in said
    command = ["compare", str(contest), "-o", str(tmp_path / "compare")]
    assert main([*command, "--dask", scheduler]) == 1
    said = capsys.readouterr().out
    assert "a: score 0.7000 in epoch 3 of 3, 8 parameters" in said
    assert "b: failed, ValueError: no such layer" in said
    assert (tmp_path / "compare/entries/a/starts.txt").read_text() == "0\n"


def test_the_search_says_after_each_epoch_whether_a_trial_goes_on(
    scheduler: str, tmp_path: Path
) -> None:
    """The pruner sees both trials: the worse one ends after the epoch in which it is worse."""
    training = prepare(fake_bundle(tmp_path / "b", epoch_s=0.5))
    made = Tuning(training, RATES, tmp_path / "out", Strategy(2, "grid", "median"))
    made.study.pruner = Worse()
    with trials_on(scheduler, 1) as (train, jobs):
        assert jobs == 2
        made.run(jobs=1, train=train)
    first, second = made.trials
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert first.value == pytest.approx(quality(0.3) * (1 - 0.5**3))
    assert list(first.intermediate_values) == [1, 2, 3]
    assert list(second.intermediate_values) == [1]
    made.close()


class Worse:
    """Ends what is below 0.42 in the first epoch."""

    def prune(self, study: object, trial: object) -> bool:  # noqa: ARG002
        return trial.intermediate_values[1] < 0.42  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_trial_whose_worker_is_killed_goes_on_elsewhere(tmp_path: Path) -> None:
    training = prepare(fake_bundle(tmp_path / "b", epoch_s=1.0))
    folder = tmp_path / "trial"
    with open_client(1) as client:
        client.register_plugin(QuickProgram())
        trials, seen = DaskTrials(client, shared=False), []

        def watch(epoch: int, _: float) -> bool:
            if epoch == 1 and not seen:
                (pid,) = client.run(os.getpid).values()
                os.kill(pid, signal.SIGKILL)
            seen.append(epoch)
            return False

        outcome = trials(training, {}, folder, threads=1, watch=watch, halt=threading.Event())
    assert (outcome.stopped, outcome.epochs) == ("epochs", 3)
    assert outcome.figures["score"] == pytest.approx(quality(0.1) * (1 - 0.5**3))
    assert seen[0] == 1
    assert seen[-1] == 3
    starts = (folder / "starts.txt").read_text().split()
    assert starts[0] == "0"
    assert len(starts) == 2


class QuickProgram(distributed.WorkerPlugin):
    """Puts the quick program into each worker, also into one that is started again."""

    def setup(self, worker: object) -> None:  # noqa: ARG002
        launch.PROGRAM = PROGRAM


@pytest.mark.parametrize("how", ["halted", "gone"])
def test_a_search_that_ends_ends_its_trials(
    how: str, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, or its client has left the scheduler, as that of a killed process has."""
    training = prepare(fake_bundle(tmp_path / "b", epoch_s=0.1, epochs=200))
    ended = threading.Event()

    def told(*given: object, **named: object) -> object:
        try:
            return run_trial(*given, **named)  # type: ignore[arg-type]
        finally:
            ended.set()

    monkeypatch.setattr(on_dask, "run_trial", told)
    monkeypatch.setattr(on_dask, "LOOK_S", 0.1 if how == "gone" else 60.0)
    halt = threading.Event()
    with open_client(scheduler) as client:
        trials = DaskTrials(client, shared=True)
        if how == "gone":
            monkeypatch.setattr(client, "log_event", lambda *_: None)  # it can say nothing
        threading.Timer(0.5, halt.set).start()
        with pytest.raises(Halted):
            trials(training, {}, tmp_path / "t", threads=1, watch=lambda *_: False, halt=halt)
        assert ended.wait(10 if how == "halted" else 0.5) == (how == "halted")
    assert ended.wait(10)
    epochs = (tmp_path / "t" / "epoch.txt").read_text()
    time.sleep(0.3)
    assert (tmp_path / "t" / "epoch.txt").read_text() == epochs


def test_what_is_asked_of_both_is_refused() -> None:
    with pytest.raises(ValueError, match="leave --jobs 2 out"), trials_on(3, 2):
        pass
    with trials_on(None, 2) as found:
        assert found == (run_trial, 2)


def test_a_scheduler_that_is_gone(scheduler: str, training: Training, tmp_path: Path) -> None:
    with distributed.Client(scheduler, set_as_default=False) as client:
        trials = DaskTrials(client, shared=True)
    given = {"threads": 1, "watch": lambda *_: False, "halt": threading.Event()}
    error = refused_by(lambda: trials(training, {}, tmp_path / "t", **given), "E_FAILED")
    assert error.reason == "Dask's scheduler is gone."
