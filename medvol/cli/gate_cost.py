# SPDX-License-Identifier: Apache-2.0
"""`medvol gate-cost`: what a bundle's gate hides and saves, for every threshold."""

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..failures import failure, listed
from ..text import aligned, counted
from .options import add_bundle, add_data, add_device, add_fold, add_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.datalist import LabelledCase
    from ..metrics.masks.gate_cost import Cost

FILES = TABLE, PICTURE, RECORD = "gate_cost.csv", "gate_cost.png", "gate_cost.json"
THRESHOLDS = (0.0, 0.01, 0.02, 0.03, *(k / 20 for k in range(1, 20)), 0.97, 0.99)
COLUMNS = (  # on the terminal: heading, figure, how it is written; {} is what the bundle looks for
    ("threshold", "threshold", "{:.2f}"),
    ("{} hidden", "missed_percent", "{:.1f} %"),
    ("cases missed", "missed_cases", "{}"),
    ("slices segmented", "passed_percent", "{:.1f} %"),
    ("{}-free segmented", "false_percent", "{:.1f} %"),
    ("time saved", "saved_percent", "{:.1f} %"),
    (" Dice", "dice", "{:.3f}"),
)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `gate-cost` to the command line."""
    parser = commands.add_parser(
        "gate-cost",
        help="what a bundle's gate hides and saves, for every threshold",
        description="Segment labelled volumes without the gate, ask the gate about each slice, and "
        "write what would be missed and saved at each threshold: gate_cost.csv, gate_cost.png, "
        "gate_cost.json. Give data that neither network was trained on.",
    )
    add_bundle(parser)
    add_data(parser)
    add_output(parser)
    add_fold(parser)
    parser.add_argument(
        "--gate-weights", metavar="FILE",
        help="in place of models/slice_gate/weights.pt; {fold} stands for the fold that holds a "
        "case out",
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
    add_device(parser, precision=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure every case once, then add up for each threshold."""
    from ..bundle.find import find_bundle
    from ..data.datalist import Datalist
    from ..data.items import check_foreground, label_numbers
    from ..engine.confined import refuse_code
    from ..files import check_writable, write_json
    from ..metrics.intervals import defined
    from ..metrics.masks.gate_cost import choose, gate_cost
    from ..owned import check_owned, filling
    from ..report.gate_cost import GateLook, draw_gate_cost, write_gate_cost
    from ..tasks.comparison import watched
    from ..tasks.gate_cost import gate_of, measure_case
    from ..tasks.task import load_bundle

    datalist = Datalist.read(args.data)
    labelled, _ = datalist.labelled(fold=args.fold)
    check_writable(args.output)
    check_owned(args.output, FILES)
    refuse_code(find_bundle(args.bundle), "medvol gate-cost")
    bundle = load_bundle(args.bundle, device=args.device)
    gated = gate_of(bundle)
    own = gated.gate.threshold  # before it is opened to ask about every slice
    margin = gated.gate.margin if args.margin is None else args.margin
    gap = gated.gate.gap if args.gap is None else args.gap
    names = {label.value: label.name for label in bundle.spec.labels}
    numbers = label_numbers(datalist, names)
    check_foreground(datalist, [case.label for case in labelled], numbers)
    cases, refused = [], []
    for case in watched(labelled, "case"):
        try:
            files = [
                _weights(given, case, args.data) for given in (args.gate_weights, args.weights)
            ]
            cases.append(
                measure_case(bundle, case, numbers, gate_weights=files[0], weights=files[1])
            )
        except Exception as error:  # one case does not stop the others
            refused.append(failure(error, case.image))
            print(f"medvol: {refused[-1]}", file=sys.stderr)
    if not cases:
        return 2
    costs = [
        gate_cost(cases, threshold, margin=margin, gap=gap, share=gated.share)
        for threshold in THRESHOLDS
    ]
    chosen = choose(costs, most_missed_percent=args.most_missed)
    name, finding = bundle.spec.name, bundle.spec.focus_name
    number = counted(len(cases), "case")
    title = f"Gate of {name}: {number}, gaps up to {gap} closed, margin {margin} (in slices)"
    look = GateLook(title, finding, args.most_missed, own)
    rule = {"margin": margin, "gap": gap, "most_missed_percent": args.most_missed}
    record = {"bundle": name, "bundle_threshold": own, "cases": [c.case for c in cases],
              "refused": [[x.code, x.path] for x in refused], **rule,
              "chosen": defined(chosen._asdict())}  # fmt: skip
    with filling(args.output) as scratch:
        write_gate_cost(scratch / TABLE, costs)
        draw_gate_cost(scratch / PICTURE, costs, chosen, look)
        write_json(scratch / RECORD, record)
    print(title, table(costs, chosen, finding), sep="\n")
    print(conclusion(chosen, finding, args.most_missed))
    print(f"The bundle's own threshold: {'none, its gate is off' if own is None else f'{own:g}'}. "
          "Set another with medvol predict --gate.")  # fmt: skip
    print(f"Files in {args.output}")
    if refused:
        print(listed(refused, len(labelled)), file=sys.stderr)
    return 2 if refused else 0


def table(costs: "Sequence[Cost]", chosen: "Cost", finding: str) -> str:
    """The main columns as text, a line a threshold, the chosen one marked.

    Args:
        costs, chosen: what was measured.
        finding: what the bundle looks for, such as "lesion".
    """
    rows = [[*(head.format(finding) for head, _, _ in COLUMNS), ""]]
    for cost in costs:
        values = [(getattr(cost, name), form) for _, name, form in COLUMNS]
        texts = ["-" if math.isnan(value) else form.format(value) for value, form in values]
        rows.append([*texts, "<- chosen" if cost is chosen else ""])
    return aligned(rows, right=range(len(COLUMNS)))


def conclusion(chosen: "Cost", finding: str, most_missed_percent: float) -> str:
    """Why this threshold was chosen, or why none could be.

    Args:
        chosen: what it costs.
        finding: what the bundle looks for, such as "lesion".
        most_missed_percent: of its volume, that a threshold may hide to be chosen.
    """
    from ..metrics.masks.gate_cost import hides_little

    rule = f"misses no case and hides at most {most_missed_percent:g} % of the {finding}"
    if math.isnan(chosen.missed_percent):
        return f"The data hold no {finding}, so a threshold cannot be chosen with them."
    if not hides_little(chosen, most_missed_percent):
        return f"No threshold {rule}; {chosen.threshold:g} is only the lowest of the table."
    return f"Chosen: {chosen.threshold:g}, the highest threshold that {rule}."


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
