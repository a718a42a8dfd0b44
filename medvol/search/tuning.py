# SPDX-License-Identifier: Apache-2.0
"""Search for the best settings of a bundle's training: Optuna draws them from a space.

The space says which settings are tried, and between which values:

    {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": true},
     "batch_size": {"low": 2, "high": 8, "step": 2},
     "network_def#features": {"choices": [[8, 16, 32], [16, 32, 64]]}}

Whole `low` and `high` give whole numbers. A choice is any JSON value.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from ..errors import InputError
from ..files import read_json, write_csv, write_entries
from ..owned import filling
from .study import STARTED, Search
from .training import Training

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "halving", "none")
TABLE, OVERLAY, TRIALS = "trials.csv", "best.json", "trials"
REMEDY = 'Write {"id": {"low": 0.1, "high": 1.0}} or {"id": {"choices": [1, 2]}}.'
MOST_POINTS = 1_000  # of a grid; more is a mistake


@dataclass(frozen=True)
class Axis:
    """One setting: a list of choices, or a range with its ends included.

    Args:
        choices: values to choose from; () for a range.
        low, high: ends of a range, low not above high, in the unit of the setting.
        step: between values of a range, above 0; None for 1 of whole numbers, and for none of
            others.
        log: whether orders of magnitude are drawn alike.
    """

    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    @property
    def distribution(self) -> BaseDistribution:
        """What Optuna draws from. A choice that is a list or an object is its JSON text there.

        Raises:
            ValueError: a range that makes no sense, such as low above high.
        """
        if self.choices:
            return CategoricalDistribution([_text(choice) for choice in self.choices])
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)

    def value(self, drawn: Any) -> Any:
        """What stands in the config for something that Optuna drew."""
        return {_text(choice): choice for choice in self.choices}.get(drawn, drawn)

    @property
    def points(self) -> list[Any]:
        """All values in the form that Optuna draws.

        Raises:
            ValueError: there is no end of them.
        """
        drawn = self.distribution
        if isinstance(drawn, CategoricalDistribution):
            return list(drawn.choices)
        step = getattr(drawn, "step", None)
        if step is None or self.log:
            raise ValueError("a grid needs choices, or a range with a step and without log")
        count = int((self.high - self.low) / step + 1e-9) + 1
        return [self.low + k * step for k in range(count)]


Space = Mapping[str, Axis]


def read_space(path: Path) -> dict[str, Axis]:
    """Read a search space.

    Raises:
        InputError: E_PATH, it cannot be opened; E_FORMAT, not of this form.
    """
    space: dict[str, Axis] = {}
    for name, given in read_json(path, what="search space", remedy=REMEDY).items():
        try:
            space[name] = axis = _axis(given)
            _ = axis.distribution
        except (TypeError, ValueError) as error:
            _refuse(path, f"`{name}`: {error}.")
    if not space:
        _refuse(path, "it names no setting.")
    return space


def grid(space: Space) -> list[dict[str, Any]]:
    """Every combination, the last setting changing fastest, in the form that Optuna draws.

    Raises:
        ValueError: an axis without end, or far too many combinations.
    """
    points = {}
    for name, axis in space.items():
        try:
            points[name] = axis.points
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    combinations = itertools.product(*points.values())
    found = list(itertools.islice(combinations, MOST_POINTS + 1))
    if len(found) > MOST_POINTS:
        raise ValueError(f"the grid has more than {MOST_POINTS} points; give fewer values")
    return [dict(zip(points, values, strict=True)) for values in found]


def _axis(given: Any) -> Axis:
    if not isinstance(given, dict) or set(given) not in ({"choices"}, *_RANGES):
        raise ValueError("give choices, or low and high with step or log")
    if "choices" not in given:
        return Axis(**given)
    if not isinstance(given["choices"], list) or not given["choices"]:
        raise ValueError("choices is a list of one value or more")
    return Axis(tuple(given["choices"]))


_RANGES = [{"low", "high", *more} for more in ((), ("step",), ("log",))]


def _text(choice: Any) -> Any:
    return json.dumps(choice) if isinstance(choice, list | dict) else choice


def _refuse(path: Path, reason: str) -> NoReturn:
    raise InputError("E_FORMAT", path, f"this search space cannot be used: {reason}", REMEDY)


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

    Raises:
        ValueError: no trial, or an unknown sampler or pruner.
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
        """What ends a trial that does badly."""
        if self.pruner == "median":
            return MedianPruner(n_warmup_steps=self.warmup)
        if self.pruner == "halving":
            return SuccessiveHalvingPruner(min_resource=max(1, self.warmup))
        return NopPruner()


class Tuning(Search):
    """A search through a space, in a folder, new or gone on with.

    Args:
        training: what all trials have in common.
        space: what is tried.
        folder: for the study, its trials and its results.
        strategy: how settings are chosen.

    Raises:
        InputError: E_FORMAT, the folder holds a search for something else.
        ValueError: a grid without end.
    """

    writes = (TABLE, OVERLAY, TRIALS, "history.png", "importance.png")

    def __init__(self, training: Training, space: Space, folder: Path, strategy: Strategy) -> None:
        self.space = space
        self.strategy = strategy
        points = grid(space) if strategy.sampler == "grid" else []
        plan = {
            "space": {name: repr(axis) for name, axis in space.items()},
            "grid": strategy.sampler == "grid",
        }
        super().__init__(training, folder, plan, strategy.prunes())
        for point in points[len(self.study.get_trials(deepcopy=False)) :]:
            self.study.enqueue_trial(point)

    def ask(self) -> Trial | None:
        """A trial with settings of the sampler; None where there are as many as wanted."""
        trials = self.study.get_trials(deepcopy=False)
        started = sum(trial.state in STARTED for trial in trials)
        waiting = len(trials) - started
        if started >= self.strategy.trials or (self.strategy.sampler == "grid" and not waiting):
            return None
        self.study.sampler = self.strategy.draws(started)
        return self.study.ask({name: axis.distribution for name, axis in self.space.items()})

    def may_go_on(self, trial: FrozenTrial) -> bool:
        """Yes, but for one whose process died while its settings were drawn: that has failed."""
        if set(trial.params) == set(self.space):
            return True
        self.study.tell(trial.number, state=TrialState.FAIL)
        return False

    def values(self, trial: FrozenTrial | Trial) -> dict[str, Any]:
        """Id to value of a trial."""
        return {name: axis.value(trial.params[name]) for name, axis in self.space.items()}

    def folder_of(self, trial: FrozenTrial | Trial) -> Path:
        """Folder of a trial, by its number."""
        return self.folder / TRIALS / f"{trial.number:04d}"

    @property
    def best(self) -> FrozenTrial | None:
        """The best of the trials that were not pruned, the first of equal ones."""
        whole = [t for t in self.trials if t.state == TrialState.COMPLETE]
        return max(whole, key=lambda t: t.value or 0.0, default=None)

    def write(self) -> None:
        """`trials.csv`, and the best trial as a config; only its weights are kept."""
        best = self.best
        self.keep_weights_of(best)
        metric = self.training.metric
        columns = ("trial", "state", metric, "best_epoch", "epochs", "seconds", "stopped")
        rows = []
        for trial in self.trials:
            kept = trial.user_attrs
            known = [trial.number, trial.state.name.lower(), trial.value]
            known += [kept.get(name) for name in columns[3:]]
            rows.append([*known, *trial.params.values(), kept.get("reason")])
        with filling(self.folder) as scratch:
            if best is not None:
                write_entries(scratch / OVERLAY, self.values(best))
            write_csv(scratch / TABLE, [*columns, *self.space, "reason"], rows)


def importance(search: Tuning) -> dict[str, float]:
    """How much of the differences between trials each setting explains (PED-ANOVA), in all 1.

    Empty where too few trials differ.
    """
    whole = [t.value for t in search.trials if t.state == TrialState.COMPLETE]
    if len(set(whole)) < 2:
        return {}
    return optuna.importance.get_param_importances(search.study)
