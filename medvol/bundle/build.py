# SPDX-License-Identifier: Apache-2.0
"""A bundle's configs built from shared parts and the bundle's own small source.

A source (`source.json` beside `configs/`) and a part (`_parts/NAME.json` beside the bundles) are
written alike:

    {"extends": ["slabs", "lung_ct"],
     "labels": "covid_lesions",
     "parameters": {"spacing_mm": [1.6, 1.6, 5.0]},
     "metadata": {"name": "Lung"},
     "train": {"epochs": 12, "chain": {"spacing_mm": "{{spacing_mm}}"}}}

Each further key is a config. The parts named in `extends`, the part named in `data` (what is true
of one data set only), the part named in `labels`, and the source are laid over each other in this
order (`merge`). `labels` may also be an object: the labels or classes themselves
(`label_parameters`).

`{{name}}` is a parameter's value, and an entry whose parameter is null is left out; inside a longer
text it is the value's text. An object with `_list_` becomes the list of its entries named there,
and an entry that is a list itself gives all its items; so a bundle changes one step of a list, or
leaves it out with `[]`. `order` says in which order the ids of a config stand.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

from ..errors import InputError, printable
from ..files import read_json, write_text
from ..owned import renewing
from .find import find_part
from .label_set import label_parameters
from .permission import changing

SOURCE = "source.json"
LIST, REST, TARGET = "_list_", "*", "_target_"
NO_CONFIGS = {"extends", "data", "labels", "parameters", "order"}
LINE = 100  # columns of a built config
MOST_DEPTH = 20  # of parameters that name parameters
_PARAMETER = re.compile(r"\{\{([\w.]+)\}\}")
_NAME = re.compile(r"\w[\w-]*")  # of a config
REMEDY = "See docs/adding_a_bundle.md for what a source may hold."

Source = dict[str, Any]


def merge(low: Any, high: Any) -> Any:
    """Lay `high` over `low`: objects key by key, anything else in place of what was there.

    An object whose `_target_` is another than that below it takes its place whole.

    >>> merge({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 4}, "e": 5})
    {'a': 1, 'b': {'c': 2, 'd': 4}, 'e': 5}
    >>> merge({"_target_": "Adam", "amsgrad": True}, {"_target_": "SGD"})
    {'_target_': 'SGD'}
    """
    if not (isinstance(low, dict) and isinstance(high, dict)):
        return deepcopy(high)
    if TARGET in low and low[TARGET] != high.get(TARGET, low[TARGET]):
        return deepcopy(high)
    merged = deepcopy(low)
    for key, value in high.items():
        merged[key] = merge(merged[key], value) if key in merged else deepcopy(value)
    return merged


def parts_of(source: Source, find: Callable[[str], Source]) -> list[Source]:
    """The parts of a source and their parts, each once, from the lowest to the source itself.

    Args:
        source: the source or part.
        find: gives the part of a name.
    """
    found: dict[str, Source] = {}

    def walk(part: Source) -> None:
        last = [part.get("data"), part.get("labels")]
        for name in [*part.get("extends", ()), *(name for name in last if isinstance(name, str))]:
            if name not in found:
                lower = find(name)
                walk(lower)
                found.setdefault(name, lower)

    walk(source)
    return [*found.values(), source]


def assemble(source: Source, find: Callable[[str], Source]) -> Source:
    """A source laid over its parts, with nothing filled in yet.

    Args:
        source: of the bundle.
        find: gives the part of a name.
    """
    merged: Source = {}
    for part in parts_of(source, find):
        own = {key: value for key, value in part.items() if key != "extends"}
        if isinstance(own.get("labels"), str):
            del own["labels"]
        elif "labels" in own:  # one set of labels, never a mixture of two
            merged.pop("labels", None)
        merged = merge(merged, own)
    return merged


def build(source: Source, find: Callable[[str], Source]) -> dict[str, dict[str, Any]]:
    """The configs that a source describes, by name such as "train".

    Args:
        source: of the bundle.
        find: gives the part of a name.

    Raises:
        ValueError: a parameter or an entry of a list is not there, or the labels contradict
            themselves.
    """
    merged = assemble(source, find)
    parameters = {**merged.get("parameters", {}), "labels": label_parameters(merged["labels"])}
    order = merged.get("order", {})
    return {
        name: _ordered(_filled(config, parameters, name), order, name)
        for name, config in merged.items()
        if name not in NO_CONFIGS
    }


def _filled(value: Any, parameters: Mapping[str, Any], at: str, depth: int = 0) -> Any:
    """A value with its parameters put in and its named lists made lists."""
    if depth > MOST_DEPTH:
        raise ValueError(f"`{at}` names a parameter that names itself")
    if isinstance(value, str):
        if whole := _PARAMETER.fullmatch(value):
            return _filled(_parameter(parameters, whole[1], at), parameters, at, depth + 1)
        return _PARAMETER.sub(
            lambda found: str(_filled(found[0], parameters, at, depth + 1)), value
        )
    if isinstance(value, list):
        return [_filled(x, parameters, f"{at}#{i}", depth) for i, x in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if LIST in value:
        return [*_listed(value, parameters, at, depth)]
    filled = {
        _filled(key, parameters, at, depth): _filled(x, parameters, f"{at}#{key}", depth)
        for key, x in value.items()
    }
    named = {key for key, x in value.items() if isinstance(x, str) and _PARAMETER.fullmatch(x)}
    return {key: x for key, x in filled.items() if x is not None or key not in named}


def _listed(
    named: Mapping[str, Any], parameters: Mapping[str, Any], at: str, depth: int
) -> Iterator[Any]:
    """The entries of a named list in its order; those of an entry that is a list, one by one."""
    for name in named[LIST]:
        if name not in named:
            raise ValueError(f"`{at}#{LIST}` names `{name}`, which is not there")
        entry = _filled(named[name], parameters, f"{at}#{name}", depth)
        yield from entry if isinstance(entry, list) else [entry]


def _parameter(parameters: Mapping[str, Any], name: str, at: str) -> Any:
    value: Any = parameters
    for word in name.split("."):
        if not isinstance(value, Mapping) or word not in value:
            raise ValueError(f"`{at}` names the parameter `{name}`, which is not there")
        value = value[word]
    return value


def parameter_of(value: Any) -> list[str] | None:
    """The keys of the parameter that a value is the name of; None for any other value.

    Example:
        >>> parameter_of("{{labels.count}}"), parameter_of("{{labels.count}} labels")
        (['labels', 'count'], None)
    """
    whole = _PARAMETER.fullmatch(value) if isinstance(value, str) else None
    return whole[1].split(".") if whole else None


def _ordered(config: Any, order: Mapping[str, list[str]], at: str) -> Any:
    """A config with its ids in the order that stands under its path; `_target_` first of all.

    Ids that are not listed stand where the list says "*", else last.
    """
    if isinstance(config, list):
        return [_ordered(x, {}, "") for x in config]
    if not isinstance(config, dict):
        return config
    listed = order.get(at, [])
    rest = [key for key in config if key not in listed]
    at_rest = listed.index(REST) if REST in listed else len(listed)
    keys = [k for k in [*listed[:at_rest], *rest, *listed[at_rest:]] if k in config]
    keys.sort(key=lambda key: key != TARGET)
    return {key: _ordered(config[key], order, f"{at}#{key}") for key in keys}


def to_text(value: Any, indent: int = 0, before: int = 0) -> str:
    """JSON of four spaces, in which whatever fits a line of 100 columns stands on one.

    Args:
        value: of a config.
        indent: columns in front of the lines that follow.
        before: columns that the line already holds; 0 for a whole file.
    """
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value:
        return line
    if before and indent + before + len(line) < LINE:
        return line
    inner = indent + 4
    if isinstance(value, dict):
        names = [f"{json.dumps(key, ensure_ascii=False)}: " for key in value]
        rows = [n + to_text(x, inner, len(n)) for n, x in zip(names, value.values(), strict=True)]
        opening, closing = "{", "}"
    else:
        rows = [to_text(x, inner, 1) for x in value]
        opening, closing = "[", "]"
    lines = ",\n".join(" " * inner + row for row in rows)
    return f"{opening}\n{lines}\n{' ' * indent}{closing}"


def build_files(folder: Path, source: Source | None = None) -> dict[Path, str]:
    """The config files of a bundle and their text, as its source and the parts give them.

    Args:
        folder: the bundle's root.
        source: in place of its `source.json`; None takes that.

    Raises:
        InputError: E_PATH, there is no source; E_FORMAT, a source is not JSON; E_BUNDLE, a part,
            a parameter or an entry of a list is missing, or the labels contradict themselves; or a
            config would lie elsewhere than in `configs/`.
    """
    source = read_source(folder / SOURCE) if source is None else source
    try:
        configs = build(source, parts_for(folder))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("E_BUNDLE", folder / SOURCE, f"{error}.", REMEDY) from error
    place = folder / "configs"
    if strange := [name for name in configs if not _NAME.fullmatch(name)]:
        reason = f"it names a config {printable(strange[0])!r}, which is no name of a file."
        raise InputError("E_BUNDLE", folder / SOURCE, reason, REMEDY)
    if place.resolve() != folder.resolve() / "configs":
        raise InputError("E_BUNDLE", place, "it is a link, so that configs lie elsewhere.", REMEDY)
    return {place / f"{name}.json": to_text(config) + "\n" for name, config in configs.items()}


def stale_files(folder: Path, source: Source | None = None) -> dict[Path, str]:
    """Those of `build_files` that differ from what lies in the folder, or are not there.

    Args:
        folder, source: as for `build_files`.

    Raises:
        InputError: as `build_files`.
    """
    return {
        path: text
        for path, text in build_files(folder, source).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def build_bundle(folder: Path, source: Source | None = None) -> list[Path]:
    """Build a bundle's configs from its source, and write those that differ.

    In a bundle that `new_bundle` made, one that was changed by hand is not replaced, and nothing is
    written.

    Args:
        folder: the bundle's root.
        source: takes the place of its `source.json`; None leaves that as it is.

    Returns:
        The configs that were written.

    Raises:
        InputError: as `build_files`; E_OUTPUT, a config was changed by hand; E_NOSPACE, a file
            cannot be written.
    """
    stale = stale_files(folder, source)
    names = [path.relative_to(folder).as_posix() for path in stale]
    with changing(folder) if stale else nullcontext(), renewing(folder, names):
        if source is not None:
            write_text(folder / SOURCE, to_text(source) + "\n")
        for path, text in stale.items():
            write_text(path, text)
    return [*stale]


def change_bundle(folder: Path, changes: Mapping[str, Any]) -> None:
    """Set entries of a bundle: in its source, of which it is then built, else in its configs.

    Args:
        folder: the bundle's root.
        changes: config and id to value, such as `{"metadata#chain_fingerprint": "ab5a29b4"}`.

    Raises:
        InputError: as `build_files` and `files.read_json`; E_NOSPACE, a file cannot be written.
    """
    has_source = (folder / SOURCE).is_file()
    source = read_source(folder / SOURCE) if has_source else {}
    for name in {key.partition("#")[0] for key in changes} if not has_source else ():
        source[name] = read_source(folder / "configs" / f"{name}.json")
    for key, value in changes.items():
        *parents, last = key.split("#")
        entry = source
        for parent in parents:
            entry = entry.setdefault(parent, {})
        entry[last] = value
    if has_source:
        build_bundle(folder, source)
        return
    with changing(folder):
        for name, config in source.items():
            write_text(folder / "configs" / f"{name}.json", to_text(config) + "\n")


def read_source(path: Path) -> Source:
    """A source or part.

    Raises:
        InputError: E_PATH, E_FORMAT as `files.read_json`.
    """
    return read_json(path, what="source of a bundle", remedy=REMEDY)


def parts_for(folder: Path) -> Callable[[str], Source]:
    """What gives the part of a name to the source of the bundle in `folder`."""
    return lambda name: read_source(find_part(name, folder))
