# SPDX-License-Identifier: Apache-2.0
"""`medvol evaluate`: a bundle beside the truth of a datalist, as figures, pictures and a page."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import InputError
from ..files import remove

if TYPE_CHECKING:
    from ..bundle.spec import Spec
    from ..data.datalist import LabelledCase
    from ..metrics.masks.evaluation import MaskEvaluation
    from ..tasks.evaluation import MaskOf, Plan

PAGE, TABLE, RECORD = "report.html", "metrics.csv", "metrics.json"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `evaluate` to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a bundle on cases with truth",
        description="Run a bundle on the cases of a datalist, or take masks that are there. "
        "Compare them with the truth, and write figures, pictures of the errors and a page with "
        "the worst cases first. Of a bundle that says the class of radiographs: figures of the "
        "classes and images with the highest losses. Research use only. Not a medical device.",
    )
    parser.add_argument("bundle", help="name of a shipped bundle, or its folder")
    parser.add_argument("--data", required=True, type=Path, help="datalist, .json")
    parser.add_argument(
        "--report", "--output", "-o", required=True, type=Path, metavar="FOLDER",
        help="folder for page, tables, and a folder of pictures and segments for each case",
    )  # fmt: skip
    parser.add_argument(
        "--fold", type=int, default=-1, help="only the cases that this fold holds out"
    )
    parser.add_argument(
        "--limit", type=int, help="only the first so many cases; of radiographs, of each class"
    )
    masks = parser.add_mutually_exclusive_group()
    masks.add_argument(
        "--predictions", type=Path, metavar="FOLDER",
        help="compare the masks of this folder; no network runs",
    )  # fmt: skip
    masks.add_argument("--weights", type=Path, metavar="FILE", help="instead of models/model.pt")
    parser.add_argument("--tolerance", type=float, metavar="MM", help="of surface Dice (default 3)")
    parser.add_argument(
        "--smallest-lesion", type=float, metavar="ML",
        help="smaller ones are not counted as lesions (default 0.1)",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument(
        "--precision", choices=["fp32", "bf16"], help="default: what the bundle says"
    )
    classes = parser.add_argument_group("bundles that say the class of radiographs")
    classes.add_argument("--part", choices=["training", "validation", "test"], help="default: test")
    classes.add_argument(
        "--calibrate", action="store_true",
        help="choose temperature and threshold on the validation part",
    )  # fmt: skip
    classes.add_argument(
        "--no-confounding", dest="confounding", action="store_false",
        help="do not test what tells the class beside the lungs, which reads the training part",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure every case; one that cannot be read does not stop the others."""
    from ..bundle.spec import read_spec
    from ..data.datalist import Datalist

    bundle = read_spec(args.bundle, weights=args.weights)
    if bundle.task == "radiographs":
        from .evaluate_classes import run as run_classes

        return run_classes(args, bundle)
    if bundle.task == "slices":
        raise InputError(
            "E_BUNDLE", bundle.folder, "it answers with classes of slices and marks no voxels.",
            "Give a bundle that segments.",
        )  # fmt: skip
    if args.predictions is None:
        _ = bundle.weights_sha256
    try:
        cases, unlabelled = Datalist.read(args.data).labelled(fold=args.fold)
        if args.part or args.calibrate or not args.confounding:
            raise ValueError(
                "--part, --calibrate and --no-confounding are for a bundle that says the class of "
                "radiographs; leave them out"
            )
        if args.limit is not None and args.limit < 1:
            raise ValueError(f"--limit is {args.limit}; give 1 or more")
        plan = _plan(args, bundle)
        mask_of, masks = _masks(args, bundle)
    except ValueError as error:
        print(f"medvol evaluate: {error}", file=sys.stderr)
        return 2
    evaluation = _measured(args.report, cases[: args.limit], plan, mask_of)
    if evaluation is None:
        return 2
    protocol = _protocol(args, evaluation, masks=masks, unlabelled=unlabelled)
    _write(args, plan, evaluation, protocol=protocol)
    return 1 if evaluation.refused else 0


def _plan(args: argparse.Namespace, bundle: "Spec") -> "Plan":
    """What is compared, with which tolerances."""
    from ..data.datalist import Datalist
    from ..metrics.masks.comparison import Measure
    from ..tasks.evaluation import make_plan

    given = {"tolerance_mm": args.tolerance, "smallest_lesion_ml": args.smallest_lesion}
    measure = Measure(**{name: value for name, value in given.items() if value is not None})
    return make_plan(bundle, Datalist.read(args.data).labels, measure)


def _masks(args: argparse.Namespace, bundle: "Spec") -> "tuple[MaskOf, str]":
    """Where masks come from, also in words."""
    from ..engine.devices import part_of
    from ..inferers.gated import GatedInferer
    from ..tasks.evaluation import from_folder, from_network
    from ..tasks.task import Bundle

    if args.predictions is not None:
        words = f"read from the folder {args.predictions.resolve().name}; no network was run"
        return from_folder(args.predictions, bundle), words
    loaded = Bundle(bundle, device=args.device, precision=args.precision)
    pipeline = loaded.pipeline
    words = f"made for this page by the bundle, {pipeline.precision} on {pipeline.device}"
    gated = part_of(pipeline.inferer, GatedInferer)
    if gated is not None and gated.gate.threshold is not None:
        words += f", behind its gate at threshold {gated.gate.threshold:g}"
    return from_network(loaded), words


