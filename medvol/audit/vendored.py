# SPDX-License-Identifier: Apache-2.0
"""Copies of medvol's own files that a packed bundle carries, known by what is in them."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

VENDORED = "scripts/medvol"  # where a bundle carries them, perhaps in a folder of a tag
TAG = re.compile(r"v\d+(?:_\w+)*_[0-9a-f]{8}")  # a folder below it: version and digest of the copy
RELEASES = Path(__file__).with_name("releases.json")  # version to path to SHA-256
_MEDVOL = Path(__file__).parents[1]


def path_in_medvol(path: str) -> str | None:
    """The path below `medvol/` of a file that a bundle carries; None where it is none of these.

    Args:
        path: below the bundle's root, with `/`.

    Example:
        >>> path_in_medvol("scripts/medvol/v0_1_0_12ab34cd/networks/resunet.py")
        'networks/resunet.py'
        >>> path_in_medvol("scripts/medvol/chains.py"), path_in_medvol("scripts/own.py")
        ('chains.py', None)
    """
    if not path.startswith(f"{VENDORED}/"):
        return None
    below = path.removeprefix(f"{VENDORED}/")
    first, _, rest = below.partition("/")
    return rest if rest and TAG.fullmatch(first) else below


def is_released(path: str, content: bytes) -> bool:
    """Whether this medvol, or a released one, has exactly this file at this path.

    Args:
        path: below `medvol/`, with `/`, as `path_in_medvol` gives it.
        content: of the file.
    """
    digest = hashlib.sha256(content).hexdigest()
    return digest == _own(path) or any(files.get(path) == digest for files in _releases().values())


@cache
def _own(path: str) -> str | None:
    file = Path(_MEDVOL, path)
    if ".." in path.split("/") or not file.is_relative_to(_MEDVOL) or not file.is_file():
        return None
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _releases() -> dict[str, dict[str, str]]:
    said: dict[str, dict[str, str]] = json.loads(RELEASES.read_text(encoding="utf-8"))
    return said
