# SPDX-License-Identifier: Apache-2.0
"""Rules of docstrings, read from the source; `python tests/docstring_rules.py medvol/images`."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "medvol"
SECTION = re.compile(
    r"^(Args|Attributes|Returns|Yields|Raises|Example|Note)(?: \(.*\))?:$", re.MULTILINE
)
ENTRY = re.compile(r"^((?:\*{0,2}\w+)(?:, \*{0,2}\w+)*): ?(.*)$")
SHAPE = re.compile(
    r"\(([\w*+\-/. `]+,)+[\w*+\-/. `]*\)|(?<!\w)\(\)"  # (C, X, Y), (n,), (2 * slices, Z), ()
    r"|\b(any|same|this|that) shape\b|\bshape of\b|\bscalars?\b|\b(like|as(?: for)?|of) `\w"
)
UNIT = re.compile(
    r"\b(mm|mm2|mm3|cm|ml|HU|s|ms|seconds?|minutes?|bytes|KiB|MiB|GiB|voxels?|pixels?|slices?"
    r"|degrees?|radians?|steps?|epochs?|per|shares?|probabilit(?:y|ies)|fractions?|multiples?"
    r"|factors?|percent|units?|scale|positive|or more|up to|log odds|standard deviations?)\b"
    r"|%|\d to \+?-?\d|\b\d and \d|[\[(]-?[\d.]+, ?-?[\d.]+[\])]"
    r"|\b(above|below|at least|at most|between) -?\d"
)
UNIT_IN_NAME = re.compile(
    r"(^|_)(mm|mm2|mm3|ml|hu|s|ms|bytes|mib|gib|voxels|pixels|slices|degrees|share|probability"
    r"|fraction|percent|factor|std|steps|epochs)$"
)
ARRAYS = {"Tensor", "MetaTensor", "NDArray", "ndarray", "ArrayLike"}
OPAQUE = {"dict", "Mapping", "MutableMapping", "Callable", "type", "Literal"}  # holders of others
SHAPED = {"Affine"}  # aliases whose shape is always the same: (4, 4)
CLASS_SPEAKS = {
    "__init__", "__post_init__", "__call__", "__iter__", "forward", "change", "inverse", "on",
}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef
TYPES = ast.Subscript | ast.Attribute | ast.Name | ast.BinOp


class Part(NamedTuple):
    """A public part of a module.

    Attributes:
        name: dotted, within the module.
        node: its syntax.
        doc: the docstring; for methods for which the class speaks, with that of the class.
        own: its docstring alone.
        init: for a class its `__init__`, if it has one of its own.
    """

    name: str
    node: ast.ClassDef | Function
    doc: str
    own: str
    init: Function | None = None


def aliases(sources: Iterable[str]) -> set[str]:
    """Names that stand for arrays in annotations: the types, and their aliases at module level."""
    found = set(ARRAYS)
    for source in sources:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                called = isinstance(node.value, ast.Call) and "TypeVar(" in ast.unparse(node.value)
                bounds = node.value.args[1:] if called else [node.value]
                if any(_names(b) & ARRAYS for b in bounds if isinstance(b, TYPES)):
                    found.add(node.targets[0].id)
    return found - SHAPED


def findings(source: str, arrays: set[str]) -> list[str]:
    """What the docstrings of a module lack, one line each: line, name, what.

    Args:
        source: the module's text.
        arrays: names that stand for arrays, see `aliases`.
    """
    tree = ast.parse(source)
    module = ast.get_docstring(tree) or ""
    found = [] if len(module.split()) >= 3 else ["1 module: no sentence that says what it is for"]
    for part in parts(tree):
        wrong = [*_sentence(part)]
        if part.doc:
            wrong += [*_arguments(part, arrays), *_result(part, arrays), *_raises(part)]
        found += [f"{part.node.lineno} {part.name}: {what}" for what in wrong]
    return found


def parts(tree: ast.Module) -> Iterator[Part]:
    """The public classes, functions and methods of a module."""
    for node in tree.body:
        if isinstance(node, Function) and _public(node):
            doc = ast.get_docstring(node) or ""
            yield Part(node.name, node, doc, doc)
        elif isinstance(node, ast.ClassDef) and _public(node):
            yield from _class_parts(node)


def _class_parts(node: ast.ClassDef) -> Iterator[Part]:
    doc = ast.get_docstring(node) or ""
    methods = [n for n in node.body if isinstance(n, Function)]
    init = next((m for m in methods if m.name == "__init__"), None)
    yield Part(node.name, node, doc, doc, init)
    for method in methods:
        own = ast.get_docstring(method) or ""
        if method.name in CLASS_SPEAKS:
            yield Part(f"{node.name}.{method.name}", method, f"{own}\n{doc}".strip(), own)
        elif _public(method):
            yield Part(f"{node.name}.{method.name}", method, own, own)


def _public(node: ast.ClassDef | Function) -> bool:
    decorators = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
    return not node.name.startswith("_") and not decorators & {"overload", "setter"}


def _sentence(part: Part) -> Iterator[str]:
    name = part.node.name
    if name in CLASS_SPEAKS:
        return
    first = part.own.partition("\n\n")[0]
    said = set(re.findall(r"[a-z]+", first.lower())) - {"a", "an", "the", "of", "to", "is"}
    in_name = set(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower()))
    if not part.own:
        yield "no docstring"
    elif not said - in_name:
        yield "its docstring says no more than its name"
    if "+SKIP" in part.own:
        yield "an example that never runs"


def _arguments(part: Part, arrays: set[str]) -> Iterator[str]:
    given = _parameters(part)
    told = _entries(part.doc, "Args") | _entries(part.doc, "Attributes")
    listed = _entries(part.own, "Args")
    inherited = isinstance(part.node, ast.ClassDef) and not given
    if listed and not inherited:
        known = {*given, *_variable(part)} | {f.lstrip("*") for f in given}
        yield from (f"Args names {n}, which is no argument" for n in listed if n not in known)
        yield from (f"Args lacks {n}" for n in given if n not in told)
    elif isinstance(part.node, Function) and part.node.name not in CLASS_SPEAKS and len(given) > 2:
        words = set(re.findall(r"\w+", part.doc))  # of a class of fields names are often enough
        yield from (f"{n} is not described; give Args" for n in given if n not in words)
    if part.node.name in ("__init__", "__post_init__"):
        return  # the class has been asked
    for name, annotation in given.items():
        text = told.get(name, part.doc if not listed else "")
        kinds = _names(annotation)
        if kinds & arrays and not SHAPE.search(text):
            yield f"{name} is an array; say its shape, such as (C, X, Y, Z)"
        if "float" in kinds and not (UNIT.search(text) or UNIT_IN_NAME.search(name)):
            yield f"{name} is a number; say its unit or range"


def _result(part: Part, arrays: set[str]) -> Iterator[str]:
    if isinstance(part.node, ast.ClassDef) or part.node.name.startswith("__init"):
        return
    text = _section(part.doc, "Returns") or _section(part.doc, "Yields") or part.doc
    kinds = _names(part.node.returns)
    if kinds & arrays and not SHAPE.search(text):
        yield "gives an array; say its shape, such as (C, X, Y, Z)"
    if "float" in kinds and not (UNIT.search(text) or UNIT_IN_NAME.search(part.node.name)):
        yield "gives a number; say its unit or range"


def _raises(part: Part) -> Iterator[str]:
    if isinstance(part.node, ast.ClassDef):
        return
    text = _section(part.doc, "Raises")
    for error, code in sorted(set(_raised(part.node))):
        if not re.search(rf"\b{error}\b", text):
            yield f"raises {error}; say when under Raises"
        elif code and code not in text:
            yield f"raises {error} with {code}; say when under Raises"


def _raised(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Class and code of what stands in `raise X(...)`, inner functions left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            name = ast.unparse(child.exc.func).rpartition(".")[2].lstrip("_")
            first = child.exc.args[0] if child.exc.args else None
            code = first.value if isinstance(first, ast.Constant) else ""
            if name[:1].isupper():
                yield name, code if re.fullmatch(r"E_[A-Z]+", str(code)) else ""
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from _raised(child)


def _parameters(part: Part) -> dict[str, ast.expr | None]:
    """Name to annotation of what a caller gives: arguments, or fields of a class of fields."""
    node = part.init if isinstance(part.node, ast.ClassDef) else part.node
    if node is not None:
        all_of = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        return {a.arg: a.annotation for a in all_of if a.arg not in ("self", "cls")}
    assert isinstance(part.node, ast.ClassDef)
    marks = {ast.unparse(x) for x in (*part.node.decorator_list, *part.node.bases)}
    if not any("dataclass" in m or "NamedTuple" in m for m in marks):
        return {}
    fields = [n for n in part.node.body if isinstance(n, ast.AnnAssign)]
    named = {f.target.id: f.annotation for f in fields if isinstance(f.target, ast.Name)}
    return {name: a for name, a in named.items() if not name.startswith("_")}


def _variable(part: Part) -> set[str]:
    node = part.init if isinstance(part.node, ast.ClassDef) else part.node
    both = (node.args.vararg, node.args.kwarg) if node is not None else ()
    return {a.arg for a in both if a is not None}


def _names(annotation: ast.AST | None) -> set[str]:
    """Types in an annotation, those held in dicts and callables left out."""
    if annotation is None:
        return set()
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _names(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.Name):
        return {annotation.id}
    if isinstance(annotation, ast.Attribute):
        return {annotation.attr}
    if isinstance(annotation, ast.Subscript):
        outer = _names(annotation.value)
        held = set() if outer & {*OPAQUE, *ARRAYS} else _names(annotation.slice)
        return outer | held
    return {name for child in ast.iter_child_nodes(annotation) for name in _names(child)}


def _section(doc: str, title: str) -> str:
    """All sections of that title in a docstring, joined."""
    starts = (m.end() for m in SECTION.finditer(doc) if m.group(1) == title)
    return "\n".join(re.split(r"\n(?=\S)", doc[start:].strip("\n"))[0] for start in starts)


def _entries(doc: str, title: str) -> dict[str, str]:
    """Name to text of the entries of a section."""
    found: dict[str, str] = {}
    lines = _section(doc, title).splitlines()
    names: list[str] = []
    for line in lines:
        start = ENTRY.match(line[4:]) if line[:4].isspace() and line[4:5].strip() else None
        if start:
            names = [name.lstrip("*") for name in start.group(1).split(", ")]
        for name in names:
            text = start.group(2) if start else line.strip()
            found[name] = f"{found.get(name, '')} {text}".strip()
    return found


def main(places: list[str]) -> None:
    """Print what the docstrings of files and folders lack."""
    files = [f for p in map(Path, places) for f in (sorted(p.rglob("*.py")) if p.is_dir() else [p])]
    arrays = aliases(f.read_text(encoding="utf-8") for f in PACKAGE.rglob("*.py"))
    for file in files:
        for line in findings(file.read_text(encoding="utf-8"), arrays):
            print(f"{file}:{line}")


if __name__ == "__main__":
    main(sys.argv[1:] or [str(PACKAGE)])
