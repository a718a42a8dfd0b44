# SPDX-License-Identifier: Apache-2.0
"""Seconds and memory as the work grows: slices, classes, cases.

    python scripts/bench_growth.py [--slices 50 100 ... 1200] [--classes 2 4 ... 104]
        [--cases 1 5 ... 200] [--sides medvol stock-4] [--json FILE] [--add]

Slices: a 512 x 512 phantom of so many slices, 1.2 mm apart (the same chest again and again, upside
down each second time). Classes: 160 slices of it, and a network of so many classes. Cases: a folder
of so many volumes of 64^3, by `medvol predict` as a process from start to end. The network is the
one of `bench_engine.py` at 3 mm, with random weights, so that the masks mean nothing here. MONAI is
left out where its probabilities would not fit in the memory of this machine. One run of each.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from bench import machine
from bench.figures import Figures
from bench.growth_page import show
from bench.reference import reference
from bench.sides import run, sides
from bench.volumes import volume
from bench.words import parser_of

FOLDER = Path("bench")
SLICES = (50, 100, 200, 400, 800, 1200)
CLASSES = (2, 4, 8, 25, 50, 104)
CASES = (1, 5, 20, 50, 200)
SLICES_OF_CLASSES = 160
SLICE_MM, SIDE, SIDE_MM = 1.2, 512, 0.84375
COPIES = 5  # of all scores at full size, which MONAI takes at its peak; measured at 300 slices
SAFE = 0.7  # of the memory; beyond it another process may be killed
GIB = 1 << 30


def main() -> int:
    """Measure what is asked for, and show all there is."""
    parser = parser_of(__doc__)
    parser.add_argument("--slices", type=int, nargs="*", default=list(SLICES))
    parser.add_argument("--classes", type=int, nargs="*", default=list(CLASSES))
    parser.add_argument("--cases", type=int, nargs="*", default=list(CASES))
    parser.add_argument("--sides", nargs="+", default=["medvol", "stock-4"])
    parser.add_argument("--before", type=Path, help="another checkout of medvol, a side")
    parser.add_argument("--under", default="", help="command that starts each side, as taskset")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for all that is made")
    parser.add_argument("--json", type=Path, help="of the figures (default FOLDER/growth.json)")
    parser.add_argument("--add", action="store_true", help="to the figures that are there")
    args = parser.parse_args()
    path = args.json or args.folder / "growth.json"
    figures = Figures.read(path) if args.add and path.is_file() else Figures(machine.facts())
    print(machine.line(figures.machine), flush=True)
    asked = [(f"slices {n}", "reference-4-coarse-random", n, 4) for n in args.slices]
    asked += [
        (f"classes {n}", f"reference-{n}-coarse-random", SLICES_OF_CLASSES, n)
        for n in args.classes
    ]  # fmt: skip
    for word, bundle, slices, classes in asked:
        image = _stack(args.folder / "data", slices)
        for name in args.sides:
            if name.startswith("stock") and (why := _too_big(slices, classes)):
                _keep(figures, word, name, {"failed": why}, path)
                continue
            found = _run(args, name, bundle, image)
            _keep(figures, word, name, found, path)
    for number in args.cases:
        images = _cases(args.folder / "data", number)
        found = _run(args, "medvol-process", "reference-4-random", images)
        _keep(figures, f"cases {number}", "medvol-process", found, path)
    show(figures, path)
    return 0


def _run(args: argparse.Namespace, name: str, bundle: str, image: Path) -> dict[str, Any]:
    known = sides(args.before and args.before.resolve())
    folder = reference(args.folder / "data", bundle).resolve()
    out = (args.folder / "out" / name).resolve()
    return run(known[name], str(folder), image.resolve(), out, under=args.under)


def _keep(figures: Figures, word: str, side: str, found: dict[str, Any], path: Path) -> None:
    figures.cases.setdefault(word, {"sides": {}})["sides"].setdefault(side, {"runs": []})
    figures.cases[word]["sides"][side]["runs"].append(found)
    figures.write(path)
    said = found.get("failed") or f"{found['seconds']:.2f} s, {found['peak_gib']:.2f} GiB"
    print(f"{word} {side}: {said}", flush=True)


def _too_big(slices: int, classes: int) -> str:
    """Why MONAI is not asked; empty where it is."""
    import psutil

    needed = COPIES * classes * SIDE * SIDE * slices * 4 / GIB
    there = psutil.virtual_memory().total / GIB
    return f"would take about {needed:.0f} GiB of {there:.0f}" if needed > SAFE * there else ""


def _stack(folder: Path, slices: int) -> Path:
    """A volume of so many slices, made when it is not there."""
    import nibabel
    import numpy as np

    path = folder / f"stack-{slices}.nii.gz"
    if path.is_file():
        return path
    given = volume("160", folder)
    assert given is not None
    one = np.asarray(nibabel.load(given).dataobj).astype(np.int16)
    there_and_back = np.concatenate([one, one[:, :, ::-1]], axis=2)
    repeats = -(-slices // there_and_back.shape[2])
    made = np.tile(there_and_back, (1, 1, repeats))[:, :, :slices]
    nibabel.save(nibabel.Nifti1Image(made, np.diag([SIDE_MM, SIDE_MM, SLICE_MM, 1])), path)
    return path


def _cases(folder: Path, number: int) -> Path:
    """A folder of so many small volumes, each a file of its own."""
    tiny = volume("tiny", folder)
    assert tiny is not None
    cases = folder / f"cases-{number}"
    shutil.rmtree(cases, ignore_errors=True)
    cases.mkdir()
    for n in range(number):
        os.link(tiny, cases / f"case{n:03}.nii.gz")
    return cases


if __name__ == "__main__":
    sys.exit(main())
