# SPDX-License-Identifier: Apache-2.0
"""`medvol data`: turn a data set, or a made one, into a MONAI datalist. One function per source.

Volumes with masks stand here, radiographs with classes in `data_radiographs`.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .data_radiographs import add_radiographs, aligned

if TYPE_CHECKING:
    from ..data.datalist import Datalist


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `data` and its sources to the command line."""
    parser = commands.add_parser("data", help="make a MONAI datalist from a data set or phantoms")
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    for add_source in (_add_radiopaedia, _add_medseg, _add_lgg, _add_phantom):
        add_source(sources)
    add_radiographs(sources)


def _add_radiopaedia(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = sources.add_parser(
        "radiopaedia",
        help="COVID-19 chest CT volumes with lesion and lung masks",
        description="Check the CTs and masks, write merged label maps beside the datalist, print "
        "what they hold and draw overview.png.",
    )
    parser.add_argument("folder", type=Path, help="the data set's folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="datalist to write, .json")
    parser.add_argument("--folds", type=int, default=4, help="cross-validation folds (default 4)")
    parser.set_defaults(run=run_radiopaedia)


def _add_medseg(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = sources.add_parser(
        "medseg",
        help="single COVID-19 chest CT slices with lesion masks, 50 for training, 48 for tests",
        description="Check slices and masks, turn grey into approximate HU, write each slice as a "
        "volume with its label map beside the datalist, print what they hold, draw overview.png.",
    )
    parser.add_argument("folder", type=Path, help="the data set's folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="datalist to write, .json")
    parser.add_argument(
        "--spacing", type=float, default=None, metavar="MM",
        help="pixel size, which the pictures do not know (default: so that each slice has the "
        "size of typical lungs)",
    )  # fmt: skip
    parser.set_defaults(run=run_medseg)


def _add_lgg(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = sources.add_parser(
        "lgg",
        help="brain MR slices of lower-grade glioma with masks",
        description="Check slices and masks, write each examination as volumes beside the "
        "datalist, slices.csv with run-length encoded masks, print what they hold and draw "
        "overview.png.",
    )
    parser.add_argument("folder", type=Path, help="the data set's folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="datalist to write, .json")
    parser.add_argument("--folds", type=int, default=5, help="cross-validation folds (default 5)")
    parser.add_argument(
        "--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"), default=None,
        help="of columns, rows and slices in mm, which pictures do not know (default 0.9 0.9 5)",
    )  # fmt: skip
    parser.set_defaults(run=run_lgg)


def _add_phantom(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = sources.add_parser(
        "phantom",
        help="made chest CTs with known lesions",
        description="Make chest CT phantoms with their label maps and a datalist.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=4, help="how many (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first (default 0)")
    parser.add_argument(
        "--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"), default=(1.6, 1.6, 4.0),
        help="voxel size in mm along right-left, front-back, foot-head (1.6 1.6 4)",
    )  # fmt: skip
    parser.add_argument(
        "--orientation", default="LPS", help="axis codes, such as RAS (default LPS)"
    )
    parser.add_argument("--lesions", type=int, default=None, help="lesions in each; 0 for none")
    parser.set_defaults(run=run_phantom)


def run_radiopaedia(args: argparse.Namespace) -> int:
    """Write datalist, label maps and overview of the Radiopaedia volumes."""
    from ..data.lung_lesions import LABELS, LESION_VALUES
    from ..data.sources.radiopaedia import radiopaedia_datalist
    from ..report.overview import draw_overview

    folder = args.output.parent
    datalist = radiopaedia_datalist(args.folder, folder / "labels", folds=args.folds)
    datalist.write(args.output)
    draw_overview(datalist.parts["training"], LABELS, folder / "overview.png", focus=LESION_VALUES)
    print(facts_table(datalist))
    print(f"datalist {args.output}, label maps {folder / 'labels'}, {folder / 'overview.png'}")
    return 0


def run_medseg(args: argparse.Namespace) -> int:
    """Write datalist, volumes, label maps and overview of the MedSeg slices."""
    from ..data.sources.medseg import TABLE, medseg_datalist
    from ..report.overview import draw_slices

    folder = args.output.parent
    try:
        datalist = medseg_datalist(args.folder, folder, spacing_mm=args.spacing)
    except ValueError as error:
        print(f"medvol data medseg: {error}", file=sys.stderr)
        return 2
    datalist.write(args.output)
    draw_slices(datalist.parts["training"], TABLE, folder / "overview.png")
    print(facts_table(datalist))
    print(f"datalist {args.output}, volumes {folder / 'images'}, {folder / 'overview.png'}")
    return 0


def run_lgg(args: argparse.Namespace) -> int:
    """Write datalist, volumes, label maps, table of slices and overview of the LGG slices."""
    from ..data.sources.lgg import LABELS, lgg_datalist, slice_table, write_rows
    from ..images.slice_images import SLICE_SPACING_MM
    from ..report.overview import draw_slices

    folder = args.output.parent
    try:
        datalist, rows = lgg_datalist(
            args.folder, folder, folds=args.folds, spacing=args.spacing or SLICE_SPACING_MM
        )
    except ValueError as error:
        print(f"medvol data lgg: {error}", file=sys.stderr)
        return 2
    write_rows(folder / "slices.csv", rows)
    datalist.write(args.output)
    draw_slices(datalist.parts["training"], LABELS, folder / "overview.png", modality="MR")
    print(slice_table(datalist))
    print(f"datalist {args.output}, volumes {folder / 'volumes'}, {folder / 'slices.csv'}, "
          f"{folder / 'overview.png'}")  # fmt: skip
    return 0


def run_phantom(args: argparse.Namespace) -> int:
    """Write phantoms, their label maps and a datalist."""
    from ..data.phantoms.datalist import phantom_datalist

    try:
        datalist = phantom_datalist(
            args.output, count=args.count, seed=args.seed, lesions=args.lesions,
            spacing_mm=tuple(args.spacing), orientation=args.orientation,
        )  # fmt: skip
    except ValueError as error:
        print(f"medvol data phantom: {error}", file=sys.stderr)
        return 2
    datalist.write(args.output / "datalist.json")
    print(facts_table(datalist))
    print(f"datalist {args.output / 'datalist.json'}")
    return 0


def facts_table(datalist: "Datalist") -> str:
    """The facts of a datalist as text: a line a case, then all together.

    Args:
        datalist: as made by `data.cases.build_datalist`.
    """
    from ..data.cases import CaseFacts, pooled_hu

    facts = {case: CaseFacts(**given) for case, given in datalist.about["facts"].items()}
    names = list(next(iter(facts.values())).voxels)
    head = ["case", "fold", "shape", "spacing mm", "axes", "HU mean", "HU std"]
    rows = [[*head, *(f"{name}: voxels (ml)" for name in names)]]
    for item in datalist.parts["training"]:
        own = facts[item["case"]]
        rows.append(
            [
                item["case"],
                str(item["fold"]),
                "x".join(map(str, own.shape)),
                "x".join(f"{mm:.4g}" for mm in own.spacing_mm),
                own.orientation,
                f"{own.hu_mean:.2f}",
                f"{own.hu_std:.2f}",
                *(f"{own.voxels[name]} ({own.ml[name]:.1f})" for name in names),
            ]
        )
    mean, std = pooled_hu(facts.values())
    voxels = [sum(own.voxels[name] for own in facts.values()) for name in names]
    ml = [sum(own.ml[name] for own in facts.values()) for name in names]
    total = [f"{n} ({v:.1f})" for n, v in zip(voxels, ml, strict=True)]
    rows.append(["all", "", "", "", "", f"{mean:.2f}", f"{std:.2f}", *total])
    return aligned(rows)
