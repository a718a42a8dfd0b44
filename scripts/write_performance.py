# SPDX-License-Identifier: Apache-2.0
"""Write what the benchmarks measured into docs/performance.md: tables and pictures.

    python scripts/write_performance.py [--figures bench]

A block of the page between `<!-- NAME -->` and `<!-- end -->` is made of the figures of that name,
as the benchmarks left them; where there are none, it stays as it is.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench import growth_page, machine, page, train_page
from bench.figures import Figures
from bench.goals import goals
from bench.process_goals import rows

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
PICTURES = {name: f"images/performance_{name}.png" for name in ("engine", "growth", "train_input")}


def main() -> int:
    """Fill the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--figures", type=Path, default=Path("bench"), help="folder of the JSON")
    args = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    for name, file, write in BLOCKS:
        path = args.figures / f"{file}.json"
        if path.is_file():
            text = filled(text, name, write(path))
        else:
            print(f"{name} stays as it is: there is no {path}")
    PAGE.write_text(text, encoding="utf-8")
    pictures = {"engine": page.draw, "growth": growth_page.draw, "train_input": train_page.draw}
    for file, draw in pictures.items():
        path = args.figures / f"{file}.json"
        if path.is_file():
            draw(Figures.read(path), PAGE.parent / PICTURES[file])
    return 0


def filled(text: str, name: str, block: str) -> str:
    """A page with another block of this name.

    Raises:
        ValueError: the page has none.
    """
    start, end = f"<!-- {name} -->\n", "<!-- end -->"
    before, found, after = text.partition(start)
    if not found or end not in after:
        raise ValueError(f"there is no block {name} in {PAGE}; it begins with {start!r}")
    return before + start + "\n" + block + "\n\n" + after[after.index(end) :]


def _machine(path: Path) -> str:
    return machine.line(Figures.read(path).machine) + "."


def _predictions(path: Path) -> str:
    figures = Figures.read(path)
    tables = ["\n".join(page.table(figures, place)) for place in figures.cases.values()]
    picture = f"![Seconds by stage, and memory, of each side]({PICTURES['engine']})"
    return "\n\n".join([*tables, picture])


def _goals(path: Path) -> str:
    found = [tuple(goal) for goal in goals(Figures.read(path))]
    process = path.with_name("process.json")
    if process.is_file():
        found += rows(json.loads(process.read_text(encoding="utf-8")))
    lines = [f"| {what} | {goal} | {figure} | {met.lower()} |" for what, goal, figure, met in found]
    return "\n".join(["| measure | goal | figure | |", "| --- | --- | --- | --- |", *lines])


def _stages(path: Path) -> str:
    return "\n".join(page.stages(Figures.read(path)))


def _growth(path: Path) -> str:
    picture = f"![Seconds and memory as the work grows]({PICTURES['growth']})"
    return "\n".join([*growth_page.table(Figures.read(path)), "", picture])


def _train_input(path: Path) -> str:
    figures = Figures.read(path)
    picture = f"![Samples a second, and memory, of both sides]({PICTURES['train_input']})"
    return "\n".join([*train_page.table(figures), "", picture])


BLOCKS: tuple[tuple[str, str, Callable[[Path], str]], ...] = (
    ("machine", "engine", _machine),
    ("predictions", "engine", _predictions),
    ("stages", "engine", _stages),
    ("goals", "engine", _goals),
    ("growth", "growth", _growth),
    ("train_input", "train_input", _train_input),
)

if __name__ == "__main__":
    sys.exit(main())
