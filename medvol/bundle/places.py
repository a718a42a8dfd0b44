# SPDX-License-Identifier: Apache-2.0
"""Where medvol keeps what belongs to a user: own bundles, received ones, keys."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError
from ..files import read_json

Content = TypeVar("Content")
FOLDER_VARIABLE = "MEDVOL_BUNDLES"
HOME_VARIABLE = "MEDVOL_HOME"


def home_folder() -> Path:
    """The folder of what medvol keeps for a user: `MEDVOL_HOME`, or one in the data folder."""
    if given := os.environ.get(HOME_VARIABLE):
        return Path(given).expanduser()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "medvol"


def user_folder() -> Path:
    """The folder of the user's own bundles: `MEDVOL_BUNDLES`, or one in `home_folder`."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given).expanduser()
    return home_folder() / "bundles"


def read_list(
    file: str, parsed: Callable[[dict[str, Any]], Content], *, what: str, remedy: str
) -> Content | None:
    """What a list in `home_folder` says; None where there is none yet.

    Args:
        file: its name.
        parsed: makes of the JSON object what it says.
        what: it lists, in words.
        remedy: what the user can do with a damaged one, one sentence.

    Raises:
        InputError: E_CORRUPT, the list is damaged.
    """
    path = home_folder() / file
    if not path.is_file():
        return None
    try:
        return parsed(read_json(path, what=f"list of {what}", remedy=remedy))
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = error.reason if isinstance(error, InputError) else f"{error!s}."
        reason = f"the list of {what} is damaged: {why}"
        raise InputError("E_CORRUPT", path, reason, remedy) from error
