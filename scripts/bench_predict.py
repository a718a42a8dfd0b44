# SPDX-License-Identifier: Apache-2.0
"""Time and memory of prediction: medvol's chain against MONAI's stock transforms.

    python scripts/bench_predict.py [--bundle covid_ct_lesion_3d] [--runs 3] [--spacing 0.8 0.8 1.5]

Both sides read the same phantom CT, run the same network with the same weights over windows
of the same size, and give a mask on the input's grid; the masks differ, since `Spacingd` picks thin
slices where medvol averages them. Stock: `LoadImaged`, `Orientationd`,
`Spacingd`, `CropForegroundd`, `ScaleIntensityRanged`, `SlidingWindowInferer`, `Activationsd`,
`Invertd`, `AsDiscreted`. Each run is a process of its own; the sides take turns, and the table
gives the median of each and of the ratios of neighbouring runs. Loading Python and torch is not
counted in the seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIDES = ("stock", "medvol", "medvol_bf16")
SEED = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bundle", default="covid_ct_lesion_3d", help="one of chest CT")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--spacing", type=float, nargs=3, default=(0.8, 0.8, 1.5), metavar="MM")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(run_side(args.bundle, args.side, *args.files)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        ct = Path(scratch) / "ct.nii.gz"
        shape = write_phantom(ct, args.spacing)
        print(f"phantom {shape}, {args.spacing} mm, {os.cpu_count()} CPUs, {args.runs} runs a side")
        figures: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(args.runs):
            for side in SIDES:
                mask = Path(scratch) / f"{side}.npy"
                figures[side].append(in_new_process(args.bundle, side, ct, mask))
        report(figures, {side: Path(scratch) / f"{side}.npy" for side in SIDES})
    return 0


def write_phantom(path: Path, spacing: Any) -> tuple[int, ...]:
    from medvol.data.phantoms.chest import chest_ct_phantom
    from medvol.images.writing import write_volume

    phantom = chest_ct_phantom(seed=SEED, spacing_mm=tuple(spacing))
    write_volume(path, phantom.ct, phantom.affine)
    return phantom.ct.shape


def in_new_process(bundle: str, side: str, ct: Path, mask: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--bundle", bundle, "--side", side]
    command += ["--files", str(ct), str(mask)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_side(bundle: str, side: str, ct: Path, mask_path: Path) -> dict[str, float]:
    import numpy as np

    from medvol.engine.memory import peak_bytes
    from medvol.tasks.task import load_bundle

    precision = "bf16" if side == "medvol_bf16" else "fp32"
    predictor = load_bundle(bundle, device="cpu", precision=precision)
    started = time.perf_counter()
    mask = stock(predictor, ct) if side == "stock" else predictor.predict(ct).mask
    seconds = time.perf_counter() - started
    np.save(mask_path, mask)
    return {"seconds": seconds, "peak_gib": peak_bytes() / 2**30}


def stock(predictor: Any, ct: Path) -> Any:
    """The same prediction out of MONAI's own transforms."""
    import torch
    from monai import transforms as mt

    from medvol.chains import CROP_MARGIN_MM
    from medvol.spatial import AXIS_CODES
    from medvol.transforms.body import Foreground

    pipeline = predictor.pipeline
    spacing = pipeline.spacing_mm
    low, high = predictor.spec.display_window_hu
    prepare = mt.Compose([
        mt.LoadImaged("image", reader="NibabelReader", ensure_channel_first=True),
        mt.Orientationd("image", axcodes="RAS", labels=AXIS_CODES),
        mt.Spacingd("image", pixdim=spacing, mode="bilinear"),
        mt.CropForegroundd(
            "image", source_key="image", select_fn=Foreground("chest"), allow_smaller=True,
            margin=[0, 0, round(CROP_MARGIN_MM / spacing[2])],
        ),
        mt.ScaleIntensityRanged("image", low, high, 0.0, 1.0, clip=True),
    ])  # fmt: skip
    restore = mt.Compose([
        mt.Activationsd("pred", softmax=True),
        mt.Invertd("pred", transform=prepare, orig_keys="image", nearest_interp=False),
        mt.AsDiscreted("pred", argmax=True),
    ])  # fmt: skip
    with torch.inference_mode():
        data = prepare({"image": str(ct)})
        data["pred"] = pipeline.inferer(data["image"][None], pipeline.network)[0]
        return restore(data)["pred"][0].numpy().astype("uint8")


def report(figures: dict[str, list[dict[str, float]]], masks: dict[str, Path]) -> None:
    import numpy as np
    import torch

    from medvol.metrics.masks.overlap import dice, overlap_counts

    labels = {side: torch.from_numpy(np.load(path)) for side, path in masks.items()}
    print(f"{'side':14}{'seconds':>9}{'peak GiB':>10}{'times as fast':>15}{'lesion Dice':>13}")
    for side, runs in figures.items():
        pairs = zip(figures["stock"], runs, strict=True)
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in pairs)
        agreement = float(dice(overlap_counts(labels[side], labels["stock"], (1, 2))))
        print(
            f"{side:14}{statistics.median(r['seconds'] for r in runs):9.1f}"
            f"{statistics.median(r['peak_gib'] for r in runs):10.2f}{ratio:15.2f}{agreement:13.4f}"
        )


if __name__ == "__main__":
    sys.exit(main())
