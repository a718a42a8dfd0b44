# SPDX-License-Identifier: Apache-2.0
"""`medvol predict`: run a bundle on images, and write what was found."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..outputs.registry import OUTPUTS
from .options import add_device, add_output

if TYPE_CHECKING:
    from ..answer import Answer, Refusal
    from ..bundle.spec import Spec
    from ..outputs.results import Results
    from ..tasks.cases import Case
    from ..tasks.task import Task

# words that mean something for some tasks only: each task names its own
OPTIONS = ("gate", "series", "spacing", "attention", "batch_size")
FEW = 20  # images that get a line each; more get one only where they get files of their own


def add_parser(commands: Any) -> None:
    """Add `predict` to the command line."""
    parser = commands.add_parser(
        "predict",
        help="run a bundle on images",
        description="Run a bundle on images and write what it finds: of volumes a folder of masks, "
        "measurements and a report for each, of radiographs a table of classes.",
    )
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE",
        help="image file, folder of DICOM slices (or .zip of one), or folder of several images; "
        "for MR a slice picture, a patient's folder of them or of sequences, or folder of such; "
        "for radiographs a picture, a DICOM file, or a folder, searched with all that is in it",
    )  # fmt: skip
    parser.add_argument("--bundle", required=True, help="name of a bundle, or its folder")
    add_output(parser)
    add_device(parser)
    parser.add_argument("--strict", action="store_true", help="refuse what is used with a note")
    parser.add_argument(
        "--format", nargs="+", metavar="FORMAT", choices=OUTPUTS,
        help=f"write only these: {' '.join(OUTPUTS)} (default: of volumes all that the answer has, "
        "but rle; of radiographs predictions)",
    )  # fmt: skip
    parser.add_argument("--report", action="store_true", help="a page for each image")
    parser.add_argument(
        "--overwrite", action="store_true",
        help="compute what is complete again; what medvol did not write is never touched",
    )  # fmt: skip
    volumes = parser.add_argument_group("for bundles that take volumes")
    volumes.add_argument(
        "--gate", metavar="THRESHOLD", type=_threshold,
        help="probability from which a slice is segmented, 0 to 1, or off; for bundles with a gate "
        "(default: what the bundle says)",
    )  # fmt: skip
    volumes.add_argument("--series", metavar="UID", help="DICOM series, where a folder has several")
    volumes.add_argument(
        "--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="of slice pictures, columns, rows and slices in mm, since they know none",
    )  # fmt: skip
    radiographs = parser.add_argument_group("for bundles that take radiographs")
    radiographs.add_argument(
        "--attention", choices=["grad-cam", "occlusion"],
        help="how the map on a page is made, of what the answer rests on (default: grad-cam); "
        "implies --report",
    )  # fmt: skip
    radiographs.add_argument(
        "--batch-size", type=int, metavar="IMAGES",
        help="that go through the network together (default: 16)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _threshold(text: str) -> float | str:
    """A threshold for `--gate`; argparse prints what is wrong with another word."""
    if text == "off":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a threshold; give 0 to 1, or off")
    return value


def run(args: argparse.Namespace) -> int:
    """Predict every image; one refused image does not stop the others."""
    from ..bundle.spec import read_spec
    from ..outputs.results import Results
    from ..tasks.cases import find_cases, remarks_on
    from ..tasks.task import task_of

    if args.spacing and min(args.spacing) <= 0:
        return _misused(f"spacing is {args.spacing}; give three numbers above 0")
    if args.batch_size is not None and args.batch_size < 1:
        return _misused(f"batch_size is {args.batch_size}; give 1 or more")
    spec = read_spec(args.bundle)
    task = task_of(spec)
    _check_options(spec, task, args)
    formats = _formats(spec, task, args)
    _ = spec.weights_sha256  # missing weights too are said before torch is loaded
    cases = find_cases(task, args.images, series=args.series)
    results = Results(args.output, spec, formats, _asked(args), args.device, args.overwrite)
    results.check_place(args.images, {case.name: case.path for case in cases})
    for remark in remarks_on(args.images, cases):
        print(f"medvol: {remark}", file=sys.stderr)
    try:
        failed = _write_all(args, spec, cases, _outcomes(args, task, cases, results), results)
    except ValueError as error:
        return _misused(str(error))
    return 0 if not failed else 2 if failed == len(cases) else 1


def _misused(reason: str) -> int:
    print(f"medvol predict: {reason}", file=sys.stderr)
    return 2


def _check_options(spec: "Spec", task: "Task", args: argparse.Namespace) -> None:
    """Refuse options that mean nothing for this task.

    Raises:
        InputError: E_BUNDLE, names the first such option.
    """
    for name in OPTIONS:
        if getattr(args, name) is not None and name not in task.options:
            option = "--" + name.replace("_", "-")
            raise InputError(
                "E_BUNDLE", spec.folder, f"it takes {task.takes}, for which there is no {option}.",
                f"Leave out {option}.",
            )  # fmt: skip


def _formats(spec: "Spec", task: "Task", args: argparse.Namespace) -> list[str] | None:
    """The files to write; None for all that an answer has.

    Raises:
        InputError: E_BUNDLE, one needs what this task does not give.
    """
    asked = args.format or task.formats
    if asked is None:
        return None
    possible = [name for name, output in OUTPUTS.items() if not output.lacks(task.gives)]
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


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """The options that may change an answer."""
    names = ("precision", "gate", "series", "spacing", "strict", "attention")
    return {name: getattr(args, name) for name in names}


def _outcomes(
    args: argparse.Namespace, task: "Task", cases: "Sequence[Case]", results: "Results"
) -> "Iterator[Answer | Refusal | None]":
    """An answer to each case in their order, or why it is refused; None where it is complete.

    Torch is loaded with the first image that can be read: a refusal before is quick.

    Raises:
        InputError: E_BUNDLE, the bundle cannot be loaded, or allows no maps.
        ValueError: no such device.
    """
    from ..answer import Refusal
    from ..tasks.cases import Reading, read_case, refusal_of
    from ..tasks.task import load_bundle

    passed: dict[int, Refusal | None] = {}  # what is not computed
    computed: list[int] = []
    reading = Reading(args.series, args.spacing, args.strict)

    def to_do() -> "Iterator[Case]":
        for index, case in enumerate(cases):
            try:
                if results.is_current(case.name, Path(case.path)):
                    passed[index] = None
                    continue
            except InputError as error:
                passed[index] = refusal_of(case, error)
                continue
            computed.append(index)
            yield case

    waiting = to_do()
    ready: list[Case] = []
    for case in waiting:
        try:
            case, image = read_case(task, case, reading)
            ready.append(replace(case, image=image))
            break
        except InputError as error:
            passed[computed.pop()] = refusal_of(case, error)
    at = 0
    if ready:
        bundle = load_bundle(results.spec, device=args.device, precision=args.precision,
                             gate=args.gate, progress=sys.stderr.isatty())  # fmt: skip
        method = (args.attention or "grad-cam") if "attention" in (results.alone or ()) else ""
        if method:
            bundle.maps(method)  # where none can be made, that is said before any image is seen
        images = chain(iter([ready.pop()]), waiting)  # or its image would stay in memory
        answers = bundle.predict_many(images, batch_size=args.batch_size, reading=reading)
        for number, answer in enumerate(answers):
            while at < computed[number]:
                yield passed[at]
                at += 1
            at += 1
            if method and not isinstance(answer, Refusal):
                answer = bundle.with_attention(answer, method)
            yield answer
    for index in range(at, len(cases)):
        yield passed[index]


def _write_all(
    args: argparse.Namespace,
    spec: "Spec",
    cases: "Sequence[Case]",
    outcomes: "Iterator[Answer | Refusal | None]",
    results: "Results",
) -> int:
    """Write and print each answer when it comes; how many images failed."""
    from tqdm import tqdm

    from ..answer import Refusal

    started = time.perf_counter()
    tables: list[Any] = []
    early: list[Refusal] = []  # before the first answer, with which the tables load torch
    with_files = results.alone is None or bool(results.alone)
    failed = 0
    bar = tqdm(zip(cases, outcomes, strict=True), total=len(cases), unit="image", leave=False,
               disable=len(cases) == 1 or not sys.stderr.isatty())  # fmt: skip
    for case, answer in bar:
        if not tables and not isinstance(answer, Refusal):
            tables = [output.write(args.output / output.file, spec) for output in results.together]
            for table, refusal in product(tables, early):
                table.add(refusal.path, refusal)
        folder = args.output / case.name
        remarks: Sequence[str] = ()
        try:
            if isinstance(answer, Refusal):
                raise answer.error
            if answer is not None:
                remarks = (*answer.run.remarks, *(results.save(answer) if with_files else ()))
        except InputError as error:
            failed += 1
            answer = Refusal(case.name, str(case.path), error)
            with bar.external_write_mode(file=sys.stderr):
                print(f"medvol: {error}", file=sys.stderr)
        else:
            for remark in remarks:
                print(f"medvol: {case.name}: {remark}", file=sys.stderr)
            if with_files or len(cases) <= FEW:
                said = line(answer) if answer else f"{case.name}: complete already, left as it is"
                with bar.external_write_mode(file=sys.stdout):
                    print(said + (f" -> {folder}" if with_files else ""))
        if not tables and isinstance(answer, Refusal):
            early.append(answer)
        for table in tables:
            table.add(str(case.path), answer)
    if failed < len(cases):
        for table in tables:
            table.write()
            print(f"{table} {_pace(len(cases), time.perf_counter() - started)} -> {table.path}")
    return failed


def line(answer: "Answer") -> str:
    """One line a case: name, the finding, ml of each label, slices, seconds, notes."""
    found = [str(answer.classes) if answer.classes else answer.finding]
    found += [f"{name} {ml:.1f} ml" for name, ml in answer.volume_ml.items()]
    found.append(str(answer.slices or ""))
    seconds = sum(answer.run.times_s.values())
    notes = "".join(f" [{note.code}]" for note in answer.notes)
    return f"{answer.case}: {', '.join(filter(None, found))} ({seconds:.1f} s){notes}"


def _pace(images: int, seconds: float) -> str:
    return f"({seconds:.1f} s, {images / seconds:.1f} images/s)"
