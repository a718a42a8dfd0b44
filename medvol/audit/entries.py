# SPDX-License-Identifier: Apache-2.0
"""What entries of configs can be, as far as that can be told without running anything."""

import ast
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from .configs import MERGE, Node, split_id

REFS = "__local_refs"  # MONAI's name for what references in an expression give
MOST_VALUES = 64  # that one entry is followed into
MOST_HOPS = 24  # of references to references
MOST_TEXT = 4_096  # characters of a path that is put together
GIVEN = {"bundle_root": "."}  # what every program that runs bundles gives, where a config lacks it
_RELATIVE = re.compile(r"[@%](#|::)")
_DRIVE = re.compile(r"[A-Za-z]:")
_NUMBERS = (int, float)
Path = tuple[str, ...]
Plain = str | int | float | bool | None


class Unknown(Exception):
    """What an entry will be cannot be told before it runs."""


class Entries:
    """All values that each id has in any config of a bundle, since configs are laid over others.

    Args:
        nodes: the entries of all configs.
        modules: paths of those that are imports, so that what they give is a module.
        relative: paths of those that refer to others by where they stand.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        *,
        modules: Iterable[Path] = (),
        relative: Iterable[Path] = (),
    ) -> None:
        self._modules = _and_above(modules)
        self._relative = _and_above(relative)
        self._of: dict[Path, list[Any]] = defaultdict(list)
        self._plain: dict[str, tuple[Plain, ...] | Unknown] = {}
        for node in nodes:
            self._of[node.path].append(node.value)

    def of(self, name: str) -> list[Any]:
        """What stands at an id such as `train#dataset`, in whatever file."""
        return self._of.get(split_id(name), [])

    def holds_module(self, name: str) -> bool:
        """Whether what stands at an id is or has a module, whose members could do anything."""
        return (split_id(name) if name else ()) in self._modules

    def holds_relative(self, name: str) -> bool:
        """Whether what stands at an id refers to others by where it stands itself."""
        return (split_id(name) if name else ()) in self._relative

    def at(self, path: Path) -> list[Any]:
        """What stands at a path of keys, in whatever file."""
        return self._of.get(path, [])

    def plain(self, value: Any, hops: int = MOST_HOPS) -> tuple[Plain, ...]:
        """The plain values that an entry, or part of an expression, can have.

        Args:
            value: of an entry as the config has it, or a node of an expression's syntax tree.
            hops: references that are followed.

        Raises:
            Unknown: it is built, computed in a way that is not followed, or refers in a circle.
        """
        if hops == 0:
            raise Unknown("it refers to itself")
        if isinstance(value, ast.expr):
            return _distinct(self._computed(value, hops))
        if isinstance(value, str) and value[:1] in ("$", "@", "%"):
            if value[0] == "$":
                return self.plain(parsed(value), hops - 1)
            return self._referred(value[1:], hops)
        if value is None or isinstance(value, str | int | float):
            return (value,)
        raise Unknown("it is not a plain value")

    def _referred(self, name: str, hops: int) -> tuple[Plain, ...]:
        if name not in self._plain:
            self._plain[name] = Unknown("it refers to itself")
            try:
                self._plain[name] = self._followed(name, hops)
            except Unknown as why:
                self._plain[name] = why
        if isinstance(found := self._plain[name], Unknown):
            raise found
        return found

    def _followed(self, name: str, hops: int) -> tuple[Plain, ...]:
        found = self.of(name)
        if not found and name in GIVEN:
            return (GIVEN[name],)
        if not found:
            raise Unknown(f"no config has {name}")
        every = _distinct(v for value in found for v in self.plain(value, hops - 1))
        if name in GIVEN:  # a place that is wrong there is told of once, where it stands
            return _distinct(GIVEN[name] if leaves(value) else value for value in every)
        return every

    def _computed(self, node: ast.expr, hops: int) -> Iterator[Plain]:
        def of(part: ast.expr) -> tuple[Plain, ...]:
            return self.plain(part, hops - 1)

        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
            yield node.value
        elif (name := reference(node)) is not None:
            yield from self._referred(name, hops)
        elif isinstance(node, ast.IfExp):
            yield from (*of(node.body), *of(node.orelse))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            yield from (_added(a, b) for a, b in product(of(node.left), of(node.right)))
        elif isinstance(node, ast.JoinedStr):
            for parts in product(*(of(part) for part in node.values)):
                yield _short("".join(map(str, parts)))
        elif isinstance(node, ast.FormattedValue) and node.format_spec is None:
            yield from of(node.value)
        elif isinstance(node, ast.Call) and not node.keywords:
            yield from self._called(ast.unparse(node.func), [of(part) for part in node.args])
        else:
            raise Unknown("it is computed")

    def _called(self, function: str, given: list[tuple[Plain, ...]]) -> Iterator[Plain]:
        made = _PATHS.get(function)
        if made is None:
            raise Unknown(f"{function} gives it")
        for parts in product(*given):
            yield _short(made(*map(str, parts)))


_PATHS: Mapping[str, Callable[..., str]] = {  # functions of paths that are followed
    "os.path.join": posixpath.join,
    "os.path.normpath": str,  # what climbs is looked for in the path as it was written
    "os.path.abspath": str,
    "str": str,
}


def _and_above(paths: Iterable[Path]) -> set[Path]:
    return {path[:end] for path in paths for end in range(len(path) + 1)}


def is_relative(value: Any) -> bool:
    """Whether an entry refers to others by where it stands itself, as in `@#size`."""
    return isinstance(value, str) and _RELATIVE.search(value) is not None


def parsed(expression: str) -> ast.expr:
    """The syntax tree of an expression that begins with `$`, its references as MONAI puts them.

    Raises:
        Unknown: Python cannot read it.
    """
    text = referring(expression)[1:].lstrip(" \t")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unknown("it is not an expression of Python") from error


def referring(expression: str) -> str:
    """An expression with its references replaced as MONAI does it before Python reads it."""
    from monai.bundle import ReferenceResolver

    every = dict.fromkeys(ReferenceResolver.match_refs_pattern(expression))
    return str(ReferenceResolver.update_refs_pattern(expression, every))


def absolute(value: Any, path: Path = ()) -> Any:
    """An entry with ids such as `@#size`, which are relative to it, counted from the top.

    Args:
        value: an entry, or a whole config.
        path: of the entry.

    Example:
        >>> absolute({"net": {"size": "$@#depth + 1", "depth": 2}})
        {'net': {'size': '$@net::depth + 1', 'depth': 2}}
    """
    if isinstance(value, dict):
        top = split_id if not path else lambda key: (key,)
        return {
            key: absolute(part, (*path, *top(str(key).removeprefix("" if path else MERGE))))
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [absolute(part, (*path, str(place))) for place, part in enumerate(value)]
    return _absolute(value, path) if is_relative(value) else value


def _absolute(text: str, path: Path) -> str:
    from monai.bundle import ConfigParser

    try:
        return ConfigParser.resolve_relative_ids("::".join(path), text)
    except ValueError:  # it climbs above the top: MONAI refuses it
        return text


def reference(node: ast.expr) -> str | None:
    """The id that a part of an expression refers to; None where it is not a reference."""
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == REFS
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    ):
        return node.slice.value
    return None


def stays_inside(path: str) -> bool:
    """Whether a path leads nowhere but below the folder where it starts, on any system.

    Example:
        >>> [stays_inside(path) for path in ("./eval", "/etc", "a/../../b", "~/x", "C:/x")]
        [True, False, False, False, False]
    """
    parts = path.replace("\\", "/").split("/")
    climbs = ".." in [part.strip() for part in parts] or "\0" in path
    starts = path.startswith(("/", "\\", "~", "$")) or _DRIVE.match(path) is not None
    return not climbs and not starts


def _added(one: Plain, other: Plain) -> Plain:
    if isinstance(one, str) and isinstance(other, str):
        return _short(one + other)
    if isinstance(one, _NUMBERS) and isinstance(other, _NUMBERS):
        return one + other
    raise Unknown("it adds a text to a number")


def leaves(value: Plain) -> bool:
    """Whether a value is a path that leads out of the folder where it starts."""
    return isinstance(value, str) and not stays_inside(value)


def _short(text: str) -> str:
    if len(text) > MOST_TEXT:
        raise Unknown("it grows too long")
    return text


def _distinct(values: Iterable[Plain]) -> tuple[Plain, ...]:
    found: dict[tuple[type, Plain], Plain] = {}
    for value in values:
        found[type(value), value] = value
        if len(found) > MOST_VALUES:
            raise Unknown("it can be too many things")
    return tuple(found.values())
