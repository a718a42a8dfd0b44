# SPDX-License-Identifier: Apache-2.0
"""From scores to labels: MONAI's Activationsd, Invertd and AsDiscreted against medvol's one step.

    python scripts/bench_restore.py [--classes 2 4 25] [--shape 512 512 300] [--repeats 3]

Each run is a process of its own, so that its peak memory is its own; stock and medvol take turns.
Both restore the same scores, smooth with borders of several classes, of a chain that turns and
resamples; the labels are compared. Stock with many classes needs more memory than most machines
have: it is then said to be killed, and medvol's time stands alone.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import zlib
from typing import Any

SPACING_MM, NETWORK_MM = (0.7, 0.7, 1.0), (1.5, 1.5, 2.0)
SAID = (("seconds", "s"), ("peak_gib", "GiB peak"), ("added_gib", "GiB added"))
COARSE = 24  # voxels from one draw of the scores to the next


def restore(way: str, classes: int, shape: list[int]) -> dict[str, Any]:
    """One restoring: its seconds, the memory that it added in bytes, and a sum over the labels."""
    import numpy as np
    import torch
    from monai.data import MetaTensor
    from monai.transforms import (
        Activationsd,
        AsDiscreted,
        Compose,
        Invertd,
        Orientationd,
        Spacingd,
    )

    from medvol.engine.substitutes.restoring import scores_to_labels
    from medvol.spatial import AXIS_CODES

    affine = torch.from_numpy(np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0]))
    prepare = Compose(
        [Orientationd("image", "RAS", labels=AXIS_CODES), Spacingd("image", NETWORK_MM)]
    )
    image = MetaTensor(torch.zeros(1, *shape), affine)
    data = prepare({"image": image})
    grid = data["image"].shape[1:]
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, classes, *(n // COARSE + 2 for n in grid), generator=generator)
    coarse[:, 0] += 1.5
    scores = torch.nn.functional.interpolate(coarse, grid, mode="trilinear")[0] * 8
    data["pred"] = MetaTensor(scores).copy_meta_from(data["image"])
    del image, scores
    steps: list[Any] = [
        Activationsd("pred", softmax=True),
        Invertd("pred", prepare, orig_keys="image", nearest_interp=False),
        AsDiscreted("pred", argmax=True),
    ]
    if way == "medvol":
        equal = scores_to_labels(steps)
        assert equal is not None
        steps = [equal.step]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with torch.inference_mode():
        labels = Compose(steps)(data)["pred"]
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    crc = zlib.crc32(labels.as_tensor().to(torch.uint8).contiguous().numpy())
    return {"seconds": seconds, "peak_gib": peak / 2**20, "added_gib": (peak - before) / 2**20,
            "labels": crc}  # fmt: skip


def one(way: str, classes: int, shape: list[int]) -> dict[str, Any] | None:
    """The same in a process of its own; None where that was killed."""
    command = [sys.executable, __file__, "--one", way, "--classes", str(classes), "--shape"]
    done = subprocess.run([*command, *map(str, shape)], capture_output=True, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 4, 25, 104])
    parser.add_argument("--shape", type=int, nargs=3, default=[512, 512, 300])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=["stock", "medvol"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(restore(given.one, given.classes[0], given.shape)))
        return
    for classes in given.classes:
        runs: dict[str, list[dict[str, Any] | None]] = {"stock": [], "medvol": []}
        for _ in range(given.repeats):
            for way, found in runs.items():
                if not found or found[-1] is not None:
                    found.append(one(way, classes, given.shape))
        sums = {run["labels"] for found in runs.values() for run in found if run}
        for way, found in runs.items():
            good = [run for run in found if run]
            said = "killed" if not good else ", ".join(
                f"{statistics.median(run[name] for run in good):.2f} {unit}"
                for name, unit in SAID
            )  # fmt: skip
            print(f"{classes:4} classes  {way:7} {said}", flush=True)
        print(f"{classes:4} classes  labels {'equal' if len(sums) == 1 else 'differ'}", flush=True)


if __name__ == "__main__":
    main()
