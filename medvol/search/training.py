# SPDX-License-Identifier: Apache-2.0
"""What all trainings of a search have in common, checked before the first of them starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bundle.config import Config, literal
from ..bundle.find import find_bundle
from ..bundle.settings import as_json, curve_settings, differences, in_words
from ..errors import InputError
from ..files import read_json
from .ids import check_settings
from .starts import MAY_LACK, NAMES, PRETRAINED

TRAIN = "train.json"
HANDLERS = "train#handlers"
EVALUATOR = "validate#evaluator"
DATA = "train#dataset#data"
INTERVAL = "val_interval"
CACHE, CACHE_DIR = "cache", "cache_dir"  # folder of prepared images in a run; id of its path
ACCEPT = "accept_changes"  # id of the same of `Resume`


@dataclass(frozen=True)
class Training:
    """A bundle's training, of which each trial changes a few settings.

    Args:
        bundle: its folder.
        settings: id to value, for every trial; laid over the configs.
        overlays: configs of the bundle, or paths, laid over train.json, such as "train_gate.json".
        metric: name of the validation figure that decides; higher is better. "" where none does.
        budget_s: seconds that a trial may train; None for no limit.
        patience: epochs that a trial may go on without becoming better; None for no limit.
        weights: file to start with, where the configs have no id for it.
        accept_changes: a trial that was begun with other settings goes on with these.
        cache: folder of prepared images that all trials share, where the configs have an id for it.
    """

    bundle: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()
    metric: str = ""
    budget_s: float | None = None
    patience: int | None = None
    weights: Path | None = None
    accept_changes: bool = False
    cache: Path | None = None

    @property
    def configs(self) -> list[Path]:
        """train.json and what lies over it."""
        own = self.bundle / "configs"
        return [
            own / c if (own / c).is_file() else Path(c).absolute() for c in (TRAIN, *self.overlays)
        ]

    def config(self) -> Config:
        """The merged config."""
        return Config(self.configs)

    @property
    def given(self) -> dict[str, Any]:
        """What each process is given that changes no curve: the cache, leave to go on."""
        config = self.config()
        given: dict[str, Any] = {}
        if self.accept_changes and ACCEPT in config:
            given[ACCEPT] = True
        if self.cache and CACHE_DIR in config and CACHE_DIR not in self.settings:
            given[CACHE_DIR] = self.cache.absolute()
        return given

    def changes(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """All that is laid over the configs for one trial: a config for `monai.bundle run`."""
        allowance = {
            "_target_": "medvol.training.allowance.Allowance",
            "folder": "@output_dir",
            "evaluator": f"@{EVALUATOR}",
            "budget_s": self.budget_s,
            "patience": self.patience,
        }
        start = {
            "_target_": "medvol.training.start.StartFrom",
            "network": "@network",
            "weights": literal(str(self.weights)),
        }
        if self.weights and MAY_LACK in self.config():
            start[MAY_LACK] = f"@{MAY_LACK}"
        if self.weights and (known := next((n for n in NAMES if n in self.config()), None)):
            start["names"] = f"@{known}"
        handlers = [start, allowance] if self.weights else [allowance]
        settings = {name: literal(value) for name, value in {**self.settings, **trial}.items()}
        return {**settings, f"+{HANDLERS}": handlers}


def prepare(
    bundle: str | Path,
    *,
    data: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    overlays: Sequence[str] = (),
    limits: tuple[float | None, int | None] = (None, None),
    weights: Path | None = None,
    judged: bool = True,
) -> Training:
    """Find a bundle and check that it can be trained with these settings.

    The bundle's key metric decides. Its training must write `curves.csv` and go on from where it
    was stopped, as those of `medvol.training.curves.Curves` and `checkpoint.Resume` do.

    Args:
        bundle: name of a shipped bundle, or its folder.
        data: datalist, in place of the bundle's `datalist`.
        settings: id to value, see `Training`.
        overlays: see `Training`.
        limits: seconds that a training may take, and epochs without becoming better; None for no
            limit.
        weights: file to start with.
        judged: trainings are compared, so each needs a figure of the key metric.

    Raises:
        InputError: E_BUNDLE, no such bundle, a config that cannot be read, an id that it does not
            have, or a value of another kind; E_PATH, no such datalist or weights; E_LABELS, the
            datalist's labels are not the bundle's.
        ValueError: settings that contradict each other.
    """
    changed = dict(settings or {})
    if data is not None:
        changed["datalist"] = str(_existing(data, "datalist"))
    training = Training(find_bundle(bundle), changed, tuple(overlays), "", *limits)
    config = training.config()
    check_settings(config, changed)
    if weights is not None:
        start = _existing(weights, "file of weights")
        if PRETRAINED in config:
            changed[PRETRAINED] = str(start)
        else:
            training = replace(training, weights=start)
    for name, value in changed.items():
        config.parser[name] = literal(value)
    if DATA in config:  # labels without names, and no datalist, are refused before anything runs
        config.build(DATA)
    if not isinstance(config.parser.get(HANDLERS), list) or EVALUATOR not in config:
        raise InputError(
            "E_BUNDLE", config.path, f"it has no list `{HANDLERS}` or no `{EVALUATOR}`.",
            "Train with a config like those of the shipped bundles.",
        )  # fmt: skip
    if not judged and training.patience is None:
        return training
    metric = _key_metric(config)
    return replace(training, metric=metric) if judged else training


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise InputError("E_PATH", path, f"there is no such {what}.", "Check the spelling.")
    return path.absolute()


def _key_metric(config: Config) -> str:
    if INTERVAL in config and config.parser.get(INTERVAL) is None:
        raise ValueError(
            "val_interval is None: no epoch would be validated; give --set val_interval=1 or more"
        )
    metrics = config.parser.get("validate#key_metric")
    if not isinstance(metrics, dict) or not metrics:
        raise InputError(
            "E_BUNDLE", config.path, "`validate#key_metric` names no metric.",
            "Write it as {name: handler}.",
        )  # fmt: skip
    return str(next(iter(metrics)))


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with what was started otherwise.

    Args:
        path: of its record, or its folder.
        before: what it was started with, as JSON knows it.
        now: what is asked for.

    Raises:
        InputError: E_CHANGED, names what differs, old and new.
    """
    if changed := differences(before, as_json(now)):
        raise InputError(
            "E_CHANGED", path, f"it was started with {in_words(changed)}.",
            "Restore it, start over with --fresh, or choose another output folder.",
        )  # fmt: skip


def check_begun(training: Training, path: Path, trial: Mapping[str, Any]) -> None:
    """Refuse to go on with a trial whose curve would be another with the settings of now.

    Args:
        training: what all trials have in common; nothing is refused where it accepts changes.
        path: of the record of the trial's changes; nothing is refused where there is none.
        trial: id to value of this one.

    Raises:
        InputError: E_CHANGED, names what differs, old and new; E_FORMAT, the record is damaged.
    """
    if training.accept_changes or not path.is_file():
        return
    record = read_json(path, what="record", remedy="Start over with --fresh.")
    before, now = (
        _curve(training, changes) for changes in (record, as_json(training.changes(trial)))
    )
    if changed := differences(before, now):
        raise InputError(
            "E_CHANGED", path, f"it was started with {in_words(changed)}.",
            "Restore it, give --accept-changes or --fresh, or choose another output folder.",
        )  # fmt: skip


def _curve(training: Training, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What a training's curve depends on, under some changes."""
    config = training.config()
    for name, value in changes.items():
        if not name.startswith("+"):  # limits, and where to start from
            config.parser[name] = value
    return curve_settings(config.parser)
