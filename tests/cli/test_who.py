# SPDX-License-Identifier: Apache-2.0
"""Words that say who does the units of a cohort, and the driver that each stands for."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from medvol.cli.cohorts.who import add_who, driver_of, threads_of
from medvol.cohort.drivers.dask import DaskDriver
from medvol.cohort.drivers.jobqueue import JobQueueDriver, Jobs
from medvol.cohort.drivers.serial import Serial
from medvol.cohort.run import Run
from medvol.cohort.worker import Session


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_who(parser)
    parser.set_defaults(quiet=True)
    return parser.parse_args(words)


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setattr(Serial, "__init__", lambda self, session: None)  # noqa: ARG005
    work = Run(folder, [], 1, heard=None)  # type: ignore[arg-type]
    return driver_of(parsed(*words), Session(str(folder)), work, threads=3)


@pytest.mark.parametrize(
    ("words", "kind", "where", "threads"),
    [
        ((), Serial, None, 8),  # of 8 cores
        (("--workers", "3"), DaskDriver, 3, 2),
        (("--workers", "20"), DaskDriver, 20, 1),
        (("--dask", "tcp://head:8786"), DaskDriver, "tcp://head:8786", 1),
        (("--slurm", "gpu"), JobQueueDriver, "slurm:gpu", 4),
        (("--cluster", "htcondor"), JobQueueDriver, "htcondor:", 4),
    ],
)
def test_words_stand_for_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], kind: type,
    where: Any, threads: int,
) -> None:  # fmt: skip
    made = driver(tmp_path, monkeypatch, *words)
    assert type(made) is kind
    assert getattr(made, "where", None) == where
    assert threads_of(parsed(*words), cores=8) == threads


def test_jobs_are_asked_for_as_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--cluster", "pbs:night", "--jobs", "7", "--memory", "20GiB", "--walltime", "12:00:00"]
    made = driver(tmp_path, monkeypatch, *words)
    assert made.jobs == Jobs("pbs", "night", 7, 3, 20 << 30, 43200)
    assert made.session.memory_bytes == round(0.9 * (20 << 30))
    assert made.workers == 7


@pytest.mark.parametrize(
    "words",
    [("--jobs", "0"), ("--memory", "much"), ("--memory", "16"), ("--walltime", "4h")],
)
def test_jobs_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    with pytest.raises(ValueError, match=f"{words[0].strip('-')} is"):
        driver(tmp_path, monkeypatch, "--slurm", "q", *words)


@pytest.mark.parametrize(
    "words", [("--cluster", "slurmy:q"), ("--slurm", "q", "--workers", "2")]
)  # fmt: skip
def test_words_that_name_nobody_or_two_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
