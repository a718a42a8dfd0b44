#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the notes N_SHIFT and N_UNDECIDED of a bundle rest on, measured on CTs.

    python scripts/doubts.py CTS --bundle covid_ct_lesion_3d

prints a line a case: percentiles of the HU of the reference organ, as the bundle finds it, and how
many of the marked voxels have an undecided score. Over the training data, the ranges at the end
belong into the bundle's source as `organ_levels_hu`.
"""

import argparse
import json
from pathlib import Path

from medvol.answer import Refusal
from medvol.metrics.levels import MARGIN_HU, level_ranges, organ_percentiles
from medvol.tasks.cases import find_cases
from medvol.tasks.task import load_bundle, task_of
from medvol.transforms.undecided import NoteUndecidedd

PERCENTILES = (10.0, 50.0)  # the air of healthy parts, and the middle of the organ


def main() -> None:
    """Predict each case, and print what was seen in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cts", nargs="+", type=Path, help="CTs, or folders of them")
    parser.add_argument("--bundle", required=True, help="with a reference organ")
    parser.add_argument("--margin", type=float, default=MARGIN_HU, help="in HU, on both sides")
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    organ = bundle.spec.reference
    if organ is None:
        parser.error(f"{bundle.spec.name} has no reference organ")
    for step in bundle.pipeline.restore.transforms:
        if isinstance(step, NoteUndecidedd):
            step.limit = 0.0  # so that the share is always said
    levels = []
    for answer in bundle.predict_many(find_cases(task_of(bundle.spec), args.cts)):
        if isinstance(answer, Refusal) or answer.mask is None:
            print(answer.case, "left out")
            continue
        found = organ_percentiles(answer.mask, answer.image.array, organ.values, PERCENTILES)
        seen = [f"{p:g} % below {hu:.0f} HU;" for p, hu in found.items()]
        unsure = [note for note in answer.notes if note.code == "N_UNDECIDED"]
        print(answer.case, *seen, *unsure, flush=True)
        levels += [found] if found else []
    if levels:
        ranges = level_ranges(levels, margin_hu=args.margin)
        print(json.dumps({"organ_levels_hu": {f"{p:g}": limits for p, limits in ranges.items()}}))


if __name__ == "__main__":
    main()
