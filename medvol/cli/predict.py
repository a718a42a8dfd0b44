# SPDX-License-Identifier: Apache-2.0
"""`medvol predict`: run a bundle on images, and write what was found."""

import argparse
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, printable
from ..files import check_writable, sweep
from ..outputs.archived import Storing, formats_to_store
from ..outputs.registry import GROUPS, OUTPUTS, expanded
from ..progress import Bars
from .again import add_again, compared, take_over
from .answering import add_answering, asked_of
from .archives import add_store, after, fetched, image, plainly, shown
from .case_lines import CaseLines
from .options import (
    add_device,
    add_dicom,
    add_engine,
    add_output,
    add_series,
    add_time_limit,
    add_trust,
    engine_of,
)
from .trust import LATER, introduce

if TYPE_CHECKING:
    from ..bundle.spec import Spec
    from ..dicomweb.at_hand import AtHand
    from ..tasks.task import Task


def add_parser(commands: Any) -> None:
    """Add `predict` to the command line."""
    parser = commands.add_parser(
        "predict",
        help="run a bundle on images",
        description="Run a bundle on images and write what it finds: of volumes a folder of masks, "
        "measurements and a report for each; of radiographs, as of several volumes, a table and a "
        "page of all.",
    )
    parser.add_argument(
        "images", nargs="+", type=image, metavar="IMAGE",
        help="image file, folder of DICOM slices (or .zip of one), or folder of several images; "
        "for MR a slice picture, a patient's folder of them or of sequences, or folder of such; "
        "for radiographs a picture, a DICOM file, or a folder, searched with all that is in it; "
        "of an archive dicomweb+https://HOST/dicom-web/studies/UID, perhaps with /series/UID",
    )  # fmt: skip
    add_again(parser)
    add_trust(parser)
    add_output(parser, "for the results (default results/BUNDLE)", required=False)
    add_device(parser)
    add_engine(parser)
    add_time_limit(parser, "work on an image")
    parser.add_argument(
        "--format", nargs="+", metavar="FORMAT", choices=[*OUTPUTS, *GROUPS],
        help=f"write only these: {' '.join(OUTPUTS)} (default: of volumes all that the answer has, "
        "but rle and DICOM; of radiographs cases index); dicom stands for all DICOM that it has",
    )  # fmt: skip
    add_store(parser)
    add_dicom(parser)
    words = "a page for each image, as also --attention asks for"
    parser.add_argument("--report", action="store_true", help=words)
    parser.add_argument(
        "--overwrite", action="store_true",
        help="compute what is complete again; what medvol did not write is never touched",
    )  # fmt: skip
    parser.add_argument(
        "--explain", action="store_true",
        help="say first what runs the network and why, and what took the place of which part",
    )  # fmt: skip
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but what was refused, and no progress"
    )
    parser.add_argument(
        "--json", action="store_true",
        help="print one object instead: paths, answers, measurements, notes, refusals",
    )  # fmt: skip
    volumes, radiographs = add_answering(parser)
    add_series(volumes, every=True)
    radiographs.add_argument(
        "--batch-size", type=int, metavar="IMAGES",
        help="that go through the network together (default: 16)",
    )  # fmt: skip
    parser.set_defaults(run=run, alone=False, **{LATER: True})


def run(args: argparse.Namespace) -> int:
    """Predict every image; one refused image does not stop the others.

    Raises:
        ValueError: an option that makes no sense.
    """
    from ..dicomweb.at_hand import AtHand

    with AtHand() as hand:
        return _run(args, hand)


