# SPDX-License-Identifier: Apache-2.0
"""How near the estimate of memory comes to the truth, of each bundle and size.

Each case runs in a process of its own, on a body of three values: `estimate` is what
`engine.memory` says before, `truth` the largest resident memory of the process after, both with all
that Python, torch and the weights hold. The goal is a ratio of 0.75 to 1.25.

    python scripts/bench_memory.py [CASE ...]

A case is BUNDLE:XxYxZ[:SPACING], such as covid_ct_lesion_3d:512x512x160:0.84x0.84x2.25. BUNDLE is a
name, a folder, or "reference-C" of C classes, see `bench.reference`. Without any: the shipped
bundles for CT, and the reference with 2 to 25 classes, of 160 and 300 slices.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

FOLDER = Path("bench")
SIZES = ("512x512x160:0.84375x0.84375x2.25", "512x512x300:0.84375x0.84375x1.2")
CASES = (
    *(f"{bundle}:{size}" for bundle in ("covid_ct_lesion_3d", "covid_ct_lesion_25d",
                                        "covid_ct_slice_classifier") for size in SIZES),
    *(f"reference-{classes}-random:{size}" for classes in (2, 4, 25) for size in SIZES),
)  # fmt: skip


def main(cases: list[str]) -> None:
    """Print a line for each case, and the largest deviation."""
    print(f"{'case':60} {'estimate':>9} {'truth':>9} ratio  (GiB)")
    worst = 1.0
    for case in cases or CASES:
        ended = subprocess.run(
            [sys.executable, __file__, "--one", case], capture_output=True, text=True, check=False
        )
        if ended.returncode:
            print(f"{case:60} failed: {ended.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        found = json.loads(ended.stdout.splitlines()[-1])
        estimate, truth = found["estimate"] / 2**30, found["truth"] / 2**30
        ratio = estimate / truth
        worst = max(worst, ratio, 1 / ratio, key=lambda r: abs(r - 1))
        print(f"{case:60} {estimate:9.2f} {truth:9.2f} {ratio:5.2f}", found["remarks"], flush=True)
    print(f"farthest off: {worst:.2f}")


def one(case: str) -> dict[str, object]:
    """Estimate and truth of one case, in this process."""
    from medvol.engine import memory
    from medvol.images.image import Image
    from medvol.tasks.task import load_bundle

    name, size, *more = case.split(":")
    shape = tuple(int(n) for n in size.split("x"))
    spacing = [float(n) for n in more[0].split("x")] if more else [1.0, 1.0, 1.0]
    if name.startswith("reference-"):
        from bench.reference import reference

        name = str(reference(FOLDER, name))
    bundle = load_bundle(name, device="cpu", trust=True)
    estimates: list[int] = []
    pipeline = bundle.pipeline
    image = Image(_body(shape), np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]),
                  Path("volume.nii.gz"))  # fmt: skip
    needed_bytes = memory.needed_bytes

    def watched(work: memory.Work, held: int) -> int:
        estimates.append(needed_bytes(work, held))
        print(work, f"held {held / 2**30:.2f}", file=sys.stderr)
        return estimates[-1]

    memory.needed_bytes = watched
    run = pipeline.run(image).run
    return {"estimate": estimates[-1], "truth": memory.peak_bytes(), "remarks": run.remarks}


def _body(shape: tuple[int, ...]) -> np.ndarray:
    """(X, Y, Z) of a body with two lungs."""
    made = np.full(shape, -1000, np.int16)
    inner = tuple(slice(n // 8, n - n // 8) for n in shape[:2])
    made[inner] = 40
    for low, high in ((0.2, 0.45), (0.55, 0.8)):
        lung = slice(int(shape[0] * low), int(shape[0] * high))
        made[lung, shape[1] // 4 : shape[1] * 3 // 4, shape[2] // 8 : shape[2] * 7 // 8] = -850
    return made


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2])))
    else:
        main(sys.argv[1:])
