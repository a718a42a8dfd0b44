# SPDX-License-Identifier: Apache-2.0
"""From a name in a config to the object that it means, and whether that one is on the list.

Only objects on the list of `allowed.json` are of level A: found by name, and known by being the
very object of that name, never by a prefix. Nothing of a bundle is imported to find them, and of
other packages only modules that the list names.
"""

import builtins
import json
import sys
from enum import Enum
from functools import cache
from importlib import import_module
from inspect import isclass, ismodule
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from .denied import denied
from .vendored import path_in_medvol
from .verdict import Level

ALLOWED = Path(__file__).with_name("allowed.json")  # module to names of its objects
CONSTANTS = (bool, int, float, complex, str, type(None))
TORCH_CONSTANTS = ("dtype", "layout", "memory_format")


class Judged(NamedTuple):
    """A name of a config and what is to be said of it.

    Args:
        level: of the object.
        name: of the object: its module and qualified name; as written where it is not known.
        reason: a phrase that follows the name.
        object: that was found; None for nothing.
    """

    level: Level
    name: str
    reason: str
    object: Any = None


def judge_name(dotted: str) -> Judged:
    """Look an object up by its dotted name, such as `torch.nn.Conv3d` or `len`.

    Args:
        dotted: as an expression or a `_target_` has it; a name without a dot is a builtin.

    Example:
        >>> judge_name("os.system").reason
        'is what medvol never runs: it starts or ends processes, runs code, or writes or deletes'
        >>> judge_name("os.path.join").level, judge_name("scripts.mine.Net").level
        (<Level.A: 'A'>, <Level.B: 'B'>)
    """
    name = _of_medvol(dotted)
    root = name.partition(".")[0]
    if "." not in name and root not in sys.modules:
        name = f"builtins.{name}"
    try:
        found = _found(name)
    except LookupError:
        if reason := denied(name):
            return Judged(Level.C, name, reason)
        return Judged(Level.B, name, _unknown(name))
    if ismodule(found):
        if reason := denied(found.__name__):
            return Judged(Level.C, found.__name__, reason, found)
        return Judged(Level.B, found.__name__, "is a whole module", found)
    if _is_constant(found):
        return Judged(Level.A, name, "is a constant", found)
    own = _own_name(found) or name
    for candidate in dict.fromkeys((own, name)):
        if _is_listed(candidate) and _same(_found(candidate), found):
            return Judged(Level.A, candidate, "is on the list", found)
    if reason := denied(own) or denied(name):
        return Judged(Level.C, own, reason, found)
    return Judged(Level.B, own, _unknown(own), found)


def meant_by(target: str) -> tuple[str, ...]:
    """The dotted names that MONAI could take for a `_target_`: several where a name has many homes.

    Args:
        target: such as "Activationsd" or "torch.nn.Conv3d".
    """
    homes = _short_names().get(target)
    return tuple(f"{home}.{target}" for home in homes) if homes else (target,)


def is_harmless_module(name: str) -> bool:
    """Whether importing a module does nothing else: it is one of those that the list draws on.

    Args:
        name: such as "monai.transforms".
    """
    root = name.partition(".")[0]
    if denied(name) or any(part.startswith("_") for part in name.split(".")):
        return False
    return name in _modules() or name in STANDARD or (root in _HOMES and name in sys.modules)


_HOMES = ("monai", "torch", "ignite", "numpy", "medvol")
STANDARD = {  # modules of Python that do nothing when imported; what is used of them is looked up
    "os", "sys", "glob", "math", "json", "logging", "datetime", "copy", "pathlib", "functools",
    "re", "random", "collections", "itertools", "time", "string", "typing", "statistics", "os.path",
}  # fmt: skip


@cache
def _listed() -> MappingProxyType[str, frozenset[str]]:
    said = json.loads(ALLOWED.read_text(encoding="utf-8"))
    return MappingProxyType({module: frozenset(names) for module, names in said.items()})


@cache
def _modules() -> frozenset[str]:
    """The modules that the list names, and those above them."""
    every: set[str] = set()
    for module in _listed():
        parts = module.split(".")
        every.update(".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return frozenset(every)


def _is_listed(name: str) -> bool:
    parts = name.split(".")
    return any(
        ".".join(parts[depth:]) in _listed().get(".".join(parts[:depth]), ())
        for depth in range(1, len(parts))
    )


@cache
def _found(name: str) -> Any:
    """The object of a dotted name.

    Raises:
        LookupError: it is not there, or not in a module that may be imported.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts) or parts[0] not in _modules():
        raise LookupError(name)
    found: Any = import_module(parts[0])
    for depth, part in enumerate(parts[1:], 2):
        if not (ismodule(found) or isclass(found)):
            raise LookupError(name)
        module = ".".join(parts[:depth])
        if ismodule(found) and module in _modules():
            found = _imported(module, found, part)
        elif ismodule(found) and module in sys.modules:
            found = sys.modules[module]
        else:
            found = _member(found, part)
    return found


def _imported(module: str, above: Any, part: str) -> Any:
    """A module that the list names; where it is not one but a class or alias, that."""
    try:
        return import_module(module)
    except ImportError:
        return _member(above, part)


def _member(above: Any, part: str) -> Any:
    try:
        return getattr(above, part)
    except Exception as error:  # some packages import on first use, and lack what they need
        raise LookupError(part) from error


@cache
def _short_names() -> dict[str, list[str]]:
    """What MONAI calls its classes and functions without a module: name to modules."""
    import monai.bundle

    locator = monai.bundle.ComponentLocator()
    return locator._find_classes_or_functions(locator._find_module_names())


def _of_medvol(name: str) -> str:
    """The name of a vendored part of medvol as medvol has it; other names as they are."""
    own = path_in_medvol(name.replace(".", "/"))
    return name if own is None else "medvol." + own.replace("/", ".")


def _own_name(found: Any) -> str | None:
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str):
        return f"{module}.{name}"
    return None


def _same(one: Any, other: Any) -> bool:
    """Whether both are one object; a method of a class is made anew at each look."""
    return one is other or (
        getattr(one, "__func__", one) is getattr(other, "__func__", other)
        and getattr(one, "__self__", None) is getattr(other, "__self__", None)
    )


def _is_constant(found: Any) -> bool:
    if isinstance(found, Enum):
        return type(found).__module__.partition(".")[0] in _HOMES
    kind = type(found)
    return kind in CONSTANTS or (kind.__module__ == "torch" and kind.__name__ in TORCH_CONSTANTS)


def _unknown(name: str) -> str:
    root = name.partition(".")[0]
    if root == "builtins":
        known = name.removeprefix("builtins.") in vars(builtins)
        return "is not on the list" if known else "is a name that is not known here"
    if root == "scripts":
        return "is code that the bundle carries"
    return "is not on the list" if root in _HOMES else f"is of {root}, which is not on the list"
