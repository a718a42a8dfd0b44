# SPDX-License-Identifier: Apache-2.0
"""`medvol bids`: the signature of a BIDS App, `IN OUT participant --participant-label ...`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import printable
from .options import add_device, add_engine, add_time_limit, add_trust, engine_of
from .trust import LATER, introduce

if TYPE_CHECKING:
    from ..bundle.spec import Spec

LEVELS = ("participant", "group")
USUAL = {"gate": None, "series": None, "spacing": None, "attention": None, "strict": False}


def add_parser(commands: Any) -> None:
    """Add `bids` to the command line."""
    parser = commands.add_parser(
        "bids",
        help="run bundles on a BIDS data set, as a BIDS App",
        description="Run bundles on the participants of a BIDS data set, and write masks as BIDS "
        "derivatives. The same command goes on after a stop; several may do different participants "
        "at the same time. Level group writes a table of "
        "all measurements. Exit status 2 where an image was refused.",
    )
    parser.add_argument("data", type=Path, metavar="IN", help="BIDS data set")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder for the derivatives")
    parser.add_argument("level", choices=LEVELS, help="one participant after the other, or all")
    for name in ("participant", "session"):
        parser.add_argument(
            f"--{name}-label", f"--{name}_label", nargs="+", default=[], metavar="LABEL",
            help=f"only these, with or without {name[:3]}- (default: all)",
        )  # fmt: skip
    parser.add_argument(
        "--bundle", nargs="+", default=[], dest="bundles", metavar="BUNDLE",
        help="names or folders, for level participant",
    )  # fmt: skip
    parser.add_argument(
        "--suffix", nargs="+", default=[], metavar="SUFFIX",
        help="what the names of the images end with, such as T1w (default: ct for bundles of CT; "
        "bundles of MR sequences take folders of T1w and FLAIR)",
    )  # fmt: skip
    parser.add_argument(
        "--skip-bids-validation", "--skip_bids_validation", action="store_true",
        help="means nothing: the data set is not validated",
    )  # fmt: skip
    add_trust(parser)
    add_device(parser)
    add_engine(parser)
    add_time_limit(parser, "work on an image")
    parser.add_argument("--quiet", action="store_true", help="print nothing but what was refused")
    parser.set_defaults(run=run, **{LATER: True})


def run(args: argparse.Namespace) -> int:
    """Do one level of a data set.

    Raises:
        InputError: see `cohort.bids`.
        ValueError: an option that makes no sense.
    """
    from ..bundle.spec import read_spec
    from ..cohort import bids

    if args.level == "group":
        for table in bids.write_groups(args.output):
            print(printable(str(table)))
        return 0
    if not args.bundles:
        raise ValueError("level participant needs a bundle; give --bundle NAME")
    specs = [read_spec(bundle) for bundle in args.bundles]
    return max([_participants(args, spec) for spec in specs])


def _participants(args: argparse.Namespace, spec: "Spec") -> int:
    """Run one bundle on the participants: 0, or 2 where something was refused."""
    from ..cohort import bids, frozen
    from ..cohort.bar import Bar
    from ..cohort.drivers.serial import Serial
    from ..cohort.ledger import DONE
    from ..cohort.run import Run
    from ..cohort.status import exit_status
    from ..cohort.worker import Session
    from ..search.launch import cpus
    from ..tasks.task import task_of

    images = bids.find_images(
        args.data, task_of(spec), suffixes=args.suffix,
        participants=_labels(args.participant_label, "sub-"),
        sessions=_labels(args.session_label, "ses-"),
    )  # fmt: skip
    units = bids.units_of(args.data, images, spec)
    bids.begin(args.output, args.data)
    folder = args.output / bids.WORK / frozen.plan_sha256(units)[:12]
    introduce(spec.folder, trust=args.trust, quiet=args.quiet)
    asked = frozen.Asked(
        [str(spec.folder)], ["nii", "json"], {**USUAL, "precision": args.precision}, args.device,
        engine_of(args).asked, args.time_limit,
    )  # fmt: skip
    frozen.freeze(folder, units, asked, threads=cpus())
    bar = Bar(len(units), shown=sys.stderr.isatty() and not args.quiet, quiet=args.quiet)
    work = Run(folder, units, 1, bar)
    try:
        with Serial(Session(str(folder))) as driver:
            counts = work(driver)
    finally:
        bar.close()
    for image, unit in zip(images, units, strict=True):
        state = work.ledger.state(unit.key)
        if state.state == DONE:
            mask = bids.lay_out(args.output, image, spec, folder / unit.key)
            if not args.quiet:
                print(printable(str(mask)))
        else:
            line = f"{state.code} {unit.path}: {state.reason} {state.remedy}"
            print(printable(f"medvol: {line}"), file=sys.stderr)
    return exit_status(counts)


def _labels(given: list[str], start: str) -> list[str]:
    """Labels without what stands before them in the names of folders.

    Example:
        >>> _labels(["01", "sub-02"], "sub-")
        ['01', '02']
    """
    return [label.removeprefix(start) for label in given]
