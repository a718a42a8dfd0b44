# SPDX-License-Identifier: Apache-2.0
"""`medvol inspect`: say what is seen in an image, before anything is done with it."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, printable
from .options import add_series, add_time_limit, add_trust

COLOURS = ("red", "green", "blue")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `inspect` to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="print what is seen in an image",
        description="Read images as `medvol predict` does and print modality, grid, values and "
        "notes; with --bundle also what its prediction will take. Exit status 2 when an image is "
        "refused.",
    )
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH",
        help="image file, DICOM folder, or folder of images; for MR also a slice picture, a "
        "patient's folder of them, or folder of such; a radiograph, or folder of such",
    )  # fmt: skip
    add_series(parser)
    add_time_limit(parser, "reading an image")
    parser.add_argument(
        "--bundle", help="read as this bundle reads (default: as what the content looks like)"
    )
    add_trust(parser)
    parser.add_argument(
        "--json", action="store_true",
        help="print one object instead: images, and what was refused",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe each image; refusals go to stderr, one line each."""
    from ..bundle.find import find_bundle
    from ..engine import child
    from ..engine.confined import confinement_for
    from ..engine.limits import usual_limits
    from ..tasks.inspecting import Wanted, start

    described: list[dict[str, Any]] = []
    refused: list[InputError] = []
    work = f"{start.__module__}:{start.__name__}"
    confinement = None
    if args.bundle is not None:
        confinement = confinement_for(find_bundle(args.bundle), read=args.paths)
    limits = usual_limits(args.time_limit, confined=confinement is not None)
    wanted = Wanted(args.series, args.bundle)
    with child.Child(work, wanted, limits=limits, confinement=confinement) as process:
        for given in args.paths:
            (paths,) = process.each([(given, None)], name=lambda request: request[0])
            if isinstance(paths, InputError):
                outcomes = iter([paths])
            else:
                requests = [(given, index) for index in range(len(paths))]
                outcomes = process.each(requests, name=partial(_name, paths))
            for found in outcomes:
                if isinstance(found, InputError):
                    refused.append(found)
                    print(f"medvol: {found}", file=sys.stderr)
                else:
                    described.append(found)
    if args.json:
        images = [{name: x for name, x in facts.items() if name != "table"} for facts in described]
        content = {"images": images, "refused": [error.as_json() for error in refused]}
        print(json.dumps(content, indent=2))
    elif described:
        print("\n\n".join(table(facts) for facts in described))
    return 2 if refused else 0


def _name(paths: Sequence[Path], request: tuple[Path, int]) -> Path:
    """The path of the image that a request is about."""
    return paths[request[1]]


def table(facts: Mapping[str, Any]) -> str:
    """The facts of one image (see `describe`), or the series of a study, as aligned lines under
    its name."""
    if "series" in facts:
        several = f"{facts['path']}: {len(facts['series'])} series; choose one with --series"
        listed = [f"  {line}" for line in facts["table"].splitlines()]
        return "\n".join(printable(line) for line in [several, *listed])
    known = dict(facts["facts"])
    names = known.pop("channels", [])
    values = {f"{name} values": facts["channels"][name] for name in names} or {
        "HU" if facts["modality"] == "CT in HU" else "values": facts["values"]
    }
    if "forecast" in facts:
        known["prediction"] = facts["forecast"]["words"]
    if pictures := known.pop("slices", []):
        known["pictures"] = " to ".join(dict.fromkeys((pictures[0], pictures[-1])))
        known["colours"] = ", ".join(map(" ".join, zip(COLOURS, names, strict=True)))
    stored = [
        known.pop(name) for name in ("format", "stored_dtype", "stored_mode") if name in known
    ]
    rows = {
        "modality": facts["modality"],
        "format": ", ".join(stored),
        "shape": _times(facts["shape"]),
        **_place(facts),
        **{name: _range(levels) for name, levels in values.items()},
        **known,
    }
    lines = [(name, str(value)) for name, value in rows.items()]
    lines += [("note", " ".join(note)) for note in facts["notes"]]
    width = max(len(name) for name, _ in lines)
    body = [f"  {name:<{width}}  {value}" for name, value in lines]
    return "\n".join(printable(line) for line in [facts["path"], *body])


def _place(facts: Mapping[str, Any]) -> dict[str, str]:
    """Where a volume lies; nothing of a radiograph."""
    if "affine" not in facts:
        return {}
    return {
        "spacing mm": _times(facts["spacing_mm"]),
        "size mm": _times(facts["size_mm"]),
        "orientation": facts["orientation"],
        "voxels": f"{facts['voxels']:,}",
    }


def _range(values: Mapping[str, float]) -> str:
    levels = ", ".join(f"{name} {_short(values[name])}" for name in values if name[0] == "p")
    return f"{_short(values['min'])} to {_short(values['max'])} ({levels})"


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(_short(number) for number in numbers)


def _short(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"
