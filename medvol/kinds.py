# SPDX-License-Identifier: Apache-2.0
"""Whether an object is of one of medvol's classes, also where a bundle brings its own medvol.

A packed bundle carries the parts of medvol that it names, as `scripts.medvol.<tag>.<module>`. Such
a class is another object than that of the medvol that runs the bundle, and means the same.
"""

import re
from typing import Any, TypeGuard, TypeVar

Kind = TypeVar("Kind")
# what stands before a module's name in medvol itself and in a bundle, where it may have a tag
_ABOVE = re.compile(r"^(?:scripts\.)?medvol\.(?:v\d\w*\.)?")


def is_of(value: Any, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether a value is of one of medvol's classes, or of the same class of another medvol.

    Args:
        value: anything.
        kind: a class of medvol.

    Example:
        >>> from medvol.errors import Note
        >>> theirs = type("Note", (), {"__module__": "scripts.medvol.v0_1_0_12345678.errors"})
        >>> is_of(theirs(), Note), is_of("N_SIZE", Note)
        (True, False)
    """
    if isinstance(value, kind):
        return True
    return any(_name(c) == _name(kind) for c in type(value).__mro__ if _ABOVE.match(c.__module__))


def _name(kind: type) -> tuple[str, str]:
    """Module below medvol, and name, of a class."""
    return _ABOVE.sub("", kind.__module__), kind.__qualname__
