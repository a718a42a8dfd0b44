# SPDX-License-Identifier: Apache-2.0
"""What a bundle's whole training is: its trainings, what is chosen on held-out cases, its weights.

A recipe is `configs/recipe.json` of a bundle. Without one, a bundle has one training, `model`:

    {"trainings": {"model": {}}, "install": {"models/model.pt": {"training": "model"}}}

A recipe may name a `choice`: a part that is fitted on the cases that the folds held out, such as
`medvol.training.calibration.ClassBias`. It may refer to ids of `inference.json`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from ..errors import InputError
from ..files import read_json

RECIPE = "recipe.json"
REMEDY = "Compare it with docs/training.md."
LAST, BEST = "last", "best"
HALF = "fp16"
State = dict[str, Tensor]


class HeldOutChoice(ABC):
    """Something that is chosen on held-out cases: for a fold on those of the other folds alone."""

    @abstractmethod
    def choose(self, folds: Sequence[Path]) -> dict[str, Any]:
        """Choose by the tables that the measurements of the trainings wrote.

        Args:
            folds: folders of the folds whose held-out cases may be looked at.

        Returns:
            What was chosen, as JSON knows it.
        """

    def changes(self, chosen: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Entries of the bundle that what was chosen becomes, as `build.change_bundle` takes them.

        None where it becomes part of the weights.

        Args:
            chosen: empty where nothing was, for want of folds.
        """
        return {}


class FittedWeights(HeldOutChoice):
    """A choice that becomes part of the weights of one training, named `trained`."""

    trained: str

    @abstractmethod
    def applied(self, state: State, chosen: Mapping[str, Any]) -> State:
        """The weights with what was chosen."""


class ChosenTraining(HeldOutChoice):
    """A choice among trainings, and perhaps of settings."""

    @abstractmethod
    def training(self, chosen: Mapping[str, Any]) -> str:
        """The training whose weights were chosen."""

    @abstractmethod
    def summarise(
        self, folds: Sequence[Path], patients: Mapping[str, str], folder: Path
    ) -> dict[str, Any]:
        """Write tables of the held-out cases into the run's folder, and return figures.

        Args:
            folds: folders of all folds.
            patients: of each case.
            folder: of the run.
        """


@dataclass(frozen=True)
class Stage:
    """One training of a recipe.

    Args:
        configs: laid over train.json, in this order.
        settings: id to value.
        begins_with: name of the training whose weights it starts from.
        pretraining: it only makes weights to start from, and is left out when some are given.
        weights: "last" epoch, or "best" by the key metric.
        measure: configs of the measurement for the `choice`, laid over those of the training.
        evaluate: configs that measure held-out cases with the choice applied; () for none.
    """

    configs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    begins_with: str | None = None
    pretraining: bool = False
    weights: str = LAST
    measure: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ("evaluate.json",)


@dataclass(frozen=True)
class Installed:
    """A file of the bundle that the training on all cases gives.

    Args:
        training: its name; None for the one that was chosen.
        file: of the training's folder; None for its weights.
        precision: "fp16" stores weights half as large; None as they were trained.
    """

    training: str | None = None
    file: str | None = None
    precision: str | None = None


@dataclass(frozen=True)
class Recipe:
    """What `medvol train` does with a bundle.

    Args:
        stages: name to training, each behind the one that it begins with.
        install: path in the bundle to what is put there.
        choice: fitted on held-out cases; None where nothing is chosen.
    """

    stages: Mapping[str, Stage]
    install: Mapping[str, Installed]
    choice: HeldOutChoice | None = None

    def is_whole(self, names: Collection[str]) -> bool:
        """Whether some trainings give all that the bundle gets: a recipe may have more of them.

        Args:
            names: of the trainings; none for all.
        """
        installed = [made.training for made in self.install.values()]
        chosen = [getattr(self.choice, "trained", None)] if self.choice else []
        return not names or all(name in names for name in (*installed, *chosen))


def read_recipe(bundle: Path) -> Recipe:
    """The recipe of a bundle.

    Raises:
        InputError: E_FORMAT, it is not of this form; E_BUNDLE, its choice cannot be built.
    """
    path = bundle / "configs" / RECIPE
    if not path.is_file():
        return Recipe({"model": Stage()}, {"models/model.pt": Installed("model")})
    content = read_json(path, what="recipe", remedy=REMEDY)
    try:
        stages = {n: Stage(**_tuples(given)) for n, given in content.pop("trainings").items()}
        install = {n: Installed(**given) for n, given in content.pop("install").items()}
    except (AttributeError, KeyError, TypeError) as error:
        _refuse(path, f"`trainings` or `install` is missing or wrong ({error}).")
    choice = content.pop("choice", None)
    if content:
        _refuse(path, f"it has the key `{next(iter(content))}`.")
    _check(path, stages, install)
    inference = bundle / "configs" / "inference.json"
    built = None
    if choice is not None:
        from ..bundle.config import Config  # here: what a bundle carries of medvol reads no recipes

        built = Config([inference, path]).build("choice")
    return Recipe(stages, install, built)


def _check(path: Path, stages: Mapping[str, Stage], install: Mapping[str, Installed]) -> None:
    before: set[str] = set()
    for name, stage in stages.items():
        if stage.begins_with is not None and stage.begins_with not in before:
            _refuse(
                path, f"{name} begins with {stage.begins_with}, which is not a training before it."
            )
        if stage.weights not in (LAST, BEST):
            _refuse(path, f"the weights of {name} are {stage.weights!r}, not {LAST} or {BEST}.")
        before.add(name)
    for name, made in install.items():
        if made.training is not None and made.training not in stages:
            _refuse(path, f"{name} is of {made.training}, which is not a training.")
        if made.precision not in (None, HALF):
            _refuse(path, f"{name} is stored as {made.precision!r}; give {HALF} or leave it out.")


def _tuples(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}


def _refuse(path: Path, reason: str) -> NoReturn:
    raise InputError("E_FORMAT", path, f"this recipe cannot be used: {reason}", REMEDY)


def halved(state: State) -> State:
    """Weights with half the digits, for a file of half the size.

    Example:
        >>> import torch
        >>> {k: v.dtype for k, v in halved({"w": torch.ones(2), "n": torch.tensor(3)}).items()}
        {'w': torch.float16, 'n': torch.int64}
    """
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
