# SPDX-License-Identifier: Apache-2.0
"""What a `$` expression does, from its syntax tree; it is never evaluated.

Of level A is what is put together from names on the list, references, plain values, arithmetic and
the members in `MEMBERS`. Every object is judged where it is mentioned, not only where it is called,
so that handing it on gains nothing.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from .entries import GIVEN, REFS, Entries, Unknown, parsed, reference
from .guards import OPENS, bound, doubts, is_guarded, opens, writes
from .imports import import_in, judge_import
from .names import Judged, judge_name, meant_by
from .verdict import Level

MEMBERS = {  # harmless on whatever an object on the list can give
    "T", "append", "argmax", "backbone", "batch", "channels", "clone", "contiguous", "copy",
    "count", "cpu", "cuda", "data", "dataset", "day", "detach", "device", "dim", "dtype",
    "endswith", "epoch", "epoch_length", "epochs", "eval", "extend", "fingerprint", "flatten",
    "float", "frozen", "get", "half", "hour", "index", "int", "is_cuda", "isdigit", "item",
    "items", "iteration", "join", "keys", "last", "load_old_state_dict", "load_state_dict",
    "logger", "long", "lower", "lstrip", "max", "max_epochs", "mean", "meta", "metric_details",
    "min", "minute", "module", "month", "name", "named_parameters", "ndim", "network", "numel",
    "numpy", "output", "param_groups", "parameters", "per_rank", "permute", "pixdim",
    "removeprefix", "removesuffix", "replace", "requires_grad", "requires_grad_", "reshape",
    "roi_size", "round", "rstrip", "run", "second", "setLevel", "set_atss_matcher",
    "set_box_selector_parameters", "set_hard_negative_sampler", "set_random_state",
    "set_sliding_window_inferer", "set_target_keys", "set_timesteps", "set_trainer", "shape",
    "size", "split", "squeeze", "startswith", "state", "state_dict", "std", "strftime", "strip",
    "sub", "sum", "sw_batch_size", "title", "to", "tolist", "train", "transforms", "transpose",
    "type", "unsqueeze", "upper", "values", "view", "year",
}  # fmt: skip
VENDORING = (  # puts the bundle's folder on the path, so that its vendored parts are found
    "sys.path.insert(0, os.path.abspath(__local_refs['bundle_root'])) "
    "if os.path.abspath(__local_refs['bundle_root']) not in sys.path else None"
)
RANKS = {"LOCAL_RANK", "RANK", "WORLD_SIZE"}  # of torchrun, which gives them by the environment
SWITCHES = {"benchmark", "deterministic", "enabled"}  # of cudnn
MOST_TEXT = 4_000  # characters of one expression; the longest of the model zoo has 300
LARGE = 1_000_000  # a number above it, or a power above `POWER`, can fill memory
POWER = 16
_DUNDER = re.compile(r"__\w*__")
_PLAIN = (
    ast.BoolOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.List, ast.Tuple, ast.Set, ast.Dict,
    ast.Slice, ast.Starred, ast.Subscript, ast.keyword, ast.comprehension, ast.JoinedStr,
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
)  # fmt: skip
_LOOPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Said(NamedTuple):
    """What is to be said of an expression or a part of one."""

    level: Level
    reason: str


class Scope(NamedTuple):
    """What an expression can use.

    Args:
        names: that imports bring, with what each can mean.
        known: what stands in the bundle's configs.
    """

    names: Mapping[str, frozenset[str]]
    known: Entries


def judge_expression(expression: str, scope: Scope) -> Said:
    """Level of an expression, with the reason of the worst that is in it.

    Args:
        expression: begins with `$`.
        scope: what it can use.
    """
    if len(expression) > MOST_TEXT:
        return Said(Level.B, f"it has more than {MOST_TEXT} characters and was not read")
    if (found := import_in(expression)) is not None:
        return Said(*judge_import(found))
    try:
        tree = parsed(expression)
        said = list(_Reader(scope).read(tree, frozenset()))
    except Unknown as why:
        return Said(Level.B, str(why))
    except RecursionError:
        return Said(Level.B, "it is nested too deeply to be read")
    return max(said, key=lambda one: one.level, default=Said(Level.A, "plain values"))


def judge_reference(name: str, scope: Scope) -> Said:
    """Level of a reference by itself: it may lead to anything but a module.

    Args:
        name: id that it refers to.
        scope: what the bundle's configs have.
    """
    if scope.known.holds_module(name):
        return Said(Level.B, f"@{name} is a whole module, or has one in it")
    if not scope.known.of(name) and name not in GIVEN:
        return Said(Level.B, f"refers to {name}, which no config has")
    return Said(Level.A, f"refers to {name}")


class _Reader:
    """Reads a syntax tree from the top; `local` are the names that comprehensions bind."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def read(self, node: ast.AST, local: frozenset[str]) -> Iterator[Said]:
        if _is_listed_form(node):
            yield Said(Level.A, "is a form on the list")
        elif isinstance(node, ast.expr) and (name := reference(node)) is not None:
            yield from self._reference(name)
        elif isinstance(node, ast.Constant):
            yield from _constant(node)
        elif isinstance(node, ast.Name | ast.Attribute):
            yield from self._mention(node, local)
        elif isinstance(node, ast.Call):
            yield from self._call(node, local)
        elif isinstance(node, _LOOPS):
            yield from self._loop(node, local)
        elif isinstance(node, ast.BinOp):
            yield from _arithmetic(node)
            yield from self._within(node, local)
        elif isinstance(node, ast.FormattedValue):
            if node.format_spec is not None or node.conversion != -1:
                yield Said(Level.B, "formats a value in a way that is not on the list")
            yield from self._within(node, local)
        elif isinstance(node, _PLAIN):
            yield from self._within(node, local)
        else:
            kind = {"Lambda": "makes a function of its own", "NamedExpr": "binds a name"}
            yield Said(Level.B, kind.get(type(node).__name__, f"{type(node).__name__} is unknown"))
            yield from self._within(node, local)

    def _within(self, node: ast.AST, local: frozenset[str]) -> Iterator[Said]:
        for part in ast.iter_child_nodes(node):
            yield from self.read(part, local)

    def _loop(self, node: ast.AST, local: frozenset[str]) -> Iterator[Said]:
        bound_here = {
            part.id
            for part in ast.walk(node)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
        if taken := bound_here & {*self.scope.names, REFS}:
            yield Said(Level.B, f"gives {min(taken)} another meaning")
        yield from self._within(node, local | bound_here)

    def _reference(self, name: str) -> Iterator[Said]:
        yield judge_reference(name, self.scope)

    def _mention(self, node: ast.Name | ast.Attribute, local: frozenset[str]) -> Iterator[Said]:
        """A name or a chain of members that is handed on, not called."""
        for found in self._objects(node, local):
            if isinstance(found, Said):
                yield found
            elif found.level == Level.A and is_guarded(found):
                yield Said(Level.B, f"{found.name} is handed on without its arguments")
            else:
                yield Said(found.level, f"{found.name} {found.reason}")

    def _call(self, node: ast.Call, local: frozenset[str]) -> Iterator[Said]:
        for part in (*node.args, *node.keywords):
            yield from self.read(part, local)
        if not isinstance(node.func, ast.Name | ast.Attribute):
            yield from self.read(node.func, local)
            yield from self._call_of_made(node.func, local)
            return
        for found in self._objects(node.func, local):
            if isinstance(found, Said):
                yield found
                continue
            yield Said(found.level, f"{found.name} {found.reason}")
            if found.name in OPENS:
                for doubt in opens(bound(found, node), self.scope.known):
                    yield Said(doubt.level, f"{found.name} {doubt.reason}")
            if found.level == Level.A and is_guarded(found):
                given = bound(found, node)
                if given is None:
                    yield Said(Level.B, f"{found.name} is given what cannot be told")
                else:
                    for doubt in doubts(found, given, self.scope.known):
                        yield Said(doubt.level, f"{found.name} {doubt.reason}")

    def _call_of_made(self, made: ast.expr, local: frozenset[str]) -> Iterator[Said]:
        """Calling what something on the list made, or what a reference gives."""
        if (name := reference(made)) is not None:
            for value in self.scope.known.of(name):
                target = value.get("_target_") if isinstance(value, dict) else None
                for meant in meant_by(target) if isinstance(target, str) else ():
                    if writes(judge_name(meant)):
                        yield Said(Level.B, f"calls @{name}, which writes files")
        elif isinstance(made, ast.Call) and isinstance(made.func, ast.Name | ast.Attribute):
            for found in self._objects(made.func, local):
                if isinstance(found, Judged) and writes(found):
                    yield Said(Level.B, f"calls what {found.name} made, which writes files")

    def _objects(self, node: ast.expr, local: frozenset[str]) -> Iterator[Judged | Said]:
        """What a name or chain of members can be: objects on or off the list, or members."""
        chain: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        for hidden in (name for name in chain if name.startswith("_") and name != "__version__"):
            level = Level.C if _DUNDER.fullmatch(hidden) else Level.B
            yield Said(level, f"reaches into the inside of an object by {hidden}")
        if not isinstance(inner, ast.Name):
            yield from self.read(inner, local)
            yield from _members(chain)
        elif inner.id in local:
            yield from _members(chain)
        elif inner.id in self.scope.names:
            for meant in sorted(self.scope.names[inner.id]):
                yield from _objects_of(meant, chain)
        elif _DUNDER.fullmatch(inner.id) or inner.id == REFS:
            yield Said(Level.C, f"reaches into the inside of Python by {inner.id}")
        else:
            yield judge_name(f"builtins.{inner.id}")
            yield from _members(chain)


def _objects_of(meant: str, chain: list[str]) -> Iterator[Judged | Said]:
    """The object at the end of a chain; or the last on the way, and the members after it."""
    for end in range(len(chain), -1, -1):
        judged = judge_name(".".join([meant, *chain[:end]]))
        if judged.level == Level.A or judged.object is not None or judged.level == Level.C:
            break
    else:
        end = len(chain)
        judged = judge_name(".".join([meant, *chain]))
    if judged.reason == "is a whole module" and end < len(chain):
        end = len(chain)  # the module lacks the member, so nothing is known
        judged = judge_name(".".join([meant, *chain]))
    yield judged
    yield from _members(chain[end:])


def _members(chain: list[str]) -> Iterator[Said]:
    for name in chain:
        if name not in MEMBERS and not name.startswith("_"):
            yield Said(Level.B, f"uses the member {name}, which is not on the list")


def _constant(node: ast.Constant) -> Iterator[Said]:
    if isinstance(node.value, int) and abs(node.value) > LARGE:
        yield Said(Level.B, f"has a number above {LARGE}, which can fill memory")
    yield Said(Level.A, "plain values")


def _arithmetic(node: ast.BinOp) -> Iterator[Said]:
    """What can fill memory or never end, and the formatting of texts by `%`."""
    left, right = (
        part.value if isinstance(part, ast.Constant) else None for part in (node.left, node.right)
    )
    if isinstance(node.op, ast.Pow | ast.LShift):
        small = _is_number(right) and abs(right) <= POWER
        if isinstance(node.op, ast.Pow) and _is_number(left) and _is_number(right):
            small = small and abs(left) <= LARGE and abs(left) ** abs(right) <= LARGE
        nested = any(
            isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow | ast.LShift)
            for part in ast.walk(node.left)
        )
        if not small or nested:
            yield Said(Level.B, "has a power that can fill memory")
    elif isinstance(node.op, ast.Mod) and _is_text(node.left):
        yield Said(Level.B, "formats a value in a way that is not on the list")
    elif isinstance(node.op, ast.Mult):
        repeats = [
            part
            for part in ast.walk(node)
            if isinstance(part, ast.List | ast.Tuple | ast.JoinedStr) or _is_text(part)
        ]
        numbers = [
            part.value
            for part in ast.walk(node)
            if isinstance(part, ast.Constant) and isinstance(part.value, int)
        ]
        if repeats and any(abs(number) > LARGE // 100 for number in numbers):
            yield Said(Level.B, "repeats a list or text so often that it can fill memory")


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _is_listed_form(node: ast.AST) -> bool:
    """Whether it is one of the few forms that are on the list word by word."""
    if isinstance(node, ast.IfExp):
        return ast.unparse(node) == VENDORING
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value) == "os.environ" and _word(node.slice) in RANKS
    if not isinstance(node, ast.Call) or not node.args or node.keywords:
        return False
    name, first = ast.unparse(node.func), node.args[0]
    if name in ("os.environ.get", "os.getenv"):
        return _word(first) in RANKS and all(isinstance(a, ast.Constant) for a in node.args)
    return (
        name == "setattr"
        and len(node.args) == 3
        and ast.unparse(first) == "torch.backends.cudnn"
        and _word(node.args[1]) in SWITCHES
        and isinstance(node.args[2], ast.Constant)
        and isinstance(node.args[2].value, bool)
    )


def _word(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
