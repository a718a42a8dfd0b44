# SPDX-License-Identifier: Apache-2.0
"""The audit of a bundle: every part of it that could do something, with a level and a reason."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .configs import Node, Overlay, Refused, config_files, nodes, overlays, read_config, unread
from .entries import GIVEN, Entries, absolute, leaves
from .expressions import Said, Scope, judge_expression
from .files import audit_files
from .imports import Import, import_in, is_expression, names_of
from .references import judge_macro
from .targets import TARGET, judge_component, judge_target
from .verdict import Audit, Item, Level

METADATA = "configs/metadata.json"
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
            read[file] = absolute(read_config(folder, file))
        except Refused as refused:
            items.append(unread(file, refused))
    every = [node for file, content in read.items() for node in nodes(file, content)]
    scope = Scope(names_of(_imports(every)), Entries([*every, *_metadata(every)]))
    for node in every:
        items += _entry(node, scope, folder)
    for file, content in read.items():
        for overlay in overlays(file, content):
            items += _laid_over(overlay, scope)
    return Audit((*items, *audit_files(folder)))


def _imports(every: list[Node]) -> Iterator[Import]:
    for node in every:
        if is_expression(node.value) and (found := import_in(node.value)) is not None:
            yield found


def _metadata(every: list[Node]) -> Iterator[Node]:
    """The entries of the metadata as MONAI gives them to configs, below `_meta_`."""
    for node in every:
        if node.file == METADATA:
            yield Node(node.file, ("_meta_", *node.path), node.value)


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
        yield _item("reference", node, value, judge_macro(value, folder))


def _laid_over(overlay: Overlay, scope: Scope) -> Iterator[Item]:
    """What is to be said of an entry that changes part of another, such as `saver#output_dir`."""
    node = Node(overlay.file, overlay.path, overlay.arguments)
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
