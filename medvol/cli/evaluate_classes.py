# SPDX-License-Identifier: Apache-2.0
"""`medvol evaluate` of a bundle that says the class of radiographs: figures, tables, one page."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError
from ..files import remove

if TYPE_CHECKING:
    from ..bundle.spec import Spec
    from ..metrics.classes.confounding import Confounding
    from ..metrics.classes.evaluation import ClassCase, ClassEvaluation
    from ..tasks.task import Bundle

PAGE, TABLE, RECORD = "report.html", "predictions.csv", "metrics.json"
CURVES, RELIABILITY = "curves.png", "reliability.png"
FILES = {
    TABLE: "each image with its probabilities",
    RECORD: "all figures for programs",
    CURVES: "ROC, and precision over recall",
    RELIABILITY: "whether probabilities can be believed",
}
MOST_TILES = 24  # images with the highest losses that the page shows
TRAINING, VALIDATION, TEST = "training", "validation", "test"
NOT_FOR_CLASSES = ("predictions", "tolerance", "smallest_lesion")

Items = list[dict[str, Any]]


def run(args: argparse.Namespace, bundle: "Spec") -> int:
    """Answer every image of a part, measure, and write the page."""
    from ..data.datalist import Datalist
    from ..metrics.classes.evaluation import ClassEvaluation, tune
    from ..tasks.class_evaluation import answer_images, match_classes
    from ..tasks.task import Bundle

    _ = bundle.weights_sha256  # a bundle without weights is refused at once
    part = args.part or TEST
    try:
        _check_options(args, part)
        numbers = match_classes(bundle, Datalist.read(args.data).class_names)
        items = _items(args, part)
        others = _items(args, VALIDATION) if args.calibrate else []
        classifier = Bundle(bundle, device=args.device, precision=args.precision)
    except ValueError as error:
        print(f"medvol evaluate: {error}", file=sys.stderr)
        return 2
    for name in (PAGE, *FILES):  # of an older run
        remove(args.report / name)
    seen = sys.stderr.isatty()
    chosen_on, unusable = answer_images(classifier, others, numbers, progress=seen)
    answers, refused = answer_images(classifier, items, numbers, progress=seen)
    for _, why in (*unusable, *refused):
        print(f"medvol: {why}", file=sys.stderr)
    if not answers:
        return 2
    tuned = tune(chosen_on) if chosen_on else None
    evaluation = ClassEvaluation(tuple(answers), tuple(refused), bundle.classes, tuned)
    confounding = _confounding(args, part, items)
    _write(args, classifier, evaluation, confounding)
    return 1 if refused else 0


def _check_options(args: argparse.Namespace, part: str) -> None:
    given = [name for name in NOT_FOR_CLASSES if getattr(args, name) is not None]
    if args.fold >= 0:
        given.append("fold")
    if given:
        option = given[0].replace("_", "-")
        raise ValueError(f"--{option} is not for a bundle that says classes; leave it out")
    if args.limit is not None and args.limit < 1:
        raise ValueError(f"--limit is {args.limit}; give 1 or more")
    if args.calibrate and part == VALIDATION:
        raise ValueError(
            "--calibrate chooses on the validation part, so figures of it would be too good; "
            "give --part test"
        )


def _items(args: argparse.Namespace, part: str, *, limited: bool = True) -> Items:
    """Images of a part of the datalist, with all keys."""
    from ..data.datalist import Datalist
    from ..tasks.class_evaluation import completed

    datalist = Datalist.read(args.data)
    items = datalist.items(part, limit=args.limit if limited else None)
    return completed(items, datalist.class_names, args.data.parent.absolute())


def _training(args: argparse.Namespace, part: str) -> Items:
    """All images of the training part; none where there is no such part, or it is the measured."""
    from ..data.datalist import Datalist

    known = part != TRAINING and Datalist.read(args.data).parts.get(TRAINING)
    return _items(args, TRAINING, limited=False) if known else []


def _confounding(args: argparse.Namespace, part: str, items: Items) -> "Confounding | None":
    """The confounding test; None where it is not asked for."""
    from tqdm import tqdm

    from ..tasks.confounding import predict_from_surroundings

    training = _training(args, part) if args.confounding else []
    if not training:
        return None

    def watch(images: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
        shown = sys.stderr.isatty()
        return tqdm(images, desc="confounding", unit="image", disable=not shown, leave=False)

    return predict_from_surroundings(training, items, watch=watch)


def remarks(
    evaluation: "ClassEvaluation", *, training_patients: set[str], tested: bool
) -> list[str]:
    """What a reader must know before the figures.

    Args:
        evaluation: what was measured.
        training_patients: of the datalist's training part.
        tested: whether the confounding test was made.
    """
    from ..metrics.evaluation import FEW_PATIENTS

    found = [
        "This page does not know what the network was trained on. Figures on images that it was "
        "trained on say little about new ones."
    ]
    patients = {image.patient for image in evaluation.cases}
    if shared := len(patients & training_patients):
        found.append(
            f"{_count(shared, 'patient')} of these images {'is' if shared == 1 else 'are'} in the "
            "training part too: the figures are too good."
        )
    if len(patients) < FEW_PATIENTS:
        found.append(f"Intervals come from {_count(len(patients), 'patient')}: too few to rely on.")
    present = sorted(set(evaluation.truth.tolist()))
    if missing := [n for i, n in enumerate(evaluation.names) if i not in present]:
        found.append(f"No image is of the class {', '.join(missing)}; nothing is known of it.")
    if not tested:
        found.append("Whether the class can be predicted from beside the lungs was not tested.")
    return found


def _write(
    args: argparse.Namespace,
    classifier: "Bundle",
    evaluation: "ClassEvaluation",
    confounding: "Confounding | None",
) -> None:
    """Pictures, tables and page, and the last lines on the terminal."""
    from ..report.class_page import (
        ClassContext,
        confounding_lines,
        summary_line,
        tuned_line,
        write_class_page,
    )
    from ..report.class_tables import write_class_metrics, write_predictions
    from ..report.plots import curves_of, draw_curves

    part, folder = args.part or TEST, args.data.parent.absolute()
    about, protocol = _about(args, classifier), _protocol(args, part, evaluation)
    patients = {item["patient"] for item in _training(args, part)}
    write_predictions(args.report / TABLE, evaluation, folder=folder)
    write_class_metrics(
        args.report / RECORD, evaluation, bundle=about, protocol=protocol, confounding=confounding
    )
    if curves := curves_of(evaluation):
        draw_curves(args.report / CURVES, curves)
    _draw_reliability(args.report / RELIABILITY, evaluation)
    shown, attention = _tiles(classifier, evaluation.worst_first[:MOST_TILES])
    context = ClassContext(
        title=classifier.spec.name,
        protocol=protocol,
        bundle=about,
        files={name: FILES[name] for name in FILES if name != CURVES or curves},
        remarks=remarks(
            evaluation,
            training_patients=patients,
            tested=bool(confounding and confounding.predicted),
        ),
        confounding=confounding,
        curves=args.report / CURVES if curves else None,
        reliability=args.report / RELIABILITY,
        tiles=shown,
        attention=attention,
    )
    write_class_page(args.report / PAGE, evaluation, context)
    lines = [summary_line(evaluation)]
    lines += confounding_lines(evaluation, confounding) if confounding else []
    lines += [tuned_line(evaluation)] if evaluation.tuned else []
    print("\n".join([*lines, f"report {args.report / PAGE}"]))


def _draw_reliability(path: Path, evaluation: "ClassEvaluation") -> None:
    from ..metrics.classes.calibration import top_reliability
    from ..report.plots import draw_reliability

    groups = {"as given": top_reliability(evaluation.probability, evaluation.truth)}
    if evaluation.tuned is not None and evaluation.calibrated is not None:
        name = f"with temperature {evaluation.tuned.temperature:.2f}"
        groups[name] = top_reliability(evaluation.calibrated, evaluation.truth)
    draw_reliability(path, groups, cases="images", share="share that is right")


def _tiles(classifier: "Bundle", images: "Sequence[ClassCase]") -> tuple[dict[str, str], bool]:
    """Pictures of images with where the network looked, where bundle and network allow that."""
    from ..engine.attention import AttentionMaps
    from ..images import read_image
    from ..tasks.class_evaluation import tiles

    try:
        maps = AttentionMaps(classifier.pipeline)
        return tiles(images, lambda path: maps(read_image(path, "radiograph")))
    except InputError as error:  # a chain that is none of medvol's
        if error.code != "E_BUNDLE":
            raise
        return tiles(images, None)


def _about(args: argparse.Namespace, classifier: "Bundle") -> dict[str, str]:
    bundle = classifier.spec
    about = {"Bundle": bundle.name, "Version": bundle.version, "medvol": __version__,
             "Weights SHA-256": bundle.weights_sha256,
             "Run": f"{classifier.pipeline.precision} on {classifier.pipeline.device}"}  # fmt: skip
    return about | ({"Weights": args.weights.name} if args.weights is not None else {})


def _protocol(args: argparse.Namespace, part: str, evaluation: "ClassEvaluation") -> dict[str, str]:
    """Which data, which part, how many images, how grouped: in words."""
    from ..data.datalist import Datalist
    from ..files import sha256_of

    number, patients = len(evaluation.cases), evaluation.patients
    some = f", the first {args.limit} of each class at most" if args.limit is not None else ""
    failed = f"; {len(evaluation.refused)} not measured" if evaluation.refused else ""
    one_each = "each image is a patient of its own"
    found = {
        "Data": f"{Datalist.read(args.data).name} "
        f"({args.data.name}, SHA-256 {sha256_of(args.data)[:12]}…)",
        "Images": f"{_count(number, 'image')} of the {part} part{some}{failed}",
        "Patients": one_each
        if patients == number
        else f"of {_count(patients, 'patient')}, whose images are grouped",
    }
    if evaluation.tuned is not None:
        found["Chosen on"] = f"temperature and threshold chosen on the {VALIDATION} part"
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
