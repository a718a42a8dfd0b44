# SPDX-License-Identifier: Apache-2.0
"""Many trials of one bundle's training, kept in an Optuna study beside them.

The study is a SQLite file, so it goes on after a stop, and several processes can work on it. A
trial whose process ended before it did is taken up by the next one, from its last epoch. What is
tried is said by `tuning.Tuning` (drawn from a space) and `comparison.Comparison` (a list).
"""

import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import optuna
from filelock import FileLock
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import DatabaseError

from ..errors import InputError
from ..owned import check_owned
from .launch import alone, claim, side_by_side, threads_of
from .training import CACHE, Training, check_same
from .trial import Halted, Outcome, RunTrial, clean, run_trial

STORAGE = "study.db"
BUSY_S = 60  # that SQLite waits for another process
STARTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
Say = Callable[[FrozenTrial], None]


class Search(ABC):
    """Trials in a folder, new or gone on with.

    Args:
        training: what all trials have in common.
        folder: for the study, its trials and its results.
        plan: what must stay as it is when the search goes on, beside the training.
        pruner: ends a trial that does badly; None ends none.

    Raises:
        InputError: E_CHANGED, the folder holds a search for something else; E_CORRUPT, its study
            is damaged; E_OUTPUT, the folder of a new search holds what it would replace.
    """

    writes: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        training: Training,
        folder: Path,
        plan: Mapping[str, Any],
        pruner: BasePruner | None = None,
    ) -> None:
        self.training = replace(training, cache=folder / CACHE)
        self.folder = folder
        self._run_trial: RunTrial = run_trial
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if not (folder / STORAGE).exists():
            check_owned(folder, self.writes)
        with alone(folder):
            try:
                self.storage = optuna.storages.RDBStorage(
                    f"sqlite:///{(folder / STORAGE).absolute()}",
                    engine_kwargs={"connect_args": {"timeout": BUSY_S}},
                )
                self.study = optuna.create_study(
                    study_name=training.bundle.name, storage=self.storage, load_if_exists=True,
                    direction="maximize", pruner=pruner or NopPruner(),
                )  # fmt: skip
            except DatabaseError as error:
                reason = "the study is cut or damaged, so it cannot go on."
                remedy = "Start over with --fresh."
                raise InputError("E_CORRUPT", folder / STORAGE, reason, remedy) from error
            overlays = list(training.overlays)
            plan = {"training": training.changes({}), "overlays": overlays, **plan}
            if "plan" in self.study.user_attrs:
                self._check_same(folder, self.study.user_attrs["plan"], plan)
            self.study.set_user_attr("plan", plan)

    def _check_same(self, path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Refuse to mix trials that cannot be compared, as `training.check_same` does."""
        try:
            check_same(path, before, now)
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the study's file."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    @abstractmethod
    def ask(self) -> Trial | None:
        """The next trial to start; None where there is none. Called by one process at a time."""

    @abstractmethod
    def may_go_on(self, trial: FrozenTrial) -> bool:
        """Whether this search may take up a trial that was left; else it is left alone."""

    @abstractmethod
    def values(self, trial: FrozenTrial | Trial) -> dict[str, Any]:
        """Id to value of a trial."""

    @abstractmethod
    def folder_of(self, trial: FrozenTrial | Trial) -> Path:
        """Folder of a trial."""

    @abstractmethod
    def write(self) -> None:
        """Write table and best settings, after each trial. Called by one process at a time."""

    def run(self, *, jobs: int = 1, say: Say = lambda _: None, train: RunTrial = run_trial) -> None:
        """Run the trials that are missing.

        Args:
            jobs: trials at a time.
            say: is called with each that ended.
            train: runs one, called as `run_trial` is.

        Raises:
            InputError: E_CHANGED, a trial's folder holds other settings; E_NOSPACE, something
                cannot be written.
        """
        self._run_trial = train
        threads = threads_of(jobs)
        side_by_side([lambda halt: self._work(halt, threads, say)] * jobs, jobs)
        shutil.rmtree(self.folder / CACHE, ignore_errors=True)  # images of patients do not stay

    def _work(self, halt: threading.Event, threads: int, say: Say) -> None:
        while not halt.is_set() and (taken := self._next()) is not None:
            trial, right = taken
            try:
                say(self._finish(trial, self._train(trial, halt, threads)))
            except Halted:
                return
            finally:
                right.release()

    def _next(self) -> tuple[Trial, FileLock] | None:
        """A trial that nobody works on: one that was left, or a new one."""
        with alone(self.folder):
            for left in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if self.may_go_on(left) and (right := claim(self.folder_of(left))):
                    return self._again(left.number), right
            trial = self.ask()
            if trial is None:
                return None
            right = claim(self.folder_of(trial))
            if right is None:
                raise InputError(
                    "E_NOSPACE", self.folder_of(trial), "another process works there.",
                    "Choose another output folder.",
                )  # fmt: skip
            return trial, right

    def _again(self, number: int) -> Trial:
        study = self.storage.get_study_id_from_name(self.study.study_name)
        own = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        return Trial(self.study, own)

    def _train(self, trial: Trial, halt: threading.Event, threads: int) -> Outcome:
        known = next(t for t in self.study.get_trials(deepcopy=False) if t.number == trial.number)
        reported = set(known.intermediate_values)

        def watch(epoch: int, value: float) -> bool:
            if epoch not in reported:
                trial.report(value, epoch)
                reported.add(epoch)
            return trial.should_prune()

        return self._run_trial(
            self.training, self.values(trial), self.folder_of(trial),
            threads=threads, watch=watch, halt=halt,
        )  # fmt: skip

    def _finish(self, trial: Trial, outcome: Outcome) -> FrozenTrial:
        """Record how a trial went, and what is best now."""
        with alone(self.folder):
            for name, value in outcome._asdict().items():
                trial.set_user_attr(name, value)
            if outcome.stopped == "failed":
                ended = self.study.tell(trial, state=TrialState.FAIL)
            elif outcome.stopped == "pruned":
                ended = self.study.tell(trial, state=TrialState.PRUNED)
            else:
                ended = self.study.tell(trial, outcome.figures[self.training.metric])
            self.write()
        return ended

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that were started, in their order."""
        return [t for t in self.study.get_trials(deepcopy=False) if t.state in STARTED]

    def keep_weights_of(self, best: FrozenTrial | None) -> None:
        """Take away what the trials that have ended leave, but for the weights of the best."""
        for trial in self.trials:
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                is_best = best is not None and trial.number == best.number
                clean(self.folder_of(trial), keep_weights=is_best)
