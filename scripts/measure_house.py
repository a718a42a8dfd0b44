# SPDX-License-Identifier: Apache-2.0
"""Measure the house: lines, files, circles, modules with one importer, docstrings, repeats.

    python scripts/measure_house.py [--list]

`--list` names what is counted. A module whose one importer is a registry, that a registry finds by
its name, or that a config of a bundle names, is not counted as one with a single importer: it is a
part of a family.
"""

import argparse
import ast
import io
import json
import keyword
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUNDLES = ROOT / "bundles"
sys.path.insert(0, str(ROOT / "tests"))

from docstring_rules import CLASS_SPEAKS, PACKAGE, aliases, findings, parts  # noqa: E402
from test_floors import MODULES, circles, imported  # noqa: E402

REGISTRIES = re.compile(
    r"^(cli|outputs|data\.sources|tasks|images)\.(__init__|registry|formats|task)$"
)
RUN = 6  # lines that make a repeat when they stand twice


def single_importers(sources: dict[str, str], named: str) -> list[str]:
    """Modules with one importer, registries and what configs name aside.

    Args:
        sources: dotted name to text.
        named: text of all configs.
    """
    users = defaultdict(set)
    for module, source in sources.items():
        for other in imported(source, module):
            users[other].add(module)
    return sorted(
        f"{module} <- {next(iter(by))}"
        for module, by in users.items()
        if len(by) == 1
        and not any(REGISTRIES.match(user) for user in by)
        and not module.endswith("__init__")
        and f"medvol.{module}." not in named
        and not found_by_name(module, sources)
    )


def found_by_name(module: str, sources: dict[str, str]) -> bool:
    """Whether it is a source of data, found in its folder, or a writer that `OUTPUTS` names.

    Args:
        module: dotted name.
        sources: dotted name to text.
    """
    room, _, name = module.rpartition(".")
    return room == "data.sources" or (
        room == "outputs" and f'"{name}.' in sources["outputs.registry"]
    )


def shape_of_lines(source: str) -> Iterator[tuple[int, str]]:
    """Number and shape of the lines that do something: names and literals become one letter.

    Docstrings, imports, signatures, fields of records and options of commands go.
    """
    skip: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        text |= isinstance(node, ast.FunctionDef) and node.name == "add_parser"
        if text or isinstance(node, ast.Import | ast.ImportFrom | ast.AnnAssign):
            skip.update(range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            skip.update(range(node.lineno, node.body[0].lineno))
    lines = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING):
            literal = token.type in (tokenize.NUMBER, tokenize.STRING)
            name = token.type == tokenize.NAME and not keyword.iskeyword(token.string)
            shape = "s" if literal else "n" if name else token.string
            lines[token.start[0]].append(shape)
    for number in sorted(lines):
        if number not in skip and len(lines[number]) > 1:  # a lone bracket is not a line
            yield number, " ".join(lines[number])


def repeats(sources: dict[str, str]) -> list[str]:
    """Pairs of places where the same run of lines stands, names and literals aside.

    A longer run counts once.
    """
    seen = defaultdict(list)
    for module, source in sources.items():
        lines = [*shape_of_lines(source)]
        for at in range(len(lines) - RUN + 1):
            run = [shape for _, shape in lines[at : at + RUN]]
            if sum("n" in shape.split() for shape in run) >= RUN / 2:  # else it is a table
                seen["\n".join(run)].append((module, at, lines[at][0]))
    starts = {
        (one[0], one[1], two[0], two[1]): f"{one[0]}:{one[2]} = {two[0]}:{two[2]}"
        for places in seen.values()
        for k, one in enumerate(places)
        for two in places[k + 1 :]
        if one[0] != two[0] or two[1] - one[1] >= RUN
    }
    return [text for (a, i, b, j), text in starts.items() if (a, i - 1, b, j - 1) not in starts]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Key path and value of everything at the end of a JSON tree."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and any(isinstance(x, dict | list) for x in value):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{number}")
    else:
        yield path, json.dumps(value)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="name what is counted")
    full = parser.parse_args().list
    sources = {module: path.read_text("utf-8") for module, path in MODULES.items()}
    own = [module for module in sources if not module.endswith("__init__")]
    all_parts = [part for source in sources.values() for part in parts(ast.parse(source))]
    public = [part for part in all_parts if part.node.name not in CLASS_SPEAKS]
    arrays = aliases(sources.values())
    lacking = [f"{m}:{f}" for m, s in sources.items() for f in findings(s, arrays)]
    configs = [p.read_text("utf-8") for r in (BUNDLES, PACKAGE) for p in r.rglob("*.json")]
    written = [*BUNDLES.glob("*/source.json"), *(BUNDLES / "_parts").iterdir()]
    found = [
        leaf for p in written if p.suffix == ".json" for leaf in leaves(json.loads(p.read_text()))
    ]
    table: dict[str, Any] = {
        "lines of medvol/": sum(len(s.splitlines()) for s in sources.values()),
        "files without __init__": len(own),
        "modules with a single importer": single_importers(sources, "\n".join(configs)),
        "circles of files": [" -> ".join(c) for c in circles(sources)],
        "public docstrings, %": round(100 * sum(bool(p.own) for p in public) / len(public)),
        "findings of the docstring rules": lacking,
        "docstring examples": sum(s.count(">>> ") for s in sources.values()),
        "pairs of repeated places": repeats(sources),
        "distinct : all leaves of the configs' sources": round(len(set(found)) / len(found), 2),
    }
    for name, value in table.items():
        print(f"{name:48} {len(value) if isinstance(value, list) else value}")
        for line in value if full and isinstance(value, list) else ():
            print(f"    {line}")


if __name__ == "__main__":
    main()
