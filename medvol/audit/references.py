# SPDX-License-Identifier: Apache-2.0
"""What a `%` macro copies: an entry of a config of the bundle, or something of another file."""

from pathlib import Path

from .entries import stays_inside
from .expressions import Said
from .verdict import Level


def judge_macro(text: str, folder: Path) -> Said:
    """Level of an entry that begins with `%`.

    MONAI takes a path in it from the folder where the program was started, not from the bundle's,
    so that even a name that the bundle has can lead to a file of another.

    Args:
        text: of the entry, such as `%train#preprocessing` or `%configs/train.json::network`.
        folder: the bundle's root.
    """
    from monai.bundle import ConfigParser

    path, name = ConfigParser.split_path_id(text[1:])
    if not path:
        return Said(Level.A, f"copies {name} of the same config")
    if not stays_inside(path):
        return Said(Level.C, "copies from a file outside the bundle")
    if not any(Path(folder, above, path).is_file() for above in ("", "configs")):
        return Said(Level.C, "copies from a file that is not in the bundle")
    return Said(Level.B, "copies from a file that lies where the program is started")
