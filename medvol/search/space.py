# SPDX-License-Identifier: Apache-2.0
"""The search space: which settings of a bundle are tried, and between which values.

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

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ..errors import InputError
from ..files import read_json

REMEDY = 'Write {"id": {"low": 0.1, "high": 1.0}} or {"id": {"choices": [1, 2]}}.'
MOST_POINTS = 1_000  # of a grid; more is a mistake


@dataclass(frozen=True)
class Axis:
    """One setting: a list of choices, or a range with its ends included.

    Args:
        choices: values to choose from; () for a range.
        low, high: ends of a range.
        step: between values of a range; None for 1 of whole numbers, and for none of others.
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
        """All values in the form that Optuna draws; ValueError where there is no end of them."""
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


def changes(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Id to value for the config, of what Optuna drew."""
    return {name: axis.value(drawn[name]) for name, axis in space.items()}


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
