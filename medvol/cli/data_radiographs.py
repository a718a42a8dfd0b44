# SPDX-License-Identifier: Apache-2.0
"""`medvol data kermany`, `covid-xray` and `folder`: radiographs with classes and without leaks.

Exit status: 0 done, 1 a patient or a picture would stand in two parts, 2 refused.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.class_set import ClassSet, Divide

HANDLING = ("stay", "copy", "link")


def add_radiographs(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sources of radiographs to `medvol data`."""
    for add_source in (_add_kermany, _add_covid_xray, _add_folder):
        add_source(sources)


def _add_kermany(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = sources.add_parser(
        "kermany",
        help="chest radiographs of children: normal, bacterial, viral pneumonia",
        description="Take patient and class from the file names, divide by patient, print counts, "
        "draw samples.png.",
    )
    parser.add_argument("data", type=Path, nargs="+", help="folder chest_xray, or .zip archives")
    parser.add_argument(
        "--classes", type=int, choices=(2, 3), default=2,
        help="2: normal, pneumonia; 3: normal, bacteria, virus (default 2)",
    )  # fmt: skip
    parser.add_argument(
        "--protocol", choices=("official", "own-split"), default="official",
        help="official: the published test pictures are the test part; own-split: a fifth of all "
        "patients is (default official)",
    )  # fmt: skip
    parser.add_argument(
        "--validation", type=float, default=0.1, metavar="SHARE",
        help="of what is not test, for choosing the epoch (default 0.1)",
    )  # fmt: skip
    _add_common(parser, handling="stay")
    parser.set_defaults(run=run_kermany)


def _add_covid_xray(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = sources.add_parser(
        "covid-xray",
        help="radiographs with or without COVID-19, told by a metadata.csv",
        description="Sort the radiographs of the table into folders train, validation and test "
        "(70/15/15) by patient, set CT images aside, print counts, draw samples.png.",
    )
    parser.add_argument("metadata", type=Path, help="CSV: finding, view, modality, filename, ...")
    parser.add_argument("images", type=Path, nargs="+", help="folder of pictures, or .zip archives")
    parser.add_argument(
        "--second", type=Path, nargs="+", metavar="SOURCE",
        help="folder or .zip archives with further pictures, all without COVID-19",
    )  # fmt: skip
    parser.add_argument(
        "--as-published", action="store_true",
        help="315 images (153/79/83) with children's radiographs of --second as the only "
        "negatives, for comparison with the published detector",
    )  # fmt: skip
    parser.add_argument(
        "--all-views", action="store_true", help="also lateral views and those of unknown view"
    )
    _add_common(parser, handling="copy")
    parser.set_defaults(run=run_covid_xray)


def _add_folder(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = sources.add_parser(
        "folder",
        help="any pictures in a folder per class",
        description="List ROOT/<class>/ or ROOT/<train|val|test>/<class>/, divide by patient what "
        "is not divided, print counts, draw samples.png.",
    )
    parser.add_argument("root", type=Path, help="the folder that holds the others")
    parser.add_argument(
        "--patient-pattern", metavar="REGEX",
        help="what of a file name is the patient: its first group (default: each file its own)",
    )  # fmt: skip
    parser.add_argument(
        "--classes", nargs="+", metavar="NAME", help="order of the labels (default: by name)"
    )
    parser.add_argument("--validation", type=float, default=0.15, metavar="SHARE",
                        help="where the folders have none (default 0.15)")  # fmt: skip
    parser.add_argument("--test", type=float, default=0.15, metavar="SHARE",
                        help="where the folders have no parts (default 0.15)")  # fmt: skip
    _add_common(parser, handling="stay")
    parser.set_defaults(run=run_folder)


def _add_common(parser: argparse.ArgumentParser, *, handling: str) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, help="datalist to write, .json")
    parser.add_argument("--seed", type=int, default=0, help="another division (default 0)")
    parser.add_argument(
        "--files", choices=HANDLING, default=handling,
        help="pictures stay where they are, or go as copies or links into folders beside the "
        f"datalist, as those of archives always do (default {handling})",
    )  # fmt: skip


def run_kermany(args: argparse.Namespace) -> int:
    """Write datalist and samples of the children's radiographs."""
    from ..data.class_set import by_shares
    from ..data.picture_files import find_pictures
    from ..data.sources.kermany import kermany_set

    test = 0.2 if args.protocol == "own-split" else 0.0
    validation = (1 - test) * args.validation
    shares = {"training": 1 - test - validation, "validation": validation, "test": test}

    def read(scratch: Path) -> "ClassSet":
        files = find_pictures(args.data, scratch)
        return kermany_set(files, classes=args.classes, protocol=args.protocol)

    return _write(args, read, by_shares(shares, seed=args.seed))


def run_covid_xray(args: argparse.Namespace) -> int:
    """Write folders, datalist and samples of the radiographs that a table describes."""
    from ..data.class_set import by_shares
    from ..data.picture_files import find_pictures
    from ..data.sources.covid_published import as_published, by_sizes
    from ..data.sources.covid_xray import covid_set

    def read(scratch: Path) -> "ClassSet":
        files = find_pictures(args.images, scratch)
        second = find_pictures(args.second, scratch) if args.second else None
        made = covid_set(args.metadata, files, second=second, all_views=args.all_views)
        return as_published(made) if args.as_published else made

    shares = {"training": 0.7, "validation": 0.15, "test": 0.15}
    divide = by_sizes(seed=args.seed) if args.as_published else by_shares(shares, seed=args.seed)
    return _write(args, read, divide)


def run_folder(args: argparse.Namespace) -> int:
    """Write datalist and samples of pictures in a folder per class."""
    from ..data.class_folders import folder_set, has_parts
    from ..data.class_set import by_shares

    try:
        made = folder_set(args.root, patient_pattern=args.patient_pattern, names=args.classes)
    except ValueError as error:
        return _refuse(args, error)
    test = 0.0 if has_parts(made) else args.test
    shares = {"training": 1 - args.validation - test, "validation": args.validation, "test": test}
    return _write(args, lambda _: made, by_shares(shares, seed=args.seed))


def _write(args: argparse.Namespace, read: "Callable[[Path], ClassSet]", divide: "Divide") -> int:
    """Make the datalist, check it, and move all files into place at the end."""
    from ..data.class_set import class_datalist
    from ..data.fingerprint import fingerprints
    from ..data.leaks import LeakError
    from ..data.picture_files import check_replaced, lay_out, names_of_members
    from ..data.pictures import count_rows
    from ..files import filling
    from ..report.class_samples import draw_samples

    folder = args.output.parent
    try:
        with filling(folder) as made_here, names_of_members(made_here.absolute()) as scratch:
            made = read(scratch)
            paths = [picture.path for picture in made.pictures]
            datalist = class_datalist(made, fingerprints(paths), divide)
            draw_samples(datalist.content, scratch / "samples.png")
            datalist = lay_out(datalist, scratch, handling=args.files, aside=made.aside)
            check_replaced(args.output, scratch, paths)
            datalist.write(scratch / args.output.name, folder=folder)
    except LeakError as error:
        print(f"medvol data {args.source}: nothing written; {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        return _refuse(args, error)
    print(aligned(count_rows(datalist)))
    for note in datalist.about["notes"]:
        print(note)
    print(f"datalist {args.output}, {folder / 'samples.png'}")
    return 0


def _refuse(args: argparse.Namespace, error: ValueError) -> int:
    print(f"medvol data {args.source}: {error}", file=sys.stderr)
    return 2


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as lines with columns below each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join(lines)
