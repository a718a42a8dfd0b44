# SPDX-License-Identifier: Apache-2.0
"""JSON and YAML from elsewhere, read strictly: no key twice, no depth, nothing that grows."""

import json
from importlib import import_module
from typing import Any

MOST_BYTES = 16 << 20  # of one file; the largest of the model zoo has 60 kB, a datalist some MB
MOST_DEPTH = 64  # of entries within entries; the deepest of the model zoo has 12
MOST_ENTRIES = 200_000  # of one file; aliases in YAML can name one entry a billion times
YAML_SUFFIXES = (".yaml", ".yml")
_MERGE = "tag:yaml.org,2002:merge"
_DEEP = "it is nested more deeply than any config"


class Deceptive(ValueError):
    """What no honest file holds: a key twice, extreme depth, or entries without end."""


class KeyTwice(Deceptive):
    """A key stands twice in one object: readers see one entry, and the other one runs.

    Args:
        key: that does.
    """

    def __init__(self, key: object) -> None:
        super().__init__(f"the key {key!r} stands twice in one object")
        self.key = key


def read_strictly(content: bytes, *, suffix: str) -> Any:
    """What a file holds.

    Args:
        content: of the file.
        suffix: of its name, such as ".json" or ".yaml"; any but those of YAML means JSON.

    Raises:
        Deceptive: a key stands twice, or it is nested too deeply or has too many entries.
        ValueError: it is too large, not UTF-8, neither JSON nor YAML, has NaN or an infinite
            number as a word, or merges entries in YAML's way.

    Example:
        >>> read_strictly(b'{"a": [1]}', suffix=".json")
        {'a': [1]}
        >>> read_strictly(b"a: 1\\na: 2", suffix=".yml")
        Traceback (most recent call last):
        medvol.strictly.KeyTwice: the key 'a' stands twice in one object
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MB")
    text = content.decode("utf-8-sig")
    try:
        if suffix.lower() in YAML_SUFFIXES:
            found = _yaml(text)
        else:
            found = json.loads(text, object_pairs_hook=distinct_keys, parse_constant=_no_constant)
    except RecursionError:
        raise Deceptive(_DEEP) from None
    check_extent(found)
    return found


def distinct_keys(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """An object whose keys all differ, for `json.loads(object_pairs_hook=...)`.

    Python, and MONAI with it, takes the last of two without a word.

    Args:
        pairs: keys and values as they stand.

    Raises:
        KeyTwice: a key stands twice.

    Example:
        >>> distinct_keys([("a", 1), ("b", 2)])
        {'a': 1, 'b': 2}
    """
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise KeyTwice(key)
        found[key] = value
    return found


def check_extent(content: Any) -> None:
    """Refuse what is nested too deeply or names too many entries, those of aliases each time.

    Args:
        content: of objects and lists.

    Raises:
        Deceptive: it is.
    """
    level, left = [content], MOST_ENTRIES
    for _ in range(MOST_DEPTH):
        left -= len(level)
        if left < 0:
            raise Deceptive(f"it has more than {MOST_ENTRIES} entries")
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict | list) and len(inner) <= left:
                inner += value.values() if isinstance(value, dict) else value
        level = inner
        if not level:
            return
    raise Deceptive(_DEEP)


def _yaml(text: str) -> Any:
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        raise ValueError("PyYAML, which reads it, is not installed") from None
    plain = yaml.SafeLoader.construct_mapping

    def construct_mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        if any(key.tag == _MERGE for key, _ in node.value):  # these can grow as aliases do
            raise ValueError("it merges entries in YAML's way, which is not followed")
        distinct_keys([(loader.construct_object(key, deep=True), None) for key, _ in node.value])
        return plain(loader, node, deep)

    strict = type("Strict", (yaml.SafeLoader,), {"construct_mapping": construct_mapping})
    try:
        return yaml.load(text, strict)
    except yaml.YAMLError as error:
        raise ValueError("it is not YAML: " + str(error).replace("\n", " ")) from None


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
