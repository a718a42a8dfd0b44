# SPDX-License-Identifier: Apache-2.0
"""Files of a bundle that was looked at: what is used later is what was looked at then.

Between the look at a bundle and the moment in which a file of it is opened, somebody may put
another file in its place. So whoever opens one reads it through `content_of` or `source_of`, which
compare the very bytes that are used.
"""

import hashlib
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from .errors import InputError

_LOOKED_AT: dict[Path, Mapping[str, str]] = {}


def remember(folder: Path, files: Mapping[str, str]) -> None:
    """From now on files of a bundle are what they are now, in this process.

    Args:
        folder: the bundle's root.
        files: path below it, with `/`, to SHA-256 in hexadecimal digits.
    """
    _LOOKED_AT[folder.resolve()] = files


def content_of(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file; of a bundle that was looked at, those that were looked at.

    Args:
        path: of any file.

    Raises:
        InputError: E_CHANGED, it is another file than when the bundle was looked at.
        OSError: it cannot be read.
    """
    content = Path(path).read_bytes()
    found = _checksum_of(path)
    if found is not None and found != hashlib.sha256(content).hexdigest():
        raise InputError(
            "E_CHANGED", path, "it is not the file that lay there when the bundle was looked at.",
            "Find out who changed it; then run the bundle again.",
        )  # fmt: skip
    return content


def source_of(path: str | os.PathLike[str]) -> Path | BytesIO:
    """What to read a file from: its bytes where its bundle was looked at, else the path itself.

    Args:
        path: of any file.

    Raises:
        InputError, OSError: as for `content_of`.
    """
    return Path(path) if _checksum_of(path) is None else BytesIO(content_of(path))


def _checksum_of(path: str | os.PathLike[str]) -> str | None:
    """The checksum that a file had, empty for one that was not there; None outside of bundles.

    Links below the bundle's root are not followed: one that is put there leads out of it.
    """
    full = Path(os.path.abspath(path))
    for root in full.parents if _LOOKED_AT else ():
        files = _LOOKED_AT.get(root) or _LOOKED_AT.get(root.resolve())
        if files is not None:
            return files.get(full.relative_to(root).as_posix(), "")
    return None
