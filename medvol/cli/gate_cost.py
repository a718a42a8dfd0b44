# SPDX-License-Identifier: Apache-2.0
"""`medvol gate-cost`: what a bundle's gate hides and saves, for every threshold."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..datasets.labelled import LabelledCase
    from ..metrics.gate_cost import Cost

THRESHOLDS = (0.0, 0.01, 0.02, 0.03, *(k / 20 for k in range(1, 20)), 0.97, 0.99)
COLUMNS = ("threshold", "missed_percent", "missed_cases", "false_percent", "saved_percent",
           "dice_change")  # fmt: skip


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `gate-cost` to the command line."""
    parser = commands.add_parser(
        "gate-cost",
        help="what a bundle's gate hides and saves, for every threshold",
        description="Segment labelled volumes without the gate, ask the gate about each slice, and "
        "write what would be missed and saved at each threshold: gate_cost.csv, gate_cost.png, "
        "gate_cost.json. Give data that neither network was trained on.",
    )
    parser.add_argument("bundle", help="name of a shipped bundle, or its folder")
    parser.add_argument("--data", required=True, type=Path, help="datalist.json of labelled images")
    parser.add_argument("--output", "-o", required=True, type=Path, help="folder for the results")
    parser.add_argument(
        "--fold", type=int, default=-1, help="only the cases that this fold holds out"
    )
    parser.add_argument(
        "--gate-weights", metavar="FILE",
        help="in place of models/gate.pt; {fold} stands for the fold that holds a case out",
    )  # fmt: skip
    parser.add_argument(
        "--weights", metavar="FILE", help="in place of models/model.pt; {fold} as above"
    )
    parser.add_argument(
        "--margin", type=int, help="slices added to each run; default: the bundle's"
    )
    parser.add_argument("--gap", type=int, help="gaps closed, in slices; default: the bundle's")
    parser.add_argument(
        "--most-missed", type=float, default=1.0, metavar="PERCENT",
        help="of the lesion volume, that the chosen threshold may hide (default 1)",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure every case once, then add up for each threshold."""
    from tqdm import tqdm

    from ..bundle.description import describe
    from ..datasets.labelled import labelled_cases
    from ..metrics.gate_cost import choose, gate_cost
    from ..predict.gate_cost import gate_of, measure_case
    from ..predict.predictor import Predictor
    from ..report.gate_cost import draw_gate_cost, write_gate_cost

    try:
        labelled, _ = labelled_cases(args.data, fold=args.fold)
        predictor = Predictor(describe(args.bundle), device=args.device)
    except ValueError as error:
        print(f"medvol gate-cost: {error}", file=sys.stderr)
        return 2
    gated = gate_of(predictor)
    margin = gated.gate.margin if args.margin is None else args.margin
    gap = gated.gate.gap if args.gap is None else args.gap
    cases = [
        measure_case(
            predictor, case, gate_weights=_weights(args.gate_weights, case, args.data),
            weights=_weights(args.weights, case, args.data),
        )
        for case in tqdm(labelled, unit="case", disable=not sys.stderr.isatty(), leave=False)
    ]  # fmt: skip
    costs = [
        gate_cost(cases, threshold, margin=margin, gap=gap, share=gated.share)
        for threshold in THRESHOLDS
    ]
    chosen = choose(costs, most_missed_percent=args.most_missed)
    name = predictor.bundle.name
    write_gate_cost(args.output / "gate_cost.csv", costs)
    draw_gate_cost(
        args.output / "gate_cost.png", costs, chosen,
        title=f"{name}, {len(cases)} cases, margin {margin}, gaps up to {gap} closed",
    )  # fmt: skip
    rule = {"margin": margin, "gap": gap, "most_missed_percent": args.most_missed}
    figures = {key: None if math.isnan(x) else x for key, x in chosen._asdict().items()}
    record = {"bundle": name, "cases": [c.case for c in cases], **rule, "chosen": figures}
    _write(args.output / "gate_cost.json", record)
    print(table(costs, chosen))
    print(f"Chosen: {chosen.threshold:g}, the highest that misses no case and hides at most "
          f"{args.most_missed:g} % of the lesion. Files in {args.output}")  # fmt: skip
    return 0


def table(costs: "Sequence[Cost]", chosen: "Cost") -> str:
    """The main columns as text, a line a threshold, the chosen one marked."""
    lines = ["  ".join(f"{name:>14}" for name in COLUMNS)]
    for cost in costs:
        values = [getattr(cost, name) for name in COLUMNS]
        row = "  ".join(f"{v:>14}" if isinstance(v, int) else f"{v:>14.3f}" for v in values)
        lines.append(row + ("  <" if cost is chosen else ""))
    return "\n".join(lines)


def _weights(pattern: str | None, case: "LabelledCase", datalist: Path) -> Path | None:
    """The file of weights for a case.

    Raises:
        InputError: E_FORMAT, the pattern asks for a fold and the case has none.
    """
    if pattern is None:
        return None
    if "{fold}" in pattern and case.fold is None:
        raise InputError(
            "E_FORMAT", datalist, f"{case.case} has no fold, but the weights are given by fold.",
            "Make the datalist with `medvol data`, or name one file of weights.",
        )  # fmt: skip
    return Path(pattern.replace("{fold}", str(case.fold)))


def _write(path: Path, record: dict[str, Any]) -> None:
    from ..atomic import replacing

    with replacing(path) as temporary:
        text = json.dumps(record, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
