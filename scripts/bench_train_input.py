# SPDX-License-Identifier: Apache-2.0
"""Samples a second that a training is given: MONAI's `CacheDataset`, and medvol's `PatchDataset`.

    python scripts/bench_train_input.py [--recipes plain covid_ct_lesion_3d ...] [--workers 0 2]
        [--volumes 4] [--size 225 195 62] [--seconds 8] [--steps 12] [--rounds 5] [--json FILE]

Both sides prepare the same phantoms of a chest by the same chain, and then draw random patches by
the same transforms, with as many workers, in batches as large. `plain` is a recipe of MONAI's
alone: 96^3 voxels at 1.5 x 1.5 x 2 mm around foreground and background, four of a volume, with
affine changes, flips, noise and intensities. The others are bundles, which also draw lesions of
another phantom; of these so many whole steps of the optimizer are run too, by the network that they
train. Each run is a process of its own, sides take turns, the median counts. Memory is the most
that was resident while samples were drawn, workers too; pages that they share count once for each.

In a minute: --recipes covid_ct_lesion_3d --workers 0 --volumes 2 --seconds 3 --steps 0 --rounds 1
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from bench import machine, train_page
from bench.clock import Others
from bench.figures import Figures
from bench.train_side import PLAIN, Order
from bench.words import parser_of

FOLDER = Path("bench")
RECIPES = (PLAIN, "covid_ct_lesion_3d", "covid_ct_lesion_25d")
SIDES = ("stock", "medvol")
SPACING_MM = (1.6, 1.6, 5.0)
SIZE = (225, 195, 62)  # the whole chest


def main() -> int:
    """Measure what is asked for, and show all there is."""
    parser = parser_of(__doc__)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--workers", type=int, nargs="+", default=[0, psutil.cpu_count() or 1])
    parser.add_argument("--volumes", type=int, default=4)
    parser.add_argument("--size", type=int, nargs=3, default=SIZE, metavar="N", help="in voxels")
    parser.add_argument("--seconds", type=float, default=8.0, help="of drawing in each run")
    parser.add_argument("--steps", type=int, default=12, help="of the optimizer; 0 for none")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each side")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for all that is made")
    parser.add_argument("--json", type=Path, help="(default FOLDER/train_input.json)")
    parser.add_argument("--add", action="store_true", help="to the figures that are there")
    args = parser.parse_args()
    path = args.json or args.folder / "train_input.json"
    figures = Figures.read(path) if args.add and path.is_file() else Figures(machine.facts())
    print(machine.line(figures.machine), flush=True)
    data = phantoms(args.folder.resolve() / "data" / "training", args.volumes, tuple(args.size))
    for recipe in args.recipes:
        for workers in args.workers:
            case = (recipe, f"workers {workers}")
            figures.cases.setdefault(" ".join(case), {
                "recipe": recipe, "workers": workers, "size": list(args.size),
                "volumes": args.volumes, "sides": {},
            })  # fmt: skip
            for turn in range(args.rounds):
                for side in SIDES if turn % 2 == 0 else SIDES[::-1]:
                    order = Order(side, recipe, str(data), workers, args.seconds, args.steps)
                    found = run(order)
                    figures.add(case, side, found)
                    figures.write(path)
                    print(*case, side, train_page.in_words(found), flush=True)
    print("\n" + "\n".join(train_page.table(figures)))
    train_page.draw(figures, path.with_suffix(".png"))
    print(f"\nfigures in {path}, picture in {path.with_suffix('.png')}")
    return 0


def run(order: Order) -> dict[str, Any]:
    """One side once, in a process of its own; {"failed": why} where it failed."""
    scripts = Path(__file__).resolve().parent
    environment = {**os.environ, "PYTHONWARNINGS": "ignore",
                   "PYTHONPATH": os.pathsep.join([str(scripts), str(scripts.parent)])}  # fmt: skip
    others, began = Others(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench.train_side", json.dumps(order._asdict())],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode:
        return {"failed": (done.stderr.strip() or "no reason given").splitlines()[-1][:160]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "seconds": seconds, "others_cpu_s": others.seconds()}


def phantoms(folder: Path, count: int, size: tuple[int, ...]) -> Path:
    """A datalist of so many phantoms, made where they are not there."""
    from medvol.data.lung_lesions import LABELS
    from medvol.data.phantoms.chest import chest_ct_phantom
    from medvol.images.writing import write_mask, write_volume

    place = folder / "x".join(map(str, size))
    place.mkdir(parents=True, exist_ok=True)
    items = []
    for seed in range(count):
        image, label = place / f"{seed}_ct.nii.gz", place / f"{seed}_label.nii.gz"
        if not label.is_file():
            made = chest_ct_phantom(seed=seed, spacing_mm=SPACING_MM, shape=size)
            write_volume(image, made.ct, made.affine)
            write_mask(label, made.labels, made.affine)
        items.append({"image": str(image), "label": str(label)})
    names = {str(label.value): label.name for label in LABELS}
    datalist = place / f"{count}.json"
    datalist.write_text(json.dumps({"labels": names, "training": items}), encoding="utf-8")
    return datalist


if __name__ == "__main__":
    sys.exit(main())
