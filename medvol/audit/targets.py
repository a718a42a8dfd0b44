# SPDX-License-Identifier: Apache-2.0
"""What a component of a config is: its `_target_`, its mode and its arguments."""

from collections.abc import Iterator, Mapping
from typing import Any

from .entries import Unknown
from .expressions import Said, Scope
from .guards import OPENS, doubts, is_guarded, opens
from .names import Judged, judge_name, meant_by
from .verdict import Level

TARGET, MODE = "_target_", "_mode_"
NOT_ARGUMENTS = {TARGET, MODE, "_disabled_", "_requires_", "_desc_"}
MODES = {"default", "callable"}  # the third, "debug", stops in a debugger


def judge_component(entry: Mapping[str, Any], scope: Scope) -> Said:
    """Level of a component, by its target and by how it is used.

    Args:
        entry: a dict of a config that has `_target_`.
        scope: what the bundle's configs have.
    """
    said = [*_target(entry[TARGET], scope), *_mode(entry, scope)]
    arguments = {name: value for name, value in entry.items() if name not in NOT_ARGUMENTS}
    for judged in _objects(entry[TARGET]):
        if judged.name in OPENS:
            for doubt in opens(arguments, scope.known):
                said.append(Said(doubt.level, f"{judged.name} {doubt.reason}"))
        if judged.level == Level.A:
            for doubt in doubts(judged, arguments, scope.known):
                said.append(Said(doubt.level, f"{judged.name} {doubt.reason}"))
            if is_guarded(judged) and entry.get(MODE, "default") != "default":
                said.append(Said(Level.B, f"{judged.name} is handed on without its arguments"))
    return max(said, key=lambda one: one.level)


def judge_target(target: Any, scope: Scope) -> Said:
    """Level of a `_target_` that is laid over another component, so with arguments unknown."""
    said = list(_target(target, scope))
    for judged in _objects(target):
        if judged.level == Level.A and is_guarded(judged):
            said.append(Said(Level.B, f"{judged.name} is laid over another component"))
    return max(said, key=lambda one: one.level)


def _objects(target: Any) -> Iterator[Judged]:
    if isinstance(target, str) and target[:1] not in ("$", "@", "%"):
        for name in meant_by(target):
            yield judge_name(name)


def _target(target: Any, scope: Scope) -> Iterator[Said]:
    if not isinstance(target, str):
        yield Said(Level.B, "its target is built by another entry, so it can be anything")
        return
    if target[:1] in ("$", "@", "%"):
        yield Said(Level.B, "its target is a reference or an expression, so it can be anything")
        try:
            for word in scope.known.plain(target):
                for judged in _objects(word):
                    yield Said(judged.level, f"{judged.name} {judged.reason}")
        except Unknown:
            pass
        return
    for judged in _objects(target):
        yield Said(judged.level, f"{judged.name} {judged.reason}")


def _mode(entry: Mapping[str, Any], scope: Scope) -> Iterator[Said]:
    if MODE not in entry:
        return
    try:
        modes = scope.known.plain(entry[MODE])
    except Unknown:
        yield Said(Level.B, "its mode cannot be told")
        return
    for mode in modes:
        if mode == "debug":
            yield Said(Level.C, "its mode stops in a debugger")
        elif mode not in MODES:
            yield Said(Level.B, f"its mode is {mode!r}, which MONAI does not know")
