# SPDX-License-Identifier: Apache-2.0
"""Where medvol keeps what belongs to a user: own bundles, received ones, keys."""

import os
import sys
from pathlib import Path

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
