# SPDX-License-Identifier: Apache-2.0
"""Seconds and memory from stored voxels to a network's input: MONAI's steps, and medvol's one pass.

    python scripts/bench_resample.py [--size 512 512 300] [--runs 3] [--chains spleen lung_ct ...]

Both sides get the same int16 volume in the order of a NIfTI file (x runs fastest), as a reader
gives it. They take turns, each run in a process of its own; what is given is the median of the
seconds, the memory that a run takes at its peak beyond what was there before it, and the largest
difference between the two inputs. `lung_ct` is medvol's own chain, and its stock side the same
steps one after the other. Loading Python and torch is not in these figures.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.words import parser_of

SPACING_MM = (0.7, 0.7, 1.0)
CHAINS = ("spleen", "whole_body", "nearest", "cubic", "lung_ct")
SIDES = ("stock", "medvol")
GIB = 2**30


def main() -> None:
    """Run both sides of all chains in turn, and print a table."""
    parser = parser_of(__doc__)
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 300), metavar="N")
    parser.add_argument("--chains", nargs="+", default=CHAINS, choices=CHAINS)
    parser.add_argument("--runs", type=int, default=3, help="of each side, in turn")
    parser.add_argument("--json", type=Path, help="of the figures")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--made", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(run(args.side, args.chains[0], args.size, args.made)))
        return
    found = {}
    print("chain        side    seconds  GiB more  gain   difference")
    for chain in args.chains:
        found[chain] = figures = compared(chain, args.size, args.runs)
        for side in SIDES:
            row = figures[side]
            more = "" if side == "stock" else f"{figures['gain']:6.1f}  {figures['difference']:.1e}"
            print(f"{chain:12} {side:7} {row['seconds']:7.2f} {row['gib']:9.2f} {more}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def compared(chain: str, size: tuple[int, ...], runs: int) -> dict[str, Any]:
    """Medians of both sides, how much sooner the second is, and how far apart their results are."""
    rows: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        made = {side: Path(folder) / f"{side}.npy" for side in SIDES}
        for _ in range(runs):
            for side in SIDES:
                command = [
                    sys.executable, "-W", "ignore", __file__, "--chains", chain, "--side", side,
                    "--made", str(made[side]), "--size", *map(str, size),
                ]  # fmt: skip
                answer = subprocess.run(command, check=True, capture_output=True, text=True)
                rows[side].append(json.loads(answer.stdout.splitlines()[-1]))
        stock, ours = (np.load(made[side], mmap_mode="r") for side in SIDES)
        apart = max(float(np.abs(a - b).max()) for a, b in zip(stock[0], ours[0], strict=True))
    medians: dict[str, Any] = {
        side: {name: statistics.median(row[name] for row in rows[side]) for name in rows[side][0]}
        for side in SIDES
    }
    gain = medians["stock"]["seconds"] / medians["medvol"]["seconds"]
    return {**medians, "gain": gain, "difference": apart}


def run(side: str, chain: str, size: tuple[int, ...], made: Path) -> dict[str, float]:
    """One side once, in this process; its result is left as an array."""
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Compose

    from medvol.engine.substitutes.registry import PREPROCESSING
    from medvol.engine.substitutes.rule import substitute

    steps = steps_of(chain)
    array = np.asfortranarray(np.random.default_rng(0).integers(-1024, 1024, size, np.int16))
    affine = torch.diag(torch.tensor([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0]).double())
    meta = {"original_channel_dim": "no_channel", "space": "RAS"}
    if side == "medvol":
        steps = substitute(steps, PREPROCESSING, part="preprocessing").steps
    before = peak()
    started = time.perf_counter()
    # a stock chain is given float32, as every reader of MONAI gives it
    given = array if side == "medvol" else np.ascontiguousarray(array, np.float32)
    image = MetaTensor(torch.from_numpy(given), affine=affine, meta=meta)
    result = Compose(steps)({"image": image})["image"]
    seconds = time.perf_counter() - started
    more = peak() - before
    np.save(made, result.as_tensor().numpy())
    return {"seconds": seconds, "gib": more / GIB}


def steps_of(chain: str) -> list[Any]:
    """The steps after loading: as in bundles of the model zoo, or of medvol's chest CT."""
    from monai.transforms import (
        EnsureChannelFirstd,
        EnsureTyped,
        NormalizeIntensityd,
        Orientationd,
        ScaleIntensityRanged,
        Spacingd,
    )

    from medvol.chains import lung_ct
    from medvol.engine.steps import without_loading

    if chain == "lung_ct":
        return without_loading(lung_ct().transforms)
    pixdim = (1.5, 1.5, 1.5) if chain == "whole_body" else (1.5, 1.5, 2.0)
    mode = {"nearest": "nearest", "cubic": 3}.get(chain, "bilinear")
    intensity = (
        NormalizeIntensityd("image") if chain == "whole_body"
        else ScaleIntensityRanged("image", -57, 164, 0, 1, clip=True)
    )  # fmt: skip
    return [
        EnsureChannelFirstd("image"),
        Orientationd("image", axcodes="RAS", labels=None),
        Spacingd("image", pixdim=pixdim, mode=mode),
        intensity,
        EnsureTyped("image"),
    ]


def peak() -> int:
    """Largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