def _measured(
    report: Path, cases: "Sequence[LabelledCase]", plan: "Plan", mask_of: "MaskOf"
) -> "MaskEvaluation | None":
    """All cases; None when every one was refused."""
    from tqdm import tqdm

    from ..metrics.masks.evaluation import MaskEvaluation
    from ..report.evaluation_page import case_line
    from ..tasks.evaluation import evaluate_case

    for name in (PAGE, TABLE, RECORD):  # of an older run, whose pictures are about to change
        remove(report / name)
    done, refused = [], []
    bar = tqdm(cases, unit="case", disable=not sys.stderr.isatty(), leave=False)
    for case in bar:
        folder = report / case.case
        try:
            found = evaluate_case(case, folder, plan, mask_of)
        except InputError as error:
            refused.append((case.case, error))
            print(f"medvol: {error}", file=sys.stderr)
            continue
        done.append(found)
        with bar.external_write_mode(file=sys.stdout):
            print(f"{case.case}: {case_line(found, plan.key)} -> {folder}")
    return MaskEvaluation(tuple(done), tuple(refused), plan.measure) if done else None


def _protocol(
    args: argparse.Namespace, evaluation: "MaskEvaluation", *, masks: str, unlabelled: int
) -> dict[str, str]:
    """Which data, which fold, how many cases, how grouped, whose masks: in words."""
    from ..data.datalist import Datalist
    from ..files import sha256_of

    number, patients = len(evaluation.cases), evaluation.patients
    one_each = "each case is a patient of its own"
    part = "all folds" if args.fold < 0 else f"what fold {args.fold} holds out"
    some = f", the first {args.limit} at most" if args.limit is not None else ""
    left_out = f"; {unlabelled} without truth left out" if unlabelled else ""
    failed = f"; {len(evaluation.refused)} not measured" if evaluation.refused else ""
    name = Datalist.read(args.data).name
    return {
        "Data": f"{name} ({args.data.name}, SHA-256 {sha256_of(args.data)[:12]}…)",
        "Cases": f"{_count(number, 'case')} from {part}{some}{left_out}{failed}",
        "Patients": one_each
        if patients == number
        else f"of {_count(patients, 'patient')}, whose cases are grouped",
        "Masks": f"masks {masks}",
    }


def _write(
    args: argparse.Namespace,
    plan: "Plan",
    evaluation: "MaskEvaluation",
    *,
    protocol: dict[str, str],
) -> None:
    """Page and tables, and the last lines on the terminal."""
    from ..data.datalist import Datalist
    from ..report.evaluation_page import EvaluationContext, summary_line, write_evaluation
    from ..report.evaluation_tables import write_metrics_csv, write_metrics_json
    from ..tasks.evaluation import FILES, MASK, PICTURE

    bundle = plan.bundle
    about = {"Bundle": bundle.name, "Version": bundle.version, "medvol": __version__}
    if args.predictions is None:
        about["Weights SHA-256"] = bundle.weights_sha256
        about |= {"Gate SHA-256": bundle.gate_sha256} if bundle.gate_sha256 else {}
    if args.weights is not None:
        about["Weights"] = args.weights.name
    context = EvaluationContext(
        title=bundle.name,
        protocol=protocol,
        bundle=about,
        remarks=remarks(evaluation, plan, Datalist.read(args.data).labels),
        files={name: FILES[name] for name in FILES if name != MASK or not args.predictions},
        picture=PICTURE,
    )
    write_metrics_csv(args.report / TABLE, evaluation)
    write_metrics_json(args.report / RECORD, evaluation, bundle=about, protocol=protocol)
    write_evaluation(args.report / PAGE, evaluation, context)
    print(f"{summary_line(evaluation)}\nreport {args.report / PAGE}")


def remarks(evaluation: "MaskEvaluation", plan: "Plan", names: Mapping[int, str]) -> list[str]:
    """What a reader must know before the figures.

    Args:
        evaluation: what was measured.
        plan: what was compared.
        names: value to name of the labels, as the datalist has them.
    """
    from ..metrics.evaluation import FEW_PATIENTS

    found = [
        "This page does not know what the network was trained on. Figures on cases that it was "
        "trained on say little about new ones."
    ]
    if evaluation.patients < FEW_PATIENTS:
        found.append(
            f"Intervals come from {_count(evaluation.patients, 'patient')}: too few to rely on."
        )
    if left_out := [region for region in plan.bundle.regions if region not in plan.regions]:
        found.append(f"Not measured, since the data lack their labels: {', '.join(left_out)}.")
    for label in plan.bundle.labels:
        if (name := names.get(label.value, label.name)) != label.name:
            found.append(
                f"Label {label.value} is {label.name!r} for the bundle and {name!r} for the data."
            )
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
