# SPDX-License-Identifier: Apache-2.0
"""Architectures beside each other: each entry is trained on the same split, validation decides.

An entry that is done is not trained again; one that was stopped goes on from its last epoch; one
that failed is tried again at the next start. Several processes can work on one folder. A file names
the entries, each a few settings of one bundle:

    {"bundle": "covid_ct_lesion_3d", "budget_s": 600, "patience": 3,
     "settings": {"epochs": 20, "fold": 0, "val_interval": 1},
     "entries": [
       {"name": "wide", "network_def#features": [32, 64, 128, 256, 320]},
       {"name": "rate", "product": {"learning_rate": [0.001, 0.004],
                                    "batch_size": {"few": 2, "many": 4}}}]}

An entry with a `product` stands for one entry per combination, here "rate-0.001-few" and so on. A
list's values are their own names; an object names them.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from optuna.trial import FrozenTrial, Trial, TrialState

from ..errors import InputError
from ..files import read_json, write_entries
from ..owned import filling
from ..report.leaderboard import Row, draw_leaderboard, ranked, write_leaderboard
from .launch import alone, run_bundle, threads_of
from .study import Say, Search
from .training import Training
from .trial import BEST, CHANGES, RunTrial, count_parameters, run_trial

TABLE, PICTURE, OVERLAY = "leaderboard.csv", "leaderboard.png", "winner.json"
ENTRIES, TEST = "entries", "test"
EVALUATE = "evaluate.json"
NAME, SETTINGS, PARAMETERS = "name", "settings", "parameters"  # kept with a trial
GRIDS = Path(__file__).parent / "grids"  # the files that come with medvol
REMEDY = "Compare it with docs/search.md."
KEYS = {"bundle", "data", "settings", "overlays", "budget_s", "patience", "entries", "test"}
NOT_IN_NAMES = set('/\\:*?"<>|#')


@dataclass(frozen=True)
class Contest:
    """A comparison as its file describes it.

    Args:
        path: of the file.
        entries: name to its settings, id to value.
        bundle: name or folder; None when the file leaves it to the caller, as `data`.
        data: datalist.
        settings: of all entries, id to value.
        overlays: configs of the bundle laid over train.json.
        budget_s: seconds that an entry may train; None for no limit.
        patience: epochs without becoming better after which an entry ends; None for no limit.
        test: settings with which the winner is measured on the test part, id to value.
    """

    path: Path
    entries: Mapping[str, Mapping[str, Any]]
    bundle: str | None
    data: Path | None
    settings: Mapping[str, Any]
    overlays: tuple[str, ...]
    budget_s: float | None
    patience: int | None
    test: Mapping[str, Any]


def shipped_grids() -> dict[str, Path]:
    """Name to file of the comparisons that come with medvol."""
    return {path.stem: path for path in sorted(GRIDS.glob("*.json"))}


def read_contest(path: Path) -> Contest:
    """Read a comparison, its products multiplied out.

    Args:
        path: of the file, or the name of one that comes with medvol.

    Raises:
        InputError: E_PATH, it cannot be opened; E_FORMAT, not of this form.
    """
    path = path if path.is_file() else shipped_grids().get(str(path), path)
    content = read_json(path, what="comparison", remedy=REMEDY)
    if unknown := sorted(set(content) - KEYS):
        _refuse(path, f"it has the key `{unknown[0]}`; keys are {', '.join(sorted(KEYS))}.")
    if not isinstance(content.get("entries"), list) or not content["entries"]:
        _refuse(path, "`entries` is not a list of one entry or more.")
    for name in ("settings", "test"):
        if not isinstance(content.get(name, {}), dict):
            _refuse(path, f"`{name}` is not an object of ids and values.")
    entries: dict[str, Mapping[str, Any]] = {}
    for given in content["entries"]:
        for name, values in _expanded(given, path).items():
            if name in entries:
                _refuse(path, f"two entries are called {name!r}.")
            entries[name] = values
    data = content.get("data")
    return Contest(
        path=path,
        entries=entries,
        bundle=content.get("bundle"),
        data=path.parent / data if data else None,
        settings=content.get("settings", {}),
        overlays=tuple(content.get("overlays", ())),
        budget_s=content.get("budget_s"),
        patience=content.get("patience"),
        test=content.get("test", {}),
    )


def only(contest: Contest, names: list[str]) -> Contest:
    """The comparison of some entries alone, by their names.

    Raises:
        InputError: E_FORMAT, there is no such entry.
    """
    for name in names:
        if name not in contest.entries:
            _refuse(contest.path, f"it has no entry {name!r}.")
    return replace(contest, entries={name: contest.entries[name] for name in names})


def _expanded(given: Any, path: Path) -> dict[str, Mapping[str, Any]]:
    """Name to settings of an entry, or of all the entries it stands for."""
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        _refuse(path, "an entry is not an object with a `name`.")
    name = given["name"]
    values = {key: value for key, value in given.items() if key not in ("name", "product")}
    product = given.get("product", {})
    if not isinstance(product, dict):
        _refuse(path, f"`product` of {name!r} is not an object of ids.")
    axes = [_choices(choices, f"{name!r}, {key}", path) for key, choices in product.items()]
    found: dict[str, Mapping[str, Any]] = {}
    for combination in itertools.product(*(axis.items() for axis in axes)):
        whole = "-".join([name, *(label for label, _ in combination)])
        if not whole.isprintable() or whole.startswith(".") or NOT_IN_NAMES & set(whole):
            _refuse(path, f"{whole!r} cannot be the name of a folder.")
        chosen = zip(product, (value for _, value in combination), strict=True)
        found[whole] = {**values, **dict(chosen)}
    return found


def _choices(choices: Any, what: str, path: Path) -> dict[str, Any]:
    if not isinstance(choices, list | dict) or not choices:
        _refuse(path, f"the values of {what} are neither a list nor an object.")
    if isinstance(choices, dict):
        return choices
    return {_label(choice): choice for choice in choices}


def _label(choice: Any) -> str:
    """A value as part of a name, such as "32x64" of [32, 64]."""
    if isinstance(choice, list):
        return "x".join(_label(part) for part in choice) or "none"
    return choice if isinstance(choice, str) else json.dumps(choice)


def _refuse(path: Path, reason: str) -> NoReturn:
    raise InputError("E_FORMAT", path, f"this comparison cannot be used: {reason}", REMEDY)


class Comparison(Search):
    """Entries of a comparison in a folder, new or gone on with.

    Args:
        training: what all entries have in common.
        entries: name to settings, id to value.
        folder: for the study, the entries and the leaderboard.

    Raises:
        InputError: E_FORMAT, the folder holds a comparison of another training, or an entry of the
            same name and other settings.
    """

    writes = (TABLE, PICTURE, OVERLAY, ENTRIES, TEST)

    def __init__(
        self, training: Training, entries: Mapping[str, Mapping[str, Any]], folder: Path
    ) -> None:
        self.entries = entries
        super().__init__(training, folder, {})
        self.begun_with = len(self.study.get_trials(deepcopy=False))
        for name, trial in self._latest().items():
            self._check_same(self.folder_of(trial), trial.user_attrs[SETTINGS], entries[name])

    def run(self, *, jobs: int = 1, say: Say = lambda _: None, train: RunTrial = run_trial) -> None:
        """Train what is not done, and draw the leaderboard; else as `Search.run`.

        Args:
            jobs, say, train: as for `Search.run`.
        """
        self.begun_with = len(self.study.get_trials(deepcopy=False))
        super().run(jobs=jobs, say=say, train=train)
        with alone(self.folder):
            self.write()
            if self.winner is not None:
                with filling(self.folder) as scratch:
                    draw_leaderboard(scratch / PICTURE, self.rows, metric=self.training.metric)

    def ask(self) -> Trial | None:
        """The next entry that was not tried, or that had failed before this start."""
        latest = self._latest()
        if not any(trial.state == TrialState.WAITING for trial in latest.values()):
            missing = (n for n in self.entries if n not in latest or self._may_retry(latest[n]))
            name = next(missing, None)
            if name is None:
                return None
            values = dict(self.entries[name])
            parameters = count_parameters(self.training, values)
            kept = {NAME: name, SETTINGS: values, PARAMETERS: parameters}
            self.study.enqueue_trial({}, user_attrs=kept)
        trial = self.study.ask()
        while trial.user_attrs[NAME] not in self.entries:  # of a process that died before it asked
            self.study.tell(trial, state=TrialState.FAIL)
            trial = self.study.ask()
        return trial

    def _may_retry(self, trial: FrozenTrial) -> bool:
        """Whether it had failed before this start."""
        return trial.state == TrialState.FAIL and trial.number < self.begun_with

    def _latest(self) -> dict[str, FrozenTrial]:
        """The latest trial of each entry that has one, by name."""
        trials = self.study.get_trials(deepcopy=False)
        return {t.user_attrs[NAME]: t for t in trials if t.user_attrs.get(NAME) in self.entries}

    def may_go_on(self, trial: FrozenTrial) -> bool:
        """Whether it is one of these entries."""
        return trial.user_attrs[NAME] in self.entries

    def values(self, trial: FrozenTrial | Trial) -> dict[str, Any]:
        """Id to value of a trial."""
        return dict(self.entries[trial.user_attrs[NAME]])

    def folder_of(self, trial: FrozenTrial | Trial) -> Path:
        """Folder of a trial, by the name of its entry."""
        return self.folder_of_entry(trial.user_attrs[NAME])

    def folder_of_entry(self, name: str) -> Path:
        """Where the training of an entry lies."""
        return self.folder / ENTRIES / name

    @property
    def ended(self) -> dict[str, FrozenTrial]:
        """The latest trial of each entry that has ended, by name."""
        return {name: t for name, t in self._latest().items() if t.state.is_finished()}

    @property
    def rows(self) -> list[Row]:
        """Entries that have ended, the best first."""
        return ranked([self.row(trial) for trial in self.ended.values()])

    def row(self, trial: FrozenTrial) -> Row:
        """A trial as a line of the leaderboard."""
        kept = trial.user_attrs
        return Row(
            name=kept[NAME],
            value=trial.value,
            parameters=kept[PARAMETERS],
            seconds=kept.get("seconds", 0.0),
            epochs=kept.get("epochs", 0),
            best_epoch=kept.get("best_epoch"),
            figures=kept.get("figures", {}) if trial.value is not None else {},
            stopped=kept.get("stopped", "failed"),
            reason=kept.get("reason", ""),
        )

    @property
    def winner(self) -> Row | None:
        """The best by validation; None while none has a figure."""
        return next((row for row in self.rows if row.value is not None), None)

    def write(self) -> None:
        """Table, and the winner as a config; only the winner's weights are kept."""
        winner = self.winner
        with filling(self.folder) as scratch:
            write_leaderboard(scratch / TABLE, self.rows)
            if winner is not None:
                write_entries(scratch / OVERLAY, dict(self.entries[winner.name]))
        if winner is not None:
            self.keep_weights_of(self.ended[winner.name])

    def test(self, settings: Mapping[str, Any]) -> Path:
        """Measure the winner, and no other, with the bundle's evaluate.json.

        Args:
            settings: id to value laid over the configs, such as those that choose the test part.

        Returns:
            The folder with what the evaluation writes.

        Raises:
            InputError: E_BUNDLE, it has no evaluate.json.
            ValueError: there is no winner.
            subprocess.CalledProcessError: the evaluation failed; the log in the folder says why.
        """
        winner = self.winner
        if winner is None:
            raise ValueError("no entry has a figure, so there is no winner to test")
        evaluate = self.training.bundle / "configs" / EVALUATE
        if not evaluate.is_file():
            raise InputError(
                "E_BUNDLE", evaluate, "the bundle has no such config.", "Leave --test out."
            )
        own, folder = self.folder_of_entry(winner.name), self.folder / TEST
        wanted = {"output_dir": folder.absolute(), "ckpt_path": (own / BEST).absolute(), **settings}
        configs = [*self.training.configs, own / CHANGES, evaluate]
        run_bundle(self.training.bundle, configs, wanted, threads=threads_of(1))
        return folder
