# SPDX-License-Identifier: Apache-2.0
"""The audit of a bundle: every part of it that could do something, with a level and a reason."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..metadata import METADATA
from .configs import (
    RENAMED,
    Node,
    Overlay,
    Refused,
    config_files,
    nodes,
    overlays,
    read_config,
    unread,
)
from .entries import GIVEN, Entries, absolute, is_relative, leaves
from .expressions import Said, Scope, judge_expression, judge_reference
from .files import audit_files
from .guards import CODE
from .imports import Import, import_in, is_expression, names_of
from .references import judge_macro
from .targets import TARGET, judge_component, judge_target
from .verdict import Audit, Item, Level

_REFERENCE = re.compile(r"@\w*(::\w*|#\w*)*")  # which MONAI follows where it is a whole entry
_GIVEN = {(name,) for name in GIVEN}
SHOWN = 200  # characters of an entry in an item


def audit(folder: Path) -> Audit:
    """Say what a bundle would do if it were run; nothing of it is executed or imported.

    Configs can be laid over each other, and references lead from one to another. So each entry is
    judged by itself, and what it refers to by all that any config of the bundle has at that id.

    Args:
        folder: the bundle's root.
    """
    read: dict[str, Any] = {}
    items: list[Item] = []
    for file in config_files(folder):
        try:
            read[file] = read_config(folder, file)
        except Refused as refused:
            items.append(unread(file, refused))
    raw = (node for file, content in read.items() for node in nodes(file, content))
    relative = [node.path for node in raw if is_relative(node.value)]
    read = {file: absolute(content) for file, content in read.items()}
    every = [node for file, content in read.items() for node in nodes(file, content)]
    every += _renamed(every)
    every += _metadata(every)
    imports = [(node.path, found) for node in every if (found := _import(node))]
    modules = [path for path, _ in imports]
    known = Entries(every, modules=modules, relative=relative)
    scope = Scope(names_of(found for _, found in imports), known)
    laid = [overlay for file, content in read.items() for overlay in overlays(file, content)]
    for node in every:
        items += _safely(node, partial(_entry, node, scope, folder))
    for one in laid:
        changed = Node(one.file, one.path, one.arguments)
        items += _safely(changed, partial(_laid_over, one, scope))
    return Audit((*items, *audit_files(folder)))


def _safely(node: Node, judge: Callable[[], Iterator[Item]]) -> list[Item]:
    """What is to be said of an entry; whatever was thought up to break the reader is not known."""
    try:
        return list(judge())
    except Exception as error:
        said = Said(Level.B, f"cannot be judged: {type(error).__name__}")
        return [_item("expression", node, node.value, said)]


def _import(node: Node) -> Import | None:
    return import_in(node.value) if is_expression(node.value) else None


def _metadata(every: list[Node]) -> list[Node]:
    """The entries of the metadata as MONAI gives them to configs, below `_meta_`."""
    own = [node for node in every if node.file == METADATA]
    return [Node(node.file, ("_meta_", *node.path), node.value) for node in own]


def _renamed(every: list[Node]) -> list[Node]:
    """The entries whose name is an older one, by the name that MONAI gives them."""
    older = [node for node in every if node.path[0:1] and node.path[0] in RENAMED]
    return [Node(one.file, (RENAMED[one.path[0]], *one.path[1:]), one.value) for one in older]


def _entry(node: Node, scope: Scope, folder: Path) -> Iterator[Item]:
    """What is to be said of one entry by itself."""
    value = node.value
    if isinstance(value, dict) and TARGET in value:
        yield _item("target", node, value[TARGET], judge_component(value, scope))
    elif is_expression(value):
        yield _item("expression", node, value, judge_expression(value, scope))
    elif node.path in _GIVEN and leaves(value):
        said = Said(Level.B, "is a place of its author's; medvol puts the bundle's own there")
        yield _item("reference", node, value, said)
    elif isinstance(value, str) and value.startswith("%"):
        yield _item("reference", node, value, judge_macro(value, folder, scope))
    elif isinstance(value, str) and _REFERENCE.fullmatch(value):
        said = judge_reference(value[1:], scope)
        if said.level != Level.A:  # the many others do nothing by themselves
            yield _item("reference", node, value, said)
    elif isinstance(value, dict) and (name := _file_name(value)):
        yield _item("reference", node, name, _named(name))


def _named(name: str) -> Said:
    return Said(Level.B, f"names a part {name!r}, and some parts name files by it")


def _file_name(value: Mapping[str, Any]) -> str | None:
    """A key of a part that is a path: MONAI names the files of metrics by the keys of these."""
    for name, part in value.items():
        built = TARGET in part if isinstance(part, dict) else str(part).startswith(("@", "$", "%"))
        if built and (set(str(name)) & {"/", "\\"} or ".." in str(name)):
            return str(name)
    return None


def _laid_over(overlay: Overlay, scope: Scope) -> Iterator[Item]:
    """What is to be said of an entry that changes part of another, such as `saver#output_dir`."""
    node = Node(overlay.file, overlay.path, overlay.arguments)
    if name := _file_name(overlay.arguments):
        yield _item("reference", node, name, _named(name))
    if CODE & {*overlay.path}:
        said = Said(Level.B, "changes what reads or writes images, in a way that is not followed")
        yield _item("reference", node, overlay.arguments, said)
    if TARGET in overlay.arguments:
        target = overlay.arguments[TARGET]
        yield _item("target", node, target, judge_target(target, scope))
    for changed in scope.known.at(overlay.path):
        if isinstance(changed, Mapping) and TARGET in changed:
            entry = {**changed, **overlay.arguments}
            yield _item("target", node, entry[TARGET], judge_component(entry, scope))


def _item(kind: str, node: Node, value: Any, said: Said) -> Item:
    text = str(value)
    if len(text) > SHOWN:
        text = text[:SHOWN] + "..."
    return Item(said.level, kind, node.file, node.key, text, said.reason)
