#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the HU of a bundle's organ lie in training CTs: `organ_levels_hu` of its metadata.

The bundle itself says where the organ is, as it does when it is used:

    python scripts/organ_levels.py TRAINING_CTS --bundle covid_ct_lesion_3d

prints a line a case, and at the end the ranges, which belong into the bundle's source.
"""

import argparse
import json
from pathlib import Path

from medvol.answer import Refusal
from medvol.metrics.levels import MARGIN_HU, level_ranges, organ_percentiles
from medvol.tasks.cases import find_cases
from medvol.tasks.task import load_bundle, task_of

PERCENTILES = (10.0, 50.0)  # the air of healthy parts, and the middle of the organ


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cts", nargs="+", type=Path, help="CTs, or folders of them")
    parser.add_argument("--bundle", required=True, help="with a reference organ")
    parser.add_argument("--margin", type=float, default=MARGIN_HU, help="in HU, on both sides")
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    organ = bundle.spec.reference
    if organ is None:
        parser.error(f"{bundle.spec.name} has no reference organ")
    levels = []
    for answer in bundle.predict_many(find_cases(task_of(bundle.spec), args.cts)):
        if isinstance(answer, Refusal) or answer.mask is None:
            print(answer.case, "left out")
            continue
        found = organ_percentiles(answer.mask, answer.image.array, organ.values, PERCENTILES)
        print(answer.case, *(f"{p:g} % {hu:.0f} HU" for p, hu in found.items()), flush=True)
        levels += [found] if found else []
    ranges = level_ranges(levels, margin_hu=args.margin)
    print(json.dumps({"organ_levels_hu": {f"{p:g}": limits for p, limits in ranges.items()}}))


if __name__ == "__main__":
    main()
