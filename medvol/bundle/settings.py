# SPDX-License-Identifier: Apache-2.0
"""The settings of a training that its curve depends on, out of the config that is being built."""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from ..files import sha256_of

TRAINER = "train#trainer"  # all that it refers to belongs to the training
DATALIST = "datalist"  # ends the ids of datalists, whose content counts and not their path
EPOCHS, MOST_EPOCHS = "epochs", "max_epochs"
FREE = {  # last names of ids that may change while a training goes on
    *("bundle_root", "dataset_dir", "output_dir", DATALIST, "slices_datalist", "ckpt_path"),
    *("cache_dir", "runtime_cache"),
    *("device", "num_workers", "pin_memory", "persistent_workers", "progress", "val_batch"),
    *("budget_s", "patience", "accept_changes", "task", MOST_EPOCHS),
}
DIGITS = 16  # of the checksum of a datalist
SHOWN = 5  # differences in a message
_REFERENCE = re.compile(r"@(\w+(?:(?:#|::)\w+)*)")


def parser_at_work() -> ConfigParser | None:
    """The config of which a component is being built; None where it is built by hand.

    MONAI gives a component its own arguments only, so the calls are looked through for the parser.
    """
    frame = sys._getframe(1)
    while frame is not None:
        found = frame.f_locals.get("self")
        if isinstance(found, ConfigParser):
            return found
        frame = frame.f_back  # type: ignore[assignment]
    return None


def curve_settings(parser: ConfigParser | None = None) -> dict[str, Any]:
    """Id to value of all that changes the curve of a training.

    Without what may change freely: where files lie, the device, workers, limits of time. `epochs`
    counts only where more than the end of the training depends on it, such as a plan of rates.
    Datalists count by their content.

    Args:
        parser: of the config; None for the one that is being built, outside of which there is
            nothing.
    """
    parser = parser or parser_at_work()
    if parser is None:
        return {}
    leaves = leaves_of(parser.get())
    used = _reachable(leaves)
    planned = TRAINER not in parser or any(
        EPOCHS in references(value) and not name.endswith(f"#{MOST_EPOCHS}")
        for name, value in used.items()
    )
    settings = {
        name: value if isinstance(value, str | int | float | None) else repr(value)
        for name, value in used.items()
        if name.rpartition("#")[2] not in FREE
        and (planned or name != EPOCHS)
        and not (isinstance(value, str) and os.path.isabs(value))
    }
    for name in leaves:
        if name.endswith(DATALIST) and "#" not in name:
            path = parser.get_parsed_content(name)
            if isinstance(path, str) and Path(path).is_file():
                settings[f"content of {name}"] = sha256_of(path)[:DIGITS]
    return settings


def leaves_of(config: Any, at: str = "") -> dict[str, Any]:
    """Id to value of what is neither a list nor an object; an empty one of these is a value.

    Args:
        config: or a part of it.
        at: id of the part.

    Example:
        >>> leaves_of({"epochs": 2, "chain": {"size": [8, 4], "crop": []}})
        {'epochs': 2, 'chain#size#0': 8, 'chain#size#1': 4, 'chain#crop': []}
    """
    if not isinstance(config, list | dict) or not config:
        return {at: config}
    found: dict[str, Any] = {}
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        found |= leaves_of(value, f"{at}#{key}" if at else str(key))
    return found


def references(value: Any) -> list[str]:
    """The ids that a value refers to: an expression, or a reference as a whole.

    Example:
        >>> references("$@epochs * len(@train::items)"), references("@chain"), references("a@b")
        (['epochs', 'train#items'], ['chain'], [])
    """
    found = _REFERENCE.findall(value) if isinstance(value, str) and value[:1] in ("@", "$") else []
    return [name.replace("::", "#") for name in found]


def _reachable(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of the trainer and of all that it refers to; all, where there is no trainer."""
    used: set[str] = set()
    waiting, seen = [TRAINER], {TRAINER}
    while waiting:
        part = waiting.pop()
        for name, value in leaves.items():
            if name == part or name.startswith(f"{part}#"):
                used.add(name)
                new = set(references(value)) - seen
                seen |= new
                waiting += new
    return {name: value for name, value in leaves.items() if name in used or not used}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, old and new; of objects the entries.

    Args:
        before: old values.
        now: new values.

    Example:
        >>> differences({"seed": 0, "settings": {"epochs": 2}}, {"settings": {"epochs": 3}})
        ['seed 0, now None', 'epochs 2, now 3']
    """
    found = []
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new)
        elif old != new:
            found.append(f"{name} {old!r}, now {new!r}")
    return found


def in_words(changed: list[str]) -> str:
    """Differences as a part of a sentence, the first of many."""
    more = len(changed) - SHOWN
    return ", ".join(changed[:SHOWN]) + (f", and {more} more" if more > 0 else "")


def as_json(content: Any) -> Any:
    """As it is read again after it was written as JSON.

    Raises:
        TypeError: it holds what JSON does not know.
    """
    return json.loads(json.dumps(content))
