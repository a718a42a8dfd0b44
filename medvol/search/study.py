# SPDX-License-Identifier: Apache-2.0
"""Search for the best settings of a bundle's training: Optuna chooses, each trial is a training.

The study is a SQLite file, so it goes on after a stop, and several processes can work on it. A
trial whose process ended before it did is taken up by the next one, from its last epoch.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from ..errors import InputError
from ..files import write_csv, write_entries
from .launch import alone, claim, side_by_side, threads_of
from .space import Space, changes, grid
from .training import Training
from .trial import Halted, Outcome, clean, run_trial

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "halving", "none")
STORAGE, TABLE, OVERLAY, TRIALS = "study.db", "trials.csv", "best.json", "trials"
BUSY_S = 60  # that SQLite waits for another process
STARTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
Say = Callable[[FrozenTrial], None]


@dataclass(frozen=True)
class Strategy:
    """How settings are chosen.

    Args:
        trials: in all, over all starts and processes; failed ones count.
        sampler: "tpe" learns from the trials so far, "random", or "grid" for every combination.
        pruner: "median" ends a trial that is below the median of the others at the same epoch,
            "halving" lets fewer trials train for longer, "none".
        warmup: epochs in which no trial is pruned.
        seed: the same seed draws the same settings, when one trial runs at a time.
    """

    trials: int
    sampler: str = "tpe"
    pruner: str = "median"
    warmup: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; give 1 or more")
        for name, allowed in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
            if getattr(self, name) not in allowed:
                given = getattr(self, name)
                raise ValueError(f"{name} is {given!r}; give one of {', '.join(allowed)}")

    def draws(self, number: int) -> BaseSampler:
        """What draws trial `number`: of its own seed, so that a resume does not draw again."""
        if self.sampler == "tpe":
            return TPESampler(seed=self.seed + number, constant_liar=True)
        return RandomSampler(seed=self.seed + number)

    def prunes(self) -> BasePruner:
        if self.pruner == "median":
            return MedianPruner(n_warmup_steps=self.warmup)
        if self.pruner == "halving":
            return SuccessiveHalvingPruner(min_resource=max(1, self.warmup))
        return NopPruner()


class Search:
    """A study in a folder, new or gone on with.

    Args:
        training: what all trials have in common.
        space: what is tried.
        folder: for the study, its trials and its results.
        strategy: how settings are chosen.

    Raises:
        InputError: E_FORMAT, the folder holds a study of something else.
        ValueError: a grid without end.
    """

    def __init__(self, training: Training, space: Space, folder: Path, strategy: Strategy) -> None:
        self.training = training
        self.space = space
        self.folder = folder
        self.strategy = strategy
        points = grid(space) if strategy.sampler == "grid" else []
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with alone(folder):
            self.storage = optuna.storages.RDBStorage(
                f"sqlite:///{(folder / STORAGE).absolute()}",
                engine_kwargs={"connect_args": {"timeout": BUSY_S}},
            )
            self.study = optuna.create_study(
                study_name=training.bundle.name, storage=self.storage, load_if_exists=True,
                direction="maximize", pruner=strategy.prunes(),
            )  # fmt: skip
            self._check()
            for point in points[len(self.study.get_trials(deepcopy=False)) :]:
                self.study.enqueue_trial(point)

    def _check(self) -> None:
        """Refuse to mix trials that cannot be compared."""
        plan = {
            "training": self.training.changes({}),
            "overlays": list(self.training.overlays),
            "space": {name: repr(axis) for name, axis in self.space.items()},
            "grid": self.strategy.sampler == "grid",
        }
        before = self.study.user_attrs.get("plan", plan)
        for key, value in plan.items():
            if before[key] != value:
                raise InputError(
                    "E_FORMAT", self.folder, f"it holds a study with another {key}.",
                    "Restore it, or choose another output folder.",
                )  # fmt: skip
        self.study.set_user_attr("plan", plan)

    def close(self) -> None:
        """Let go of the file."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    def folder_of(self, number: int) -> Path:
        return self.folder / TRIALS / f"{number:04d}"

    def run(self, *, jobs: int = 1, say: Say = lambda _: None) -> None:
        """Run trials until there are as many as wanted; `say` is told each that ended.

        Raises:
            InputError: E_NOSPACE, something cannot be written.
        """
        threads = threads_of(jobs)
        side_by_side([lambda halt: self._work(halt, threads, say)] * jobs, jobs)

    def _work(self, halt: threading.Event, threads: int, say: Say) -> None:
        while not halt.is_set():
            taken = self._next()
            if taken is None:
                return
            trial, right = taken
            try:
                say(self._finish(trial, self._run(trial, halt, threads)))
            except Halted:
                return
            finally:
                right.release()

    def _next(self) -> tuple[Trial, FileLock] | None:
        """A trial that nobody works on: one that was left, or a new one."""
        with alone(self.folder):
            for left in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if right := claim(self.folder_of(left.number)):
                    if set(left.params) == set(self.space):
                        return self._again(left.number), right
                    self.study.tell(left.number, state=TrialState.FAIL)  # died while it was drawn
                    right.release()
            trials = self.study.get_trials(deepcopy=False)
            started = sum(trial.state in STARTED for trial in trials)
            waiting = len(trials) - started
            if started >= self.strategy.trials or (self.strategy.sampler == "grid" and not waiting):
                return None
            self.study.sampler = self.strategy.draws(started)
            trial = self.study.ask({name: a.distribution for name, a in self.space.items()})
            right = claim(self.folder_of(trial.number))
            if right is None:
                raise InputError(
                    "E_NOSPACE", self.folder_of(trial.number), "another process works there.",
                    "Choose another output folder.",
                )  # fmt: skip
            return trial, right

    def _again(self, number: int) -> Trial:
        study = self.storage.get_study_id_from_name(self.study.study_name)
        own = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        return Trial(self.study, own)

    def _run(self, trial: Trial, halt: threading.Event, threads: int) -> Outcome:
        reported = {
            step
            for known in self.study.get_trials(deepcopy=False)
            if known.number == trial.number
            for step in known.intermediate_values
        }

        def watch(epoch: int, value: float) -> bool:
            if epoch not in reported:
                trial.report(value, epoch)
            return trial.should_prune()

        return run_trial(
            self.training, changes(self.space, trial.params), self.folder_of(trial.number),
            threads=threads, watch=watch, halt=halt,
        )  # fmt: skip

    def _finish(self, trial: Trial, outcome: Outcome) -> FrozenTrial:
        """Record how a trial went, and what is best now."""
        with alone(self.folder):
            for name in ("stopped", "reason", "epochs", "seconds", "best_epoch"):
                trial.set_user_attr(name, getattr(outcome, name))
            if outcome.stopped == "failed":
                told = self.study.tell(trial, state=TrialState.FAIL)
            elif outcome.stopped == "pruned":
                told = self.study.tell(trial, state=TrialState.PRUNED)
            else:
                told = self.study.tell(trial, outcome.figures[self.training.metric])
            self._write()
        return told

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that were started, in their order."""
        return [t for t in self.study.get_trials(deepcopy=False) if t.state in STARTED]

    @property
    def best(self) -> FrozenTrial | None:
        """The best of the trials that were not pruned, the first of equal ones."""
        whole = [t for t in self.trials if t.state == TrialState.COMPLETE]
        return max(whole, key=lambda t: t.value or 0.0, default=None)

    def values(self, trial: FrozenTrial) -> dict[str, Any]:
        """Id to value of a trial."""
        return changes(self.space, trial.params)

    def _write(self) -> None:
        """`trials.csv`, and the best trial as a config; only its weights are kept."""
        best = self.best
        if best is not None:
            write_entries(self.folder / OVERLAY, self.values(best))
        for trial in self.trials:
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                is_best = best is not None and trial.number == best.number
                clean(self.folder_of(trial.number), keep_weights=is_best)
        metric = self.training.metric
        columns = ("trial", "state", metric, "best_epoch", "epochs", "seconds", "stopped")
        rows = []
        for trial in self.trials:
            said = trial.user_attrs
            known = [trial.number, trial.state.name.lower(), trial.value]
            known += [said.get(name) for name in columns[3:]]
            rows.append([*known, *trial.params.values(), said.get("reason")])
        write_csv(self.folder / TABLE, [*columns, *self.space, "reason"], rows)


def importance(search: Search) -> dict[str, float]:
    """How much of the differences between trials each setting explains (PED-ANOVA), in all 1.

    Empty where too few trials differ.
    """
    whole = [t.value for t in search.trials if t.state == TrialState.COMPLETE]
    if len(set(whole)) < 2:
        return {}
    return optuna.importance.get_param_importances(search.study)
