# SPDX-License-Identifier: Apache-2.0
"""What a `%` macro copies: an entry of a config of the bundle, or something of another file."""

from pathlib import Path

from .entries import stays_inside
from .expressions import Said, Scope, judge_reference
from .verdict import Level


def judge_macro(text: str, folder: Path, scope: Scope) -> Said:
    """Level of an entry that begins with `%`.

    MONAI takes a path in it from the folder where the program was started, not from the bundle's,
    so that even a name that the bundle has can lead to a file of another.

    Args:
        text: of the entry, such as `%train#preprocessing` or `%configs/train.json::network`.
        folder: the bundle's root.
        scope: what the bundle's configs have.
    """
    from monai.bundle import ConfigParser

    path, name = ConfigParser.split_path_id(text[1:])
    if not path:
        if scope.known.holds_relative(name):
            return Said(Level.B, f"copies {name}, whose references mean others where they come to")
        return judge_reference(name, scope)
    if not stays_inside(path):
        return Said(Level.C, "copies from a file outside the bundle")
    if not any(Path(folder, above, path).is_file() for above in ("", "configs")):
        return Said(Level.C, "copies from a file that is not in the bundle")
    return Said(Level.B, "copies from a file that lies where the program is started")
