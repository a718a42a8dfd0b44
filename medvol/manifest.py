# SPDX-License-Identifier: Apache-2.0
"""What lies in a bundle's folder, file by file, and the one digest that names this content."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from .errors import InputError
from .files import sha256_of
from .metadata import read_metadata
from .names import is_inside
from .strictly import read_strictly

MANIFEST = "manifest.json"  # at the root of a packed bundle
SIGNATURE = "manifest.sig"  # beside it, where somebody signed it
FORMAT = 1  # of the manifest
SHORT = 12  # digits of a digest that people see and type
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # of a bundle
DIGEST = re.compile(r"[0-9a-f]{64}")  # of a file or a manifest, SHA-256


class Entry(NamedTuple):
    """A file: SHA-256 of its content in hexadecimal digits, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """Name, version and files of a bundle.

    Two folders have the same digest when every file of theirs has the same path and content, and
    they have the same name and version. Times, owners and permissions do not count.

    Args:
        name: of the bundle.
        version: of its metadata.
        files: path below the root, with `/`, to file; the manifest itself and its signature are not
            among them.

    Example:
        >>> empty = Manifest("lungs", "1.0.0", {})
        >>> empty.canonical
        b'{"files":{},"format":1,"name":"lungs","version":"1.0.0"}'
        >>> empty.short
        '443b2ac9c168'
    """

    name: str
    version: str
    files: Mapping[str, Entry]

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    @cached_property
    def canonical(self) -> bytes:
        """The one way to write it: JSON with sorted keys and without blanks, UTF-8."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `canonical` in 64 hexadecimal digits; a signature is over `canonical` too."""
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def short(self) -> str:
        """The first digits of the digest, which people see and type."""
        return self.digest[:SHORT]

    def to_json(self) -> dict[str, Any]:
        """What `manifest.json` holds."""
        files = {path: entry._asdict() for path, entry in self.files.items()}
        return {"format": FORMAT, "name": self.name, "version": self.version, "files": files}

    def differences(self, folder: Path) -> list[str]:
        """What in a folder is not as the manifest says, a sentence each; empty where all is.

        Args:
            folder: the bundle's root.

        Raises:
            InputError: E_BUNDLE, as for `manifest_of`.
        """
        there = {path: Path(folder, path) for path in _paths(folder)}
        said = [f"{path} is not in its manifest." for path in there if path not in self.files]
        for path, entry in self.files.items():
            if path not in there:
                said.append(f"{path} is missing.")
            elif there[path].stat().st_size != entry.size or sha256_of(there[path]) != entry.sha256:
                said.append(f"{path} is not what its manifest says.")
        return said


def manifest_of(folder: Path, *, name: str | None = None) -> Manifest:
    """The manifest that a folder would have, by what lies in it now.

    Args:
        folder: the bundle's root.
        name: of the bundle; default: that of the folder.

    Raises:
        InputError: E_BUNDLE, a link or something else than files and folders lies in it, or its
            metadata cannot be read.
    """
    files = {}
    for path in _paths(folder):
        files[path] = Entry(sha256_of(folder / path), (folder / path).stat().st_size)
    return Manifest(
        name or folder.resolve().name, str(read_metadata(folder).get("version", "")), files
    )


def parse_manifest(content: bytes, *, path: str | os.PathLike[str]) -> Manifest:
    """The manifest in the bytes of a `manifest.json`.

    Args:
        content: of the file.
        path: of the file, for what is refused.

    Raises:
        InputError: E_BUNDLE, it is not a manifest, or a path in it leaves the bundle.
    """
    try:
        return _parsed(content)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            "E_BUNDLE", path, f"it is not a manifest: {reason}.", "Ask for the bundle again."
        ) from error


def _parsed(content: bytes) -> Manifest:
    said = read_strictly(content, suffix=".json")
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    name, version, files = said["name"], said["version"], said["files"]
    if set(said) != {"format", "name", "version", "files"}:
        raise ValueError("it has fields that a manifest does not have")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of a bundle")
    if not isinstance(version, str):
        raise ValueError("its version is not a text")
    return Manifest(name, version, {path: _entry(path, row) for path, row in files.items()})


def _entry(path: Any, row: Any) -> Entry:
    if not isinstance(path, str) or not is_inside(path) or path in (MANIFEST, SIGNATURE):
        raise ValueError(f"{path!r} is not the path of a file in a bundle")
    entry = Entry(row["sha256"], row["size"])
    if set(row) != set(Entry._fields) or not DIGEST.fullmatch(entry.sha256):
        raise ValueError(f"what it says of {path!r} is not a SHA-256 and a size")
    if type(entry.size) is not int or entry.size < 0:
        raise ValueError(f"the size of {path!r} is {entry.size!r}")
    return entry


def _paths(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, hidden ones too, but not the manifest's own two."""
    for above, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *names]):
            path = Path(above, name)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            below = PurePosixPath(path.relative_to(folder).as_posix())
            if not stat.S_ISREG(mode):
                kind = "a link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
                raise InputError(
                    "E_BUNDLE", path, f"{kind} lies in the bundle.",
                    "Put the file itself there, or take it out.",
                )  # fmt: skip
            if str(below) not in (MANIFEST, SIGNATURE):
                yield str(below)
