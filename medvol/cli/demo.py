# SPDX-License-Identifier: Apache-2.0
"""`medvol demo`: a made-up chest CT with known lesions, through the shipped bundle, offline."""

import argparse
from pathlib import Path
from typing import Any

from ..text import NOTICE

BUNDLE = "covid_ct_lesion_3d"
SEED = 2  # a phantom with plenty of ground-glass and of consolidation


def add_parser(commands: Any) -> None:
    """Add `demo` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="make a chest CT with known lesions, segment it, and compare",
        description="Make a chest CT phantom with known lesions, run the shipped lesion bundle on "
        "it, and compare what was found with what is there. Needs no network.",
    )
    parser.add_argument(
        "output", nargs="?", type=Path, default=Path("demo_output"), help="default: demo_output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make, predict, save, compare."""
    import torch

    from ..data.phantoms.chest import chest_ct_phantom
    from ..images.writing import write_mask, write_volume
    from ..metrics.masks.overlap import dice, overlap_counts
    from ..outputs.save import save
    from ..owned import filling
    from ..spatial import voxel_volume_ml
    from ..tasks.task import load_bundle

    ct, truth = args.output / "phantom_ct.nii.gz", args.output / "phantom_truth.nii.gz"
    print(f"Making a chest CT with known lesions: {ct}")
    phantom = chest_ct_phantom(seed=SEED)
    with filling(args.output, data=True) as scratch:
        write_volume(scratch / ct.name, phantom.ct, phantom.affine)
        write_mask(scratch / truth.name, phantom.labels, phantom.affine)

    print(f"Running {BUNDLE} on it ...")
    answer = load_bundle(BUNDLE).predict(ct)
    paths = save(answer, args.output / answer.case)

    true, found = torch.from_numpy(phantom.labels), torch.from_numpy(answer.mask)
    ml = voxel_volume_ml(phantom.affine)
    print(f"\n{'':24}{'true':>12}{'measured':>12}{'Dice':>8}")
    regions = {"lesion": answer.spec.focus, **{x.name: (x.value,) for x in answer.spec.labels}}
    for name, values in regions.items():
        counts = overlap_counts(found, true, values)
        print(
            f"{name:24}{float(counts[2]) * ml:>9.1f} ml{float(counts[1]) * ml:>9.1f} ml"
            f"{float(dice(counts)):>8.2f}"
        )
    print(f"\nReport:  {paths['html'].resolve()}  (open it in a browser)")
    print(f"Scene:   {paths['scene'].resolve()}  (drag it into 3D Slicer)")
    print("The same on your own CT:  medvol predict YOUR_CT --bundle "
          f"{BUNDLE} --output results")  # fmt: skip
    print(NOTICE)
    return 0
