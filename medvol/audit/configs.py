# SPDX-License-Identifier: Apache-2.0
"""The configs of a bundle, read strictly: every JSON and YAML file of it, as data only."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ReferenceResolver

from ..manifest import MANIFEST
from ..strictly import MOST_BYTES, Deceptive, read_strictly
from .verdict import Item, Level

SUFFIXES = (".json", ".yaml", ".yml")  # MONAI reads no other
RENAMED = {"optional_packages_version": "required_packages_version"}  # which MONAI does itself
MERGE = "+"  # before an id: MONAI adds to the entry instead of replacing it


@dataclass(frozen=True)
class Node:
    """One entry of a config.

    Args:
        file: relative to the bundle's root, with `/`.
        path: keys from the top, those of lists as digits; a key with `#` or `::` is split, since
            MONAI finds such an entry by its id too.
        value: of the entry.
    """

    file: str
    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        """The path as people write it, such as `a#b#0`."""
        return "#".join(self.path)


@dataclass(frozen=True)
class Overlay:
    """A top entry that changes part of another, as `a#b` or `+a` do.

    Args:
        file: where it stands.
        path: of the entry that is changed.
        arguments: what is put there, by the last key.
    """

    file: str
    path: tuple[str, ...]
    arguments: Mapping[str, Any]


class Refused(Exception):
    """A file cannot be taken for a config: its level and the reason."""

    def __init__(self, level: Level, reason: str) -> None:
        super().__init__(reason)
        self.level, self.reason = level, reason


def config_files(folder: Path) -> Iterator[str]:
    """Paths with `/` of all files that MONAI could load as a config, wherever they lie."""
    for above, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(above, name)
            below = path.relative_to(folder).as_posix()
            if name.lower().endswith(SUFFIXES) and below != MANIFEST and path.is_file():
                yield below


def read_config(folder: Path, file: str) -> Any:
    """What a file holds.

    Args:
        folder: the bundle's root.
        file: relative to it.

    Raises:
        Refused: it is a link, is too large or too deep, cannot be read, has a key twice or has
            NaN; in `configs/` also when it is not an object.
    """
    path = folder / file
    if path.is_symlink():
        raise Refused(Level.C, "it is a link, which leads to what is not part of the bundle")
    if path.stat().st_size > MOST_BYTES:
        raise Refused(Level.B, f"it has more than {MOST_BYTES >> 20} MB and was not read")
    try:
        content = read_strictly(path.read_bytes(), suffix=path.suffix)
    except Deceptive as error:
        raise Refused(Level.C, str(error)) from error
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refused(Level.B, f"it cannot be read: {reason}") from error
    if file.startswith("configs/") and not isinstance(content, dict):
        raise Refused(Level.B, "it is not an object of names and values")
    return content


def nodes(file: str, content: Any) -> Iterator[Node]:
    """All entries of a config with their ids, those above before those within.

    Example:
        >>> [node.key for node in nodes("a.json", {"a#b": [1], "+c": 2})]
        ['a#b', 'a#b#0', 'c']
    """
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _below(file, split_id(str(key).removeprefix(MERGE)), value)
    else:
        yield from _below(file, (), content)


def overlays(file: str, content: Any) -> Iterator[Overlay]:
    """The top entries of a config that change part of another entry."""
    for key, value in content.items() if isinstance(content, dict) else ():
        path = split_id(str(key).removeprefix(MERGE))
        if str(key).startswith(MERGE) and isinstance(value, dict):
            yield Overlay(file, path, {str(name): part for name, part in value.items()})
        elif len(path) > 1:
            yield Overlay(file, path[:-1], {path[-1]: value})


def split_id(name: str) -> tuple[str, ...]:
    """The parts of an id, as MONAI splits it.

    Example:
        >>> split_id("train#dataset::data")
        ('train', 'dataset', 'data')
    """
    return tuple(ReferenceResolver.split_id(name))


def unread(file: str, refused: Refused) -> Item:
    """What is to be said of a file that cannot be taken for a config."""
    return Item(refused.level, "file", file, "", file.rpartition("/")[2], refused.reason)


def _below(file: str, path: tuple[str, ...], value: Any) -> Iterator[Node]:
    if path:
        yield Node(file, path, value)
    parts = value.items() if isinstance(value, dict) else ()
    for key, part in enumerate(value) if isinstance(value, list) else parts:
        yield from _below(file, (*path, *split_id(str(key))), part)
