# SPDX-License-Identifier: Apache-2.0
"""Seconds, memory and masks on a GPU: medvol by each backend, and MONAI as it is.

    python scripts/bench_gpu.py [--volumes 160 300] [--times 20] [--device cuda] [--small]
        [--json FILE]

Each side is a process of its own that predicts the same file again and again, from opening it to
the written mask: the first result, what it sets up included, and the median of those after it. The
network is the reference, see bench_engine.py. Sides: stock (as `monai.bundle run` runs it, its
transforms on the CPU), stock-on-device (all its transforms on the GPU), both four times; medvol by
torch, torch-channels-last, torch-graphs and torch-compiled, in fp32 and in bf16; one that cannot
run says why. MONAI convolves as torch does unasked, in TF32 where the GPU has it, which medvol
does not. Each mask is compared with that of medvol's on the CPU in fp32, where there is one. Then
radiographs a second. It ends with 1 where not one side could run.
`--small` is a trial of the script itself, and `--device cpu` one without a GPU. Without a GPU it
says so and ends. Not run on a GPU so far; meant to take less than 8 minutes on a large one.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench_process import PICTURES, draw

from bench import machine
from bench.agreement import agreement, read_mask
from bench.reference import reference
from bench.sides import SCRIPTS
from bench.volumes import volume
from bench.words import parser_of

FOLDER = Path("bench")
STOCK = ("stock", "stock-on-device")
STOCK_TIMES = 4  # at most
BACKENDS = ("torch", "torch-channels-last", "torch-graphs", "torch-compiled")
PRECISIONS = ("fp32", "bf16")
ON_CPU = ("medvol:torch", "fp32")  # whose mask is the judge


def main() -> int:
    """Run all sides on all volumes, compare the masks, and print a line each."""
    parser = parser_of(__doc__)
    parser.add_argument("--volumes", nargs="+", default=["160", "300"])
    parser.add_argument("--times", type=int, default=20, help="that a volume is predicted")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="a tiny volume, twice")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for all that is made")
    parser.add_argument("--json", type=Path, help="of the figures (default FOLDER/gpu.json)")
    args = parser.parse_args()
    gpu = _gpu()
    if args.device == "cuda" and not gpu:
        print("nothing is measured: torch sees no GPU")
        return 0
    if args.small:
        args.volumes, args.times = ["tiny"], 2
    facts = machine.facts(measure=False) | {"gpu": gpu}
    figures: dict[str, Any] = {"machine": facts, "device": args.device, "volumes": {}}
    print(machine.line(facts), gpu, sep="; ", flush=True)
    path = args.json or args.folder / "gpu.json"
    bundle = reference(args.folder / "data", "reference-4-random" if args.small else "reference-4")
    ran = False
    for name in args.volumes:
        image = volume(name, args.folder / "data")
        if image is None:
            parser.error(f"there is no volume {name}")
        found = volumes_of(args, bundle.resolve(), image.resolve())
        figures["volumes"][name] = found
        ran |= any("failed" not in one for one in found.values())
        _write(path, figures)
    pictures = args.folder / "data" / "radiographs"
    if not pictures.is_dir():
        draw(pictures)
    for precision in PRECISIONS:
        side = ("radiographs", precision)
        words = ["--image", str(pictures.resolve()), "--device", args.device]
        found = _run(args, side, [*words, "--times", "8" if args.small else str(PICTURES)])
        figures[" ".join(side)] = found
        ran |= "failed" not in found
        print(f"{' '.join(side)}: {found.get('failed') or '{rate:.1f} a second'.format(**found)}")
    _write(path, figures)
    return 0 if ran else 1


def volumes_of(args: argparse.Namespace, bundle: Path, image: Path) -> dict[str, Any]:
    """What each side took for a volume, and how its mask differs from that of the CPU."""
    what = ["--bundle", str(bundle), "--image", str(image), "--device"]
    on_cpu = _run(args, ON_CPU, [*what, "cpu"])
    judge = read_mask(Path(on_cpu["mask"])) if "mask" in on_cpu else None
    if judge is None:
        print(f"{image.name}: no mask is compared, the CPU {said(on_cpu)}")
    found = {}
    for side in sides():
        times = args.times if side[1] else min(args.times, STOCK_TIMES)
        one = _run(args, side, [*what, args.device, "--times", str(times)])
        if "failed" not in one:
            mask = read_mask(Path(one.pop("mask")))
            one["against_cpu"] = None if judge is None else agreement(mask, judge)
        name = " ".join(side).strip()
        found[name] = one
        print(f"{image.name} {name}: {said(one)}", flush=True)
    return found


def sides() -> list[tuple[str, str]]:
    """Each side, and its precision, "" for what the bundle says."""
    medvol = [(f"medvol:{backend}", kind) for kind in PRECISIONS for backend in BACKENDS]
    return [*((side, "") for side in STOCK), *medvol]


def said(one: dict[str, Any]) -> str:
    """What a side took, in a line.

    Args:
        one: seconds of each prediction, GiB of the device (None without one), agreement (None
            where there is nothing to compare with); or why it failed.
    """
    if "failed" in one:
        return f"failed: {one['failed']}"
    first, *others = one["seconds"]
    steady = f"{statistics.median(others):.2f} s" if others else "not measured"
    gib, alike = one["device_peak_gib"], one["against_cpu"]
    memory = "" if gib is None else f", {gib:.2f} GiB of the GPU"
    line = f"first {first:.2f} s, then {steady}{memory}"
    if alike is None:
        return line
    return f"{line}, Dice {alike['dice']:.5f}, {alike['differ']:.0f} voxels differ"


def _run(args: argparse.Namespace, side: tuple[str, str], words: list[str]) -> dict[str, Any]:
    """A side in a process of its own."""
    out = (args.folder / "out" / "gpu").resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    name, precision = side
    command = [sys.executable, "-m", "bench.gpu_side", name, "--out", str(out), *words]
    command += ["--precision", precision] if precision else []
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip() or "without a word").splitlines()[-1]}
    found: dict[str, Any] = json.loads((out / "figures.json").read_text(encoding="utf-8"))
    return found


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _write(path: Path, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
