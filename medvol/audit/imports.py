# SPDX-License-Identifier: Apache-2.0
"""The modules and names that `$import ...` entries of a bundle's configs bring into expressions."""

import ast
import builtins
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from monai.bundle import ConfigExpression

from .entries import referring
from .names import is_harmless_module, judge_name
from .verdict import Level

DEFAULT = {"monai": "monai", "torch": "torch", "np": "numpy", "numpy": "numpy"}  # MONAI's own
TAKEN = {**DEFAULT, "os": "os", "sys": "sys"}  # names whose meaning the other rules rely on

MOST_KEPT = 10_000  # expressions of which it is remembered what they import


class Import(NamedTuple):
    """The one name that MONAI takes of an import statement.

    Args:
        name: that expressions use.
        meant: dotted name of the module or object.
        module: that is imported.
    """

    name: str
    meant: str
    module: str


def is_expression(value: Any) -> TypeGuard[str]:
    """Whether an entry is one that MONAI evaluates."""
    return bool(ConfigExpression.is_expression(value))


@lru_cache(MOST_KEPT)
def import_in(expression: str) -> Import | None:
    """The import that an entry is, as MONAI takes it: the first statement, the first name.

    Args:
        expression: begins with `$`.

    Example:
        >>> import_in("$import numpy as np")
        Import(name='np', meant='numpy', module='numpy')
        >>> import_in("$len(@images)") is None
        True
    """
    try:
        statements = ast.parse(referring(expression)[1:]).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    first = statements[0] if statements else None
    if isinstance(first, ast.Import):
        name = first.names[0]
        return Import(name.asname or name.name, name.name, name.name)
    if isinstance(first, ast.ImportFrom):
        name = first.names[0]
        module = "." * first.level + (first.module or "")
        return Import(name.asname or name.name, f"{module}.{name.name}", module)
    return None


def judge_import(found: Import) -> tuple[Level, str]:
    """Level of an import by itself; what is used of the module is judged where it is used."""
    if found.name in vars(builtins) or TAKEN.get(found.name, found.meant) != found.meant:
        return Level.B, f"gives {found.name} another meaning"
    if found.module != found.meant:
        judged = judge_name(found.meant)
        if judged.level == Level.A or is_harmless_module(found.meant):
            return Level.A, f"imports {found.meant}, which is on the list"
        return judged.level, f"{judged.name} {judged.reason}"
    if is_harmless_module(found.module):
        return Level.A, f"imports {found.module}, which does nothing by itself"
    root = found.module.partition(".")[0]
    if root == "scripts":
        return Level.B, "imports code that the bundle carries"
    return Level.B, f"imports {found.module}, which is not on the list"


def names_of(imports: Iterable[Import]) -> Mapping[str, frozenset[str]]:
    """What each name can mean in an expression, over all configs of a bundle."""
    meanings: dict[str, set[str]] = defaultdict(set)
    for name, module in DEFAULT.items():
        meanings[name].add(module)
    for one in imports:
        meanings[one.name].add(one.meant)
    return {name: frozenset(meant) for name, meant in meanings.items()}