def _run(args: argparse.Namespace, hand: "AtHand") -> int:
    """The same, with what was fetched of an archive at hand."""
    from ..bundle.spec import read_spec
    from ..engine import child
    from ..engine.confined import confined
    from ..engine.limits import usual_limits
    from ..outputs.results import Results
    from ..outputs.room import is_full, reserved
    from ..tasks.ahead import AT_WORK
    from ..tasks.cases import find_cases, remarks_on
    from ..tasks.predicting import Explain, Job, start
    from ..tasks.spent import age_s
    from ..tasks.task import check_options, task_of

    if args.batch_size is not None and args.batch_size < 1:
        raise ValueError(f"batch_size is {args.batch_size}; give 1 or more")
    before = take_over(args)
    engine = engine_of(args)
    if before is not None:
        engine = engine.over(before.get("engine", {}).get("asked", {}))
    spec = read_spec(args.bundle)
    args.output = args.output or Path("results") / spec.name
    task = task_of(spec)
    check_options(task, vars(args))
    formats = _formats(spec, task, args)
    _ = spec.weights_sha256  # missing weights too are said before torch is loaded
    stored: dict[str, int] = {}
    storing = None if args.store is None else Storing(args.store, args.output)
    images, refused = fetched(args.images, hand, task, spec, args)
    cases = find_cases(task, images, series=args.series, all_series=args.all_series) + refused
    if before is not None and len(cases) > 1:
        raise ValueError(
            f"--again repeats the run of one image, not of {len(cases)}; give it alone"
        )
    results = Results(args.output, spec, formats, asked_of(args), args.device, args.overwrite,
                      several=len(cases) > 1, engine=engine)  # fmt: skip
    check_writable(args.output)
    results.check_place(images, {case.name: case.path for case in cases})
    introduce(spec.folder, trust=args.trust, quiet=args.quiet)  # what is wrong else is said before
    for remark in () if args.quiet else remarks_on(images, cases):
        print(f"medvol: {hand.plain(remark)}", file=sys.stderr)
    job = Job(results, args.batch_size, images=len(cases))
    in_batch = task.batch_size and (args.batch_size or task.batch_size)
    bars = Bars(len(cases), unit="image" if in_batch else "case", stages=not in_batch,
                shown=sys.stderr.isatty() and not args.quiet)  # fmt: skip
    known = [shown(case, hand) for case in cases]
    said = CaseLines(results, known, bars, quiet=args.quiet, as_object=args.json)
    work = f"{start.__module__}:{start.__name__}"
    together = 2 * in_batch if in_batch else AT_WORK
    heard = bars if bars.shown else None
    tables_of_all = [output.name for output in results.together]
    read = [*map(str, images), *(case.path for case in cases)]
    folders = [] if results.alone == [] else [case.name for case in cases]
    with (
        reserved(results.folder, tables_of_all, len(cases)) as release,
        confined(spec.folder, read=read, top=results.folder, names=folders) as confinement,
        child.Child(
            work, replace(job, before_s=age_s() if args.alone else None),
            limits=usual_limits(args.time_limit, confined=confinement is not None),
            together=together, heard=heard, confinement=confinement,
        ) as process,
    ):  # fmt: skip
        said.confined(process.applied)
        try:
            first = [Explain(str(spec.folder))] if args.explain else []
            outcomes = process.each([*first, *cases], name=lambda case: case.path)
            for _ in first:
                said.explain(next(outcomes))
            for case in known:
                said.begin(case)
                found = plainly(next(outcomes), hand)
                if storing is not None:
                    found = after(storing, case.name, found, stored)
                said.end(case, found)
                said.keep()
                if said.lacks_room() and is_full(results.folder):
                    said.stop()
                    break
        finally:  # one that was killed may have been ahead of the case that was waited for
            bars.close()
            process.close()
            for case, number in product(cases, process.ended):
                sweep(results.folder / case.name, number, results.folder)
            release()
            everything = said.all()
            tables = results.save_together(everything)  # also of what is done when it is stopped
    again: list[str] = []
    if before is not None and not said.refused:
        again = list(compared(before, results.folder / cases[0].name))
    for line in () if said.quiet else again:
        print(printable(f"{cases[0].name}: {line}"))
    said.summary(everything, tables)
    if args.json:
        print(said.as_json(everything, tables, again=again, stored=stored))
    return 2 if said.refused else 0


def _formats(spec: "Spec", task: "Task", args: argparse.Namespace) -> list[str] | None:
    """The files to write; None for all that an answer has.

    Raises:
        InputError: E_BUNDLE, one needs what this task does not give.
    """
    asked = args.format or task.formats
    possible = [name for name, output in OUTPUTS.items() if not output.lacks(task.gives)]
    if args.store is not None:
        asked = formats_to_store(asked, possible, spec.task)
    if asked is None:
        return None
    asked = expanded(asked, possible)
    for name in asked:
        if name not in possible:
            lacking = OUTPUTS[name].lacks(task.gives)
            raise InputError(
                "E_BUNDLE", spec.folder,
                f"its answers have no {lacking}, so there is no {name}.",
                f"Leave out --format, or give some of {', '.join(possible)}.",
            )  # fmt: skip
    report = [*task.report] if args.report or args.attention else []
    return list(dict.fromkeys([*asked, *report]))
