# SPDX-License-Identifier: Apache-2.0
"""Seconds, memory and masks of a prediction: medvol, MONAI as it is, and nnU-Net.

    python scripts/bench_engine.py [--volumes 160 300 small same] [--bundles reference-4]
        [--sides stock-1 stock-4 nnunet medvol] [--runs 3] [--before CHECKOUT] [--json FILE] [--add]

Every side reads the same file, runs the same network with the same weights over windows of the same
size, and writes a mask on the grid of the file. Each run is a process of its own; the sides take
turns, and what is given is the median, with the least and the most. Loading Python, torch and the
bundle is not in these seconds; it is in those of whole processes ("medvol-process").

Volumes: 160 and 300 (512 x 512 phantoms of that many slices), small (256 x 256 x 74), same (on the
network's own grid), thin and thick (a whole chest, and one on the grid of medvol's bundles), tiny
(64^3), AxBxC, real1 and real2 (of MEDVOL_TEST_DATA), or a file. Bundles: reference-C of C classes
(MONAI's UNet 16 to 256, windows of 96^3 with half of each overlapping, in the zoo's shape, trained
here for some minutes), with -crop, -coarse (3 mm) and -random (not trained) behind it; a name of
medvol's; or a folder, such as one of the model zoo. Sides: stock-1 and stock-4 (`monai.bundle run`,
so many windows at once; stock: as the bundle says; stock-parts: one of medvol's, with MONAI's
transforms), nnunet, medvol (by the backend that `medvol bundle backends` found, if it was run),
medvol-torch, medvol-torch-channels-last, medvol-openvino, medvol-bf16, medvol-lungs and
medvol-lungs-bf16 (only the box of the lungs goes through the network), and whole processes:
stock-process, medvol-process, medvol-process-all (all files that it writes unasked); with --before
also before, before-process. What is made is kept below `bench/`, where the figures and the picture
go too. nnU-Net is left out where it is not installed; the line that installs it is printed. As it
stands about a quarter of an hour on two cores.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench import machine, page
from bench.agreement import agreement, read_mask
from bench.figures import Figures, disturbed
from bench.reference import reference
from bench.sides import Side, run, sides
from bench.volumes import volume
from bench.words import parser_of

FOLDER = Path("bench")
USUAL_SIDES = ("stock-1", "stock-4", "nnunet", "medvol")
JUDGE = ("stock-4", "stock-1", "stock-parts", "stock")  # whose mask the others' is compared with


def main() -> int:
    """Run all sides on all volumes, in turn."""
    parser = parser_of(__doc__)
    parser.add_argument("--volumes", nargs="+", default=["160"])
    parser.add_argument("--bundles", nargs="+", default=["reference-4"])
    parser.add_argument("--sides", nargs="+", default=list(USUAL_SIDES))
    parser.add_argument("--runs", type=int, default=3, help="of each side, in turn")
    parser.add_argument("--before", type=Path, help="another checkout of medvol, a side")
    parser.add_argument("--under", default="", help="command that starts each side, as taskset")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for all that is made")
    parser.add_argument("--json", type=Path, help="of the figures (default FOLDER/engine.json)")
    parser.add_argument("--add", action="store_true", help="to the figures that are there")
    args = parser.parse_args()
    known = sides(args.before and args.before.resolve())
    if unknown := set(args.sides) - set(known):
        parser.error(f"no side {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    asked = {name: known[name] for name in args.sides}
    for name, side in asked.items():
        if side.why_not:
            print(f"{name} is left out: {side.why_not}")
    asked = {name: side for name, side in asked.items() if not side.why_not}
    path = args.json or args.folder / "engine.json"
    figures = Figures.read(path) if args.add and path.is_file() else Figures(machine.facts())
    print(machine.line(figures.machine), flush=True)
    for bundle in args.bundles:
        for name in args.volumes:
            image = volume(name, args.folder / "data")
            if image is None:
                print(f"{name} is left out: it is not there")
                continue
            measure(figures, (bundle, name), image.resolve(), asked, args)
            figures.write(path)
    page.show(figures, path)
    return 0


def measure(
    figures: Figures, case: tuple[str, str], image: Path, asked: dict[str, Side],
    args: argparse.Namespace,
) -> None:  # fmt: skip
    """Run each side so many times, and compare the masks.

    Args:
        figures: that grow.
        case: bundle and volume.
        image: the file.
        asked: sides that run.
        args: of the command line.
    """
    bundle = folder_of(case[0], args.folder / "data")
    figures.describe(case, image, bundle)
    masks: dict[str, Any] = {}
    for turn in range(args.runs):
        for name, side in asked.items():
            if side.kind == "nnunet" and not case[0].startswith("reference"):
                continue
            out = (args.folder / "out" / name).resolve()
            found = run(side, bundle, image, out, under=args.under)
            if mask := found.pop("mask", None):
                masks.setdefault(name, read_mask(Path(mask)))
            figures.add(case, name, found)
            print(f"{' '.join(case)} {turn + 1}/{args.runs} {name}: {_said(found)}", flush=True)
            figures.write(args.json or args.folder / "engine.json")
    kept = args.folder / "masks" / f"{Path(case[0]).name}-{Path(case[1]).name}.nii.gz"
    judge = next((masks[name] for name in JUDGE if name in masks), None)
    if judge is None and kept.is_file():
        judge = read_mask(kept)
    elif judge is not None:
        _keep(judge, kept)
    for name, mask in masks.items() if judge is not None else ():
        figures.compare(case, name, agreement(mask, judge))


def folder_of(bundle: str, folder: Path) -> str:
    """What a side is given for a bundle: a folder, or a name of medvol's."""
    if bundle.startswith("reference"):
        return str(reference(folder, bundle).resolve())
    if Path(bundle).is_dir():
        return str(Path(bundle).resolve())
    from medvol.bundle.find import shipped_bundles

    return str(shipped_bundles()[bundle])


def _keep(mask: Any, path: Path) -> None:
    import nibabel
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), path)


def _said(found: dict[str, Any]) -> str:
    if "failed" in found:
        return f"failed: {found['failed']}"
    also = " (disturbed)" if disturbed(found) else ""
    stages = {name: round(spent, 2) for name, spent in found.get("stages", {}).items()}
    return f"{found['seconds']:.2f} s, {found['peak_gib']:.2f} GiB{also}, {json.dumps(stages)}"


if __name__ == "__main__":
    sys.exit(main())
