# SPDX-License-Identifier: Apache-2.0
"""`medvol bids`: the signature of a BIDS App, `IN OUT participant --participant-label ...`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, printable
from .answering import asked_of
from .options import add_device, add_engine, add_time_limit, add_trust, engine_of
from .trust import LATER, introduce

if TYPE_CHECKING:
    from ..bundle.spec import Spec
    from ..cohort.bids import Image
    from ..cohort.frozen import Asked
    from ..cohort.plan import Unit
    from ..cohort.run import Run
    from ..outputs.results import Results

LEVELS = ("participant", "group")


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
    from ..cohort import bids
    from ..cohort.ledger import DONE
    from ..cohort.status import exit_status
    from ..tasks.task import task_of

    images = bids.find_images(
        args.data, task_of(spec), suffixes=args.suffix,
        participants=_labels(args.participant_label, "sub-"),
        sessions=_labels(args.session_label, "ses-"),
    )  # fmt: skip
    units = bids.units_of(args.data, images, spec)
    bids.begin(args.output, args.data)
    introduce(spec.folder, trust=args.trust, quiet=args.quiet)
    known = _known(args, spec, images, units)
    left = [unit for unit in units if unit.key not in known]
    work = _run(args, spec, left) if left else None
    for image, unit in zip(images, units, strict=True):
        if work is not None and unit.key not in known:
            state = work.ledger.state(unit.key)
            if state.state != DONE:
                line = f"{state.code} {unit.path}: {state.reason} {state.remedy}"
                print(printable(f"medvol: {line}"), file=sys.stderr)
                continue
            bids.lay_out(args.output, image, spec, work.out / unit.key)
        if not args.quiet:
            print(printable(f"{args.output / bids.mask_name(image, spec)}.nii.gz"))
    if work is None or not (status := exit_status(work.counts())):
        return 0
    again = f"once that is mended: medvol cohort retry {work.out}, and the same command"
    print(printable(f"medvol: {again}"), file=sys.stderr)
    return status


def _asked(args: argparse.Namespace, spec: "Spec") -> "Asked":
    from ..cohort.frozen import Asked

    return Asked([str(spec.folder)], ["nii", "json"], asked_of(args), args.device,
                 engine_of(args).asked, args.time_limit)  # fmt: skip


def _known(
    args: argparse.Namespace, spec: "Spec", images: "Sequence[Image]", units: "Sequence[Unit]"
) -> set[str]:
    """Keys of the units whose masks are there already, of these images as they are now.

    Raises:
        InputError: E_OUTPUT, they were made with other options or another version.
    """
    from ..cohort import bids, frozen

    found: set[str] = set()
    cohorts: dict[Path, Results] = {}
    for image, unit in zip(images, units, strict=True):
        results = bids.results_of(args.output, image, spec)
        if results is None:
            continue
        folder = results.parents[unit.key.count("/")]
        if results != folder / unit.key or not (folder / frozen.NAME).is_file():
            continue
        if folder not in cohorts:
            fixed = frozen.freeze(folder, (), _asked(args, spec), threads=1)
            cohorts[folder] = fixed.results(folder, spec.name)
        try:
            if cohorts[folder].is_current(unit.case, Path(unit.path)):
                found.add(unit.key)
        except InputError as error:  # an image that is not there at present is refused alone
            if error.code != "E_PATH":
                raise
    return found


def _run(args: argparse.Namespace, spec: "Spec", units: "Sequence[Unit]") -> "Run":
    """The work on some units, when it is over."""
    from ..cohort import bids, frozen
    from ..cohort.bar import Bar
    from ..cohort.drivers.serial import Serial
    from ..cohort.run import Run
    from ..cohort.worker import Session
    from ..search.launch import cpus

    folder = bids.work_folder(args.output, units)
    frozen.freeze(folder, units, _asked(args, spec), threads=cpus())
    bar = Bar(len(units), shown=sys.stderr.isatty() and not args.quiet, quiet=args.quiet)
    work = Run(folder, units, 1, bar)
    try:
        with Serial(Session(str(folder))) as driver:
            work(driver)
    finally:
        bar.close()
    return work


def _labels(given: list[str], start: str) -> list[str]:
    """Labels without what stands before them in the names of folders.

    Example:
        >>> _labels(["01", "sub-02"], "sub-")
        ['01', '02']
    """
    return [label.removeprefix(start) for label in given]
