# SPDX-License-Identifier: Apache-2.0
"""`medvol evaluate`: a bundle beside the truth of a datalist, as figures, and as a page."""

import argparse
import json
import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import (
    add_bundle,
    add_data,
    add_device,
    add_engine,
    add_fold,
    add_map,
    add_output,
    add_time_limit,
    engine_of,
    mapped,
)

if TYPE_CHECKING:
    from ..tasks.comparison import Comparison


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `evaluate` to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a bundle on cases with truth",
        description="Run a bundle on the cases of a datalist, or take masks that are there. "
        "Compare its masks or classes with the truth, and write figures with their intervals; with "
        "--report also a page with the worst cases first and pictures of the errors.",
    )
    add_bundle(parser)
    add_data(parser)
    add_output(parser, "for metrics.csv, metrics.json and, a folder a case, the masks")
    parser.add_argument(
        "--report", action="store_true",
        help="also report.html with pictures, and errors as segments for 3D Slicer",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=int, help="only the first so many cases; of classes, of each class"
    )
    add_map(parser, "a label or class")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="instead of models/model.pt")
    add_device(parser)
    add_engine(parser)
    add_time_limit(parser, "work on a case")
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER",
        help="an earlier evaluation of the same cases: also gains.json and gains.csv, what this "
        "one has more",
    )  # fmt: skip
    masks = parser.add_argument_group("truth as label maps")
    add_fold(masks)
    masks.add_argument(
        "--predictions", type=Path, metavar="FOLDER",
        help="compare the masks of this folder; no network runs",
    )  # fmt: skip
    masks.add_argument(
        "--tolerance", dest="tolerance_mm", type=float, metavar="MM",
        help="of surface Dice (default 3)",
    )  # fmt: skip
    masks.add_argument(
        "--smallest-lesion", dest="smallest_lesion_ml", type=float, metavar="ML",
        help="smaller ones are not counted as lesions (default 0.1)",
    )  # fmt: skip
    classes = parser.add_argument_group("truth as classes of radiographs")
    classes.add_argument("--part", choices=["training", "validation", "test"], help="default: test")
    classes.add_argument(
        "--calibrate", action="store_true",
        help="choose temperature and threshold on the validation part",
    )  # fmt: skip
    classes.add_argument(
        "--no-confounding", dest="confounding", action="store_false",
        help="do not test what predicts the class beside the lungs, which reads the training part",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true",
        help="print one object instead: where the files are, all figures, what was refused",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure every case; one that cannot be used does not stop the others."""
    from ..bundle.spec import read_spec
    from ..tasks.against import check_earlier, write_gains
    from ..tasks.comparison import comparison_of

    if args.against is not None:
        check_earlier(args.against, args.output)
    spec = read_spec(args.bundle, weights=args.weights)
    with redirect_stdout(sys.stderr) if args.json else nullcontext():
        comparison = comparison_of(spec, _order(args))
        evaluation = comparison.run()
        if evaluation is not None:
            comparison.write(evaluation)
            if args.against is not None:
                print(*write_gains(args.against, args.output), sep="\n")
    if args.json:
        print(json.dumps(_object(comparison), indent=2))
    return 2 if comparison.refused else 0


def _object(comparison: "Comparison[Any]") -> dict[str, Any]:
    """Everything that a program needs to go on: folder, files, and the content of metrics.json.

    `refused` names the cases that could not be measured; where none could, it is all there is.
    """
    from ..owned import MANIFEST, read_record
    from ..tasks.comparison import RECORD

    folder = comparison.order.output
    refused = [{"case": case, **error.as_json()} for case, error in comparison.refused]
    path = folder / RECORD
    if not path.is_file():
        return {"output": str(folder), "refused": refused}
    figures = json.loads(path.read_text(encoding="utf-8"))
    names = sorted(read_record(folder / MANIFEST).get("files", ()))
    files = {name: str(folder / name) for name in names}
    return {"output": str(folder), "files": files, **figures, "refused": refused}


def _order(args: argparse.Namespace) -> Any:
    """What is asked for.

    Raises:
        ValueError: options that contradict each other, or --map without =.
    """
    from ..tasks.comparison import Order

    if args.predictions is not None and args.weights is not None:
        raise ValueError("--predictions takes masks that are there; leave out --weights")
    own: dict[str, Any] = {"names": mapped(args.names), "engine": engine_of(args)}
    given = {x.name: getattr(args, x.name) for x in fields(Order) if x.name not in own}
    return Order(**given, **own)
