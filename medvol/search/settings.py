# SPDX-License-Identifier: Apache-2.0
"""Settings given on the command line in the way of `python -m monai.bundle run`."""

import json
from collections.abc import Sequence
from typing import Any

from fire.parser import DefaultParseValue


def parse_settings(words: Sequence[str]) -> dict[str, Any]:
    """Id to value, read by the same rules as MONAI's command line (those of fire).

    Raises:
        ValueError: a word that is no id, an id without a value, or a value that no JSON has.

    Example:
        >>> parse_settings(["--epochs", "2", "--network_def#features=[4,8]", "--fold", "-1"])
        {'epochs': 2, 'network_def#features': [4, 8], 'fold': -1}
    """
    settings: dict[str, Any] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, is_joined, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise ValueError(f"{word!r} is no id; settings are given as --epochs 2")
        if not is_joined:
            if not left:
                raise ValueError(f"--{name} has no value; settings are given as --epochs 2")
            value = left.pop(0)
        try:
            settings[name] = json.loads(json.dumps(DefaultParseValue(value)))
        except TypeError as error:
            raise ValueError(f"--{name} {value}: {error}") from error
    return settings
