# SPDX-License-Identifier: Apache-2.0
"""`medvol measure`: a mask that was corrected by hand, measured as a prediction is."""

import argparse
import json
import sys
from pathlib import Path

from ..errors import printable
from ..outputs.registry import GROUPS, OUTPUTS, expanded
from ..owned import RUN, read_record
from ..text import NOTICE
from .options import DICOM_OPTIONS, add_dicom, add_map, add_output, add_series, mapped


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `measure` to the command line."""
    parser = commands.add_parser(
        "measure",
        help="measure a mask that was drawn or corrected by hand",
        description="Measure a mask by hand as a prediction of a bundle is measured: figures, "
        "report and scene, and with --prediction the difference. No network runs.",
    )
    parser.add_argument("image", type=Path, help="as for medvol predict")
    parser.add_argument(
        "mask", type=Path,
        help=".seg.nrrd of 3D Slicer, also cropped, with segments named as the bundle's labels; or "
        "a label map with the bundle's values, such as .nii.gz",
    )  # fmt: skip
    parser.add_argument("--bundle", required=True, help="whose labels they are: name or folder")
    add_output(parser)
    parser.add_argument(
        "--prediction", type=Path, metavar="FOLDER",
        help="what medvol predict wrote for this image, or a mask: what differs is measured too",
    )  # fmt: skip
    add_map(parser, "a segment")
    parser.add_argument(
        "--format", nargs="+", metavar="FORMAT", choices=[*OUTPUTS, *GROUPS],
        help=f"write only these: {' '.join(OUTPUTS)} (default: all that there is but DICOM); dicom "
        "stands for all DICOM",
    )  # fmt: skip
    add_dicom(parser)
    add_series(parser)
    parser.add_argument(
        "--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="of slice pictures, columns, rows and slices in mm, since they know none",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="print one object instead: paths and what run.json says"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read image and mask, and write what the mask says."""
    from ..bundle.spec import read_spec
    from ..files import check_writable
    from ..outputs.dicom.check import check_source
    from ..outputs.record import brief
    from ..outputs.results import check_apart
    from ..outputs.save import save
    from ..tasks.cases import Reading
    from ..tasks.measuring import Order, measured
    from ..tasks.predicting import line

    formats = expanded(args.format or [], OUTPUTS)
    names = mapped(args.names)
    reading = Reading(
        args.series, args.spacing, check=lambda _, image: check_source(image, formats)
    )
    order = Order(args.image, args.mask, args.prediction, names, reading)
    check_writable(args.output)
    answer = measured(read_spec(args.bundle), order)
    inputs = [path for path in (args.image, args.mask, args.prediction) if path is not None]
    check_apart(args.output, [answer.case], inputs)
    folder = args.output / answer.case
    asked = {name: True for name in DICOM_OPTIONS if getattr(args, name)}
    written = save(answer, folder, formats=args.format, asked=asked)
    if args.json:
        files = {name: str(path) for name, path in written.items()}
        said = {"notice": NOTICE, "folder": str(folder), **brief(read_record(folder / RUN))}
        print(json.dumps({**said, "files": files}, indent=2))
        return 0
    for remark in answer.run.remarks:
        print(printable(f"medvol: {answer.case}: {remark}"), file=sys.stderr)
    print(printable(f"{line(answer)} -> {folder}"))
    return 0
