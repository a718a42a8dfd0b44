# SPDX-License-Identifier: Apache-2.0
"""One process predicts many cases; a new one comes after long work, and a loss has its cause."""

import os
import signal
from pathlib import Path

import pytest
from cohort_work import WORK
from tiny_bundle import tiny_bundle

from medvol.bundle.spec import read_spec
from medvol.engine import child
from medvol.errors import InputError
from medvol.outputs.results import Results
from medvol.tasks import predictor as module
from medvol.tasks.cases import Case
from medvol.tasks.predictor import Kept, Predictor

RealChild = child.Child  # before the fixture of all tests puts another in its place


@pytest.fixture
def results(tmp_path: Path) -> Results:
    spec = read_spec(tiny_bundle(tmp_path / "bundles" / "thresholds"))
    return Results(tmp_path / "out", spec, None, {}, "cpu")


def case(folder: Path, name: str, words: str) -> Case:
    path = folder / f"{name}.txt"
    path.write_text(words)
    return Case(path, name)


@pytest.mark.parametrize(("age_s", "processes"), [(1e9, 1), (0.0, 2)])
def test_a_process_ends_after_many_cases_and_some_minutes(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, processes: int
) -> None:
    started: list[object] = []

    def counted(*given: object, **options: object) -> object:
        started.append(given)
        return child_of_tests(*given, **options)

    child_of_tests = child.Child
    monkeypatch.setattr(child, "Child", counted)
    monkeypatch.setattr(module, "MOST_CASES", 2)
    monkeypatch.setattr(module, "MOST_S", age_s)
    with Predictor(results, work=WORK) as predictor:
        for name in "abc":
            (found,) = predictor([case(tmp_path, name, "")])
            assert not isinstance(found, InputError)
    assert len(started) == processes


def test_a_loss_has_its_cause_and_the_next_case_has_none(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "Child", RealChild)
    started: list[int] = []
    causes = []
    with Predictor(results, work=WORK, kept=Kept(None, started.append)) as predictor:
        cases = [case(tmp_path, "a", "kill SIGABRT"), case(tmp_path, "b", "")]
        for found in predictor(cases):
            loss = predictor.loss
            causes.append((type(found).__name__, loss and loss.signal, predictor.stage))
    assert causes == [("InputError", "SIGABRT", "network"), ("Outcome", None, "network")]
    assert len({*started}) == 3  # of the two that died, one was at both cases


def test_a_process_that_died_between_two_cases_is_no_fault_of_the_next(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "Child", RealChild)
    started: list[int] = []
    with Predictor(results, work=WORK, kept=Kept(None, started.append)) as predictor:
        (found,) = predictor([case(tmp_path, "a", "")])
        os.kill(started[0], signal.SIGKILL)
        os.waitid(os.P_PID, started[0], os.WEXITED | os.WNOWAIT)  # and nobody has noticed
        (found,) = predictor([case(tmp_path, "b", "")])
        assert not isinstance(found, InputError)
        assert predictor.loss is None
    assert len(started) == 2
