# SPDX-License-Identifier: Apache-2.0
"""`medvol predict` with a bundle for radiographs: a table of classes, and pages if wanted."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files import remove

if TYPE_CHECKING:
    from ..bundle.description import Description
    from ..outputs.class_table import ClassRow
    from ..tasks.classifier import Prediction, Refusal
    from ..tasks.radiograph_report import RadiographReports

TABLE = "predictions.csv"
FEW = 20  # images that get a line each; more get a bar
REFUSED = ""  # in the count of classes


def run(args: argparse.Namespace, bundle: "Description") -> int:
    """Say the class of every image; one refused image does not stop the others."""
    _ = bundle.classes, bundle.weights_sha256  # what is missing is said before torch is loaded
    images = find_images(args.images)
    if not _some_readable([path for _, path in images]):
        return 2

    from ..outputs.class_table import write_class_table
    from ..tasks.classifier import BATCH, ImageClassifier
    from ..tasks.radiograph_report import RadiographReports

    count: Counter[str] = Counter()
    reports, started = None, time.perf_counter()
    try:
        classifier = ImageClassifier(bundle, device=args.device, precision=args.precision)
        answers = classifier.predict_many(
            [path for _, path in images],
            batch_size=BATCH if args.batch_size is None else args.batch_size,
            progress=len(images) > FEW and sys.stderr.isatty(),
        )
    except ValueError as error:
        print(f"medvol predict: {error}", file=sys.stderr)
        return 2
    if args.report or args.attention:
        reports = RadiographReports(classifier, method=args.attention or "grad-cam")
    rows = _rows(args, images, answers, reports, count)
    write_class_table(args.output / TABLE, classifier.names, rows)
    if count[REFUSED] == len(images):  # by --strict
        remove(args.output / TABLE)
        return 2
    print(_summary(classifier.names, count, time.perf_counter() - started), args.output / TABLE)
    return 1 if count[REFUSED] else 0


def find_images(given: Sequence[Path]) -> list[tuple[str, Path]]:
    """Name and path of every radiograph; folders are searched with all that is in them.

    The name of an image in a folder says where in it: "a/x1" for a/x1.png. Equal ones get a number.

    Raises:
        InputError: E_EMPTY, a folder without radiographs; E_PATH, one that may not be opened.
    """
    from ..data.folder import some_radiographs
    from ..images.find import case_name, unused_name

    images: dict[str, Path] = {}
    for start in given:
        for path in some_radiographs(start) if start.is_dir() else [start]:
            inside = path.relative_to(start).parent if path != start else Path()
            images[unused_name((inside / case_name(path)).as_posix(), images)] = path
    return list(images.items())


def _some_readable(paths: Sequence[Path]) -> bool:
    """Whether one can be read; where none can, says why of each. Loads no torch, so it is quick."""
    from ..images import read_image

    refusals = []
    for path in paths:
        try:
            read_image(path, "radiograph")
            return True
        except InputError as error:
            refusals.append(str(error))
    for refusal in refusals:
        print(f"medvol: {refusal}", file=sys.stderr)
    return False


def _rows(
    args: argparse.Namespace,
    images: Sequence[tuple[str, Path]],
    answers: "Iterator[Prediction | Refusal]",
    reports: "RadiographReports | None",
    count: Counter[str],
) -> "Iterator[ClassRow]":
    """The rows of the table while they are made: each is counted, told, and gets its page."""
    from ..outputs.class_table import ClassRow
    from ..tasks.classifier import Refusal

    for (name, path), answer in zip(images, answers, strict=True):
        said = _strictly(answer) if args.strict else answer
        if isinstance(said, Refusal):
            _tell_refusal(said.error)
            count[REFUSED] += 1
            yield ClassRow(str(path), notes=[f"{said.error.code} {said.error.reason}"])
            continue
        folder = args.output / name
        if reports is not None:
            reports.save(said, folder, name=name)
        if len(images) <= FEW:
            print(_line(name, said) + (f" -> {folder}" if reports is not None else ""))
        count[said.name] += 1
        yield ClassRow(str(path), said.probability.tolist(), said.notes)


def _strictly(answer: "Prediction | Refusal") -> "Prediction | Refusal":
    """A refusal of what was used with a note."""
    from ..tasks.classifier import Prediction, Refusal
    from ..tasks.reading import note_refused

    if isinstance(answer, Prediction) and answer.notes:
        return Refusal(answer.path, note_refused(answer.path, answer.notes[0]))
    return answer


def _tell_refusal(error: InputError) -> None:
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):  # a bar may stand there
        print(f"medvol: {error}", file=sys.stderr)


def _line(name: str, said: "Prediction") -> str:
    """One line an image: name, class, its probability, notes."""
    notes = "".join(f" [{note.split()[0]}]" for note in said.notes)
    return f"{name}: {said.name} {said.probability[said.index]:.2f}{notes}"


def _summary(names: Sequence[str], count: Counter[str], seconds: float) -> str:
    """How many of each class, and how quickly."""
    number = count.total()
    said = [f"{count[name]} {name}" for name in names]
    refused = [f"{count[REFUSED]} refused"] if count[REFUSED] else []
    images = f"{number} image" + ("s" if number > 1 else "")
    pace = f"{number / seconds:.1f} images/s"
    return f"{images}: {', '.join([*said, *refused])} ({seconds:.1f} s, {pace}) ->"
