# SPDX-License-Identifier: Apache-2.0
"""What all trainings of a search have in common, checked before the first of them starts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..bundle.config import Config
from ..bundle.find import find_bundle
from ..errors import InputError

TRAIN = "train.json"
HANDLERS = "train#handlers"
EVALUATOR = "validate#evaluator"


@dataclass(frozen=True)
class Training:
    """A bundle's training, of which each trial changes a few settings.

    Args:
        bundle: its folder.
        settings: id to value, for every trial; laid over the configs.
        overlays: configs of the bundle, or paths, laid over train.json, such as "train_gate.json".
        metric: name of the validation figure that decides; higher is better.
        budget_s: seconds that a trial may train; None for no limit.
        patience: epochs that a trial may go on without becoming better; None for no limit.
    """

    bundle: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()
    metric: str = ""
    budget_s: float | None = None
    patience: int | None = None

    @property
    def configs(self) -> list[Path]:
        """train.json and what lies over it."""
        own = self.bundle / "configs"
        return [
            own / c if (own / c).is_file() else Path(c).absolute() for c in (TRAIN, *self.overlays)
        ]

    def config(self, *overlays: Path) -> Config:
        """The merged config, with `overlays` over all."""
        return Config([*self.configs, *overlays])

    def changes(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """All that is laid over the configs for one trial: a config for `monai.bundle run`."""
        allowance = {
            "_target_": "medvol.training.allowance.Allowance",
            "folder": "@output_dir",
            "evaluator": f"@{EVALUATOR}",
            "budget_s": self.budget_s,
            "patience": self.patience,
        }
        return {**self.settings, **trial, f"+{HANDLERS}": [allowance]}


def prepare(
    bundle: str | Path,
    *,
    data: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    overlays: Sequence[str] = (),
    budget_s: float | None = None,
    patience: int | None = None,
) -> Training:
    """Find a bundle and check that it can be trained with these settings.

    The bundle's key metric decides. Its training must write `curves.csv` and go on from where it
    was stopped, as those of `medvol.training.curves.Curves` and `checkpoint.Resume` do.

    Args:
        bundle: name of a shipped bundle, or its folder.
        data: datalist, in place of the bundle's `datalist`.
        settings: id to value, see `Training`.
        overlays: see `Training`.
        budget_s: see `Training`.
        patience: see `Training`.

    Raises:
        InputError: E_BUNDLE, no such bundle, a config that cannot be read, or an id that it does
            not have; E_PATH, no such datalist.
        ValueError: settings that contradict each other.
    """
    changed = dict(settings or {})
    if data is not None:
        if not data.is_file():
            raise InputError("E_PATH", data, "there is no such datalist.", "Check the spelling.")
        changed["datalist"] = str(data.absolute())
    training = Training(find_bundle(bundle), changed, tuple(overlays),
                        budget_s=budget_s, patience=patience)  # fmt: skip
    check_ids(training, changed)
    config = training.config()
    for name, value in changed.items():
        config.parser[name] = value
    if not isinstance(config.parser.get(HANDLERS), list) or EVALUATOR not in config:
        raise InputError(
            "E_BUNDLE", config.path, f"it has no list `{HANDLERS}` or no `{EVALUATOR}`.",
            "Train with a config like those of the shipped bundles.",
        )  # fmt: skip
    epochs, interval = config.parser.get("epochs"), config.parser.get("val_interval")
    if isinstance(epochs, int) and isinstance(interval, int) and interval > epochs:
        raise ValueError(
            f"val_interval is {interval} and epochs is {epochs}: no epoch would be validated; "
            f"give --val_interval {epochs} or less"
        )
    metrics = config.parser.get("validate#key_metric")
    if not isinstance(metrics, dict) or not metrics:
        raise InputError(
            "E_BUNDLE", config.path, "`validate#key_metric` names no metric.",
            "Write it as {name: handler}.",
        )  # fmt: skip
    return Training(training.bundle, changed, training.overlays, next(iter(metrics)),
                    budget_s, patience)  # fmt: skip


def check_ids(training: Training, ids: Iterable[str]) -> None:
    """Refuse an id that the config has no place for.

    An argument that a component takes, but that the config does not give, has its place.

    Raises:
        InputError: E_BUNDLE, names the id and the nearest one that is there.
    """
    config = training.config()
    for name in ids:
        parent = name.rpartition("#")[0]
        if name in config or (
            parent and parent in config and isinstance(config.parser.get(parent), dict)
        ):
            continue
        words = [str(key) for key in config.parser.get()]
        near = get_close_matches(name.partition("#")[0], words, n=1)
        raise InputError(
            "E_BUNDLE", config.path, f"it has no `{name}`.",
            f"The nearest is `{near[0]}`." if near else "Give an id that stands in the config.",
        )  # fmt: skip
