# SPDX-License-Identifier: Apache-2.0
"""`medvol data inspect`: what a datalist holds, what is wrong with it, and settings to train with.

Exit status: 0 nothing is wrong, 1 a case cannot be used or a leak was found, 2 refused.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import printable
from ..text import aligned, counted
from .options import add_trust

if TYPE_CHECKING:
    from ..data.inspection import Inspection
    from ..data.proposals import Proposal

USUAL = {  # kind of images -> bundle whose settings are proposed where none is named
    "volume": "covid_ct_lesion_3d",
    "sequences": "brain_mri_tumor",
    "radiograph": "chest_xray_pneumonia",
}
SHOWN = 20  # leaks, and cases that cannot be used


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `inspect` beside the sources of `medvol data`."""
    parser = commands.add_parser(
        "inspect", help="look at a datalist, and propose settings to train with"
    )
    parser.description = (
        "Look at every case of a datalist, read some whole, and print shapes, spacings, values, "
        "labels or classes, leaks, and cases that cannot be used; then settings that follow from "
        "them for the training of a bundle, each with its reason. `medvol train --auto` takes "
        "these."
    )
    parser.add_argument("datalist", type=Path, help="datalist, .json")
    parser.add_argument(
        "--bundle",
        help=f"whose training the settings are for (default: {', '.join(USUAL.values())}, by the "
        "images)",
    )
    add_trust(parser)
    parser.add_argument(
        "--cases", type=int, metavar="N",
        help="read so many whole, spread over the list (default: 30 volumes, 500 pictures)",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="read every case whole")
    parser.add_argument("--json", action="store_true", help="print one object instead")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Inspect, and print."""
    from ..bundle.find import find_bundle
    from ..bundle.spec import read_spec
    from ..data.datalist import Datalist
    from ..data.inspection import inspect_datalist, kind_of
    from ..search.auto import propose, room_here
    from ..search.training import Training
    from ..tasks.task import task_of

    datalist = Datalist.read(args.datalist)
    folder = find_bundle(args.bundle or USUAL[kind_of(datalist)])
    kind = task_of(read_spec(folder)).kind if args.bundle else None
    most = sum(map(len, datalist.parts.values())) if args.all else args.cases
    seen, room = inspect_datalist(datalist, kind=kind, most=most), room_here()
    proposals = propose(seen, Training(folder).config(), room)
    if args.json:
        found = seen.as_json() | {
            "bundle": folder.name, "memory": str(room),
            "proposals": [proposal._asdict() for proposal in proposals],
        }  # fmt: skip
        print(json.dumps(found, indent=2))
    else:
        print("\n".join([*lines(seen), *proposed(proposals, folder.name, str(room))]))
    return 1 if seen.leaks or seen.refused else 0


def lines(seen: "Inspection") -> list[str]:
    """What was seen, in lines."""
    found = seen.as_json()
    sides = ", ".join(f"{side} {number}" for side, number in found["sides"].items())
    rows = [("cases", f"{found['cases']} of {counted(found['patients'], 'patient')} ({sides})"),
            ("read", f"{found['read']}; the others by their header or name alone")]  # fmt: skip
    if found["read"] == found["cases"]:
        rows[1] = ("read", "all")
    rows += [(name, _spread(found[key])) for name, key in
             (("shape", "shape"), ("spacing mm", "spacing_mm")) if key in found]  # fmt: skip
    if "values" in found:
        levels = ", ".join(f"{name} {value:.4g}" for name, value in found["values"].items())
        rows.append(("values", levels))
    for row in found.get("labels", ()):
        has = counted(row["cases"], "case")
        rows.append((f"label {row['value']}", f"{row['name']}: {row['voxels']} voxels in {has}"))
    for side, counts in found.get("classes", {}).items():
        rows.append((side, ", ".join(f"{name} {number}" for name, number in counts.items())))
    text = [printable(line) for line in aligned(rows).splitlines()]
    wrong = [f"{c.name}: {c.refusal}" for c in seen.refused]
    wrong += [f"leak: {leak}" for leak in seen.leaks]
    text += [printable(line) for line in wrong[:SHOWN]]
    return text + ([f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else [])


def proposed(proposals: "Sequence[Proposal]", bundle: str, room: str) -> list[str]:
    """Proposals with their reasons, and the words of `--set` that take them, in lines.

    Args:
        proposals: of `auto.propose`.
        bundle: its name.
        room: memory of this machine, in words.
    """
    if not proposals:
        return ["no case could be read, so no settings are proposed"]
    rows = [(own.id, json.dumps(own.value), own.reason) for own in proposals]
    words = " ".join(f"'{own.id}={json.dumps(own.value)}'" for own in proposals)
    return [
        "", f"settings for the training of {bundle}, with {room}:",
        *aligned(rows).splitlines(), f"--set {words}",
    ]  # fmt: skip


def _spread(found: Mapping[str, Sequence[float]]) -> str:
    low, middle, high = (
        " x ".join(f"{x:g}" for x in found[key]) for key in ("min", "median", "max")
    )
    return middle if low == high else f"{middle} (from {low} to {high})"
