# SPDX-License-Identifier: Apache-2.0
"""A bundle's config: its entries are built by MONAI, and what is wrong is said by key and word."""

import difflib
import inspect
import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from pydoc import locate
from typing import Any

from monai.bundle import ReferenceResolver

from ..errors import InputError, refusal_behind
from ..failures import FAILURES, of_the_system
from ..quiet import quiet
from .code import Code
from .inside import keep_inside
from .parser import Parser, root_of
from .permission import permit

STOCK = tuple(  # where the components lie that a config names without a module
    f"monai.{room}"
    for room in ("transforms", "inferers", "networks.nets", "handlers", "engines", "data", "losses")
)
REMEDY = "Compare it with docs/bundles.md."
_NO_TARGET = re.compile(r"Cannot locate class or function path: '(.+)'")
_NO_ARGUMENT = re.compile(r"unexpected keyword argument '(.+?)'")


class Config:
    """One config file or several laid over each other, whose entries are built on demand.

    A config is code, so the bundles that the files lie in must be permitted to run. A file that
    lies in none is the user's own word, as a setting on the command line is.

    Args:
        path: such as configs/inference.json; or several, of which a later one lies over those
            before, as in `monai.bundle run`. What is wrong is said of the last.
        overrides: entries that take the place of the file's.

    Raises:
        InputError: E_BUNDLE, it cannot be read as JSON; or as for `permission.permit`.
    """

    def __init__(self, path: Path | Sequence[Path], **overrides: Any) -> None:
        paths = [path] if isinstance(path, Path) else list(path)
        self.path = paths[-1]
        roots = [root for p in paths if (root := root_of(p)) is not None]
        for root in dict.fromkeys(roots):
            permit(root)
        keep_inside()
        self.parser = Parser(roots or [self.path.parent])
        try:
            self.parser.read_config([str(p) for p in paths])
        except (OSError, ValueError, RecursionError) as error:
            raise self._refused(f"it cannot be read: {last_line(error)}.") from error
        self.code = Code(roots[0].resolve() if roots else self.path.parent.resolve())
        self.parser.set(self.code.renamed(self.parser.get()))
        for name, value in overrides.items():
            self.parser[name] = literal(value)

    def __contains__(self, name: str) -> bool:
        return name in self.parser

    def build(self, name: str) -> Any:
        """The object that an entry describes.

        Raises:
            InputError: E_BUNDLE, no such entry, or it cannot be built; names the innermost entry
                at fault, the word that is wrong, and the nearest right one. What a part of medvol
                refuses, such as missing weights, is passed on in its own words.
        """
        if name not in self.parser:
            raise self._refused(f"it has no `{name}`{_nearest(name, self.parser.config)}.")
        try:
            with self.code.importable(), quiet():
                return self.parser.get_parsed_content(name)
        except FAILURES as error:  # whatever a config names may raise whatever it likes
            if refusal := refusal_behind(error):
                raise refusal from refusal.__cause__
            if of_the_system(error):
                raise
            with self.code.importable():
                reason = _reason(self.parser.ref_resolver, name, error)
            raise self._refused(reason) from error

    def _refused(self, reason: str) -> InputError:
        return InputError("E_BUNDLE", self.path, reason, REMEDY)


def literal(value: Any) -> Any:
    """A value as MONAI reads it unchanged: in a plain text it takes `#` for its own `::`.

    Args:
        value: of an entry; what is not a text, and an expression or a reference, stay as they are.

    Example:
        >>> literal("scans"), literal("scans#2"), literal("@chain#size"), literal(2)
        ('scans', "$'scans\\\\x232'", '@chain#size', 2)
    """
    if not isinstance(value, str) or "#" not in value or value.startswith(("$", "@", "%")):
        return value
    return "$" + repr(value).replace("#", "\\x23").replace("@", "\\x40")


def last_line(error: BaseException) -> str:
    """The innermost cause in one line: MONAI wraps what went wrong in several layers."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")


def _reason(entries: ReferenceResolver, name: str, error: BaseException) -> str:
    """What is wrong with an entry that cannot be built, as a sentence."""
    key, error = _culprit(entries, name, error, {name})
    item = entries.get_item(key)
    for reference in ReferenceResolver.find_refs_in_config(item.get_config(), id=key):
        if reference not in entries.items:
            near = _nearest(reference, entries.items)
            return f"`{key}` refers to `@{reference}`, which is not there{near}."
    text = last_line(error)
    if found := _NO_TARGET.search(text):
        near = _nearest(*_beside(found[1]))
        return f"`{key}` names `{found[1]}`, which is not installed{near}."
    if found := _NO_ARGUMENT.search(text):
        near = _nearest_argument(item, found[1])
        return f"`{key}` is given `{found[1]}`, which it does not take{near}."
    return f"`{key}` cannot be built: {text}."


def _culprit(
    entries: ReferenceResolver, name: str, error: BaseException, seen: set[str]
) -> tuple[str, BaseException]:
    """The innermost entry that fails: `name`, or one that it holds or refers to; and its error."""
    for inner in ReferenceResolver.find_refs_in_config(entries.get_item(name).get_config(), name):
        if inner in entries.items and inner not in seen:
            seen.add(inner)
            try:
                entries.get_resolved_content(inner)
            except FAILURES as deeper:
                return _culprit(entries, inner, deeper, seen)
    return name, error


def _beside(target: str) -> tuple[str, list[str]]:
    """The last name of a `_target_`, and what could have been meant by it."""
    module, _, name = target.rpartition(".")
    if module:
        return name, dir(locate(module))
    return name, [word for stock in STOCK for word in dir(import_module(stock))]


def _nearest_argument(item: Any, word: str) -> str:
    made = locate(item.resolve_module_name())
    return _nearest(word, inspect.signature(made).parameters) if callable(made) else ""


def _nearest(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, [str(w) for w in words], n=1)
    return f"; the nearest is `{near[0]}`" if near else ""
