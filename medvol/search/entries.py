# SPDX-License-Identifier: Apache-2.0
"""What a comparison compares: a JSON file of named entries, each a few settings of one bundle.

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

from ..errors import InputError
from ..files import read_json

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
        _refuse(path, "`entries` is no list of one entry or more.")
    for name in ("settings", "test"):
        if not isinstance(content.get(name, {}), dict):
            _refuse(path, f"`{name}` is no object of ids and values.")
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
        _refuse(path, "an entry is no object with a `name`.")
    name = given["name"]
    values = {key: value for key, value in given.items() if key not in ("name", "product")}
    product = given.get("product", {})
    if not isinstance(product, dict):
        _refuse(path, f"`product` of {name!r} is no object of ids.")
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
        _refuse(path, f"the values of {what} are no list and no object.")
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
