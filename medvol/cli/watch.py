# SPDX-License-Identifier: Apache-2.0
"""`medvol watch`: predict new studies of an archive or a folder, and store the results."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dicomweb import open_archive
from ..dicomweb.address import Address, is_address
from ..errors import InputError, printable
from ..outputs.archived import Storing, formats_to_store
from ..outputs.registry import GROUPS, OUTPUTS, expanded
from .answering import asked_of
from .archives import add_store, archive_at
from .options import (
    add_device,
    add_dicom,
    add_engine,
    add_output,
    add_time_limit,
    add_trust,
    engine_of,
)
from .trust import LATER, introduce

if TYPE_CHECKING:
    from ..bundle.spec import Spec
    from ..tasks.task import Task
    from ..watch.sources import Source
    from ..watch.turn import Turn

POLL_S, SETTLE_S = 30.0, 60.0

# what may be mended while it watches: an archive that is away, a full disk, files that lie amiss
AT_PRESENT = ("E_ARCHIVE", "E_PATH", "E_NOSPACE", "E_FORMAT", "E_SERIES")


def add_parser(commands: Any) -> None:
    """Add `watch` to the command line."""
    parser = commands.add_parser(
        "watch",
        help="predict new studies of an archive or a folder",
        description="Look again and again for studies that are complete and match rules, predict "
        "each once, and store the results. What was seen and done stands in watch.jsonl in the "
        "output folder, by which the same command goes on after a stop.",
    )
    parser.add_argument(
        "place", type=_place, metavar="SOURCE",
        help="archive, as dicomweb+https://HOST/dicom-web, or folder that studies are put into",
    )  # fmt: skip
    parser.add_argument("--bundle", required=True, help="name, NAME@VERSION, folder or .zip")
    add_trust(parser)
    add_output(parser, "for results and watch.jsonl (default results/BUNDLE)", required=False)
    add_store(parser)
    add_device(parser)
    add_engine(parser)
    add_time_limit(parser, "work on an image")
    parser.add_argument(
        "--format", nargs="+", metavar="FORMAT",
        choices=[*(name for name, x in OUTPUTS.items() if not x.together), *GROUPS],
        help="write only these of each case, as for medvol predict",
    )  # fmt: skip
    add_dicom(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing but what failed")
    rules = parser.add_argument_group(
        "rules", "what a series must be like; of a study that has several such, the one with most "
        "images is taken",
    )  # fmt: skip
    rules.add_argument("--rules", type=Path, metavar="FILE", help="the rules below, as JSON")
    rules.add_argument(
        "--modality", nargs="+", metavar="NAME", help="such as CT (default: what the bundle takes)"
    )
    rules.add_argument("--body-part", nargs="+", metavar="NAME", help="such as CHEST THORAX")
    rules.add_argument(
        "--description", metavar="PATTERN",
        help="regular expression that the description of the series holds, such as 'lung|thorax'",
    )  # fmt: skip
    rules.add_argument("--exclude", metavar="PATTERN", help="one that it does not hold")
    rules.add_argument(
        "--min-images", type=int, metavar="N",
        help="at least so many images (default 10; for radiographs 1)",
    )  # fmt: skip
    rules.add_argument(
        "--all-series", action="store_true", help="every series of a study that fits"
    )
    rules.add_argument(
        "--days", type=int, metavar="N", help="of an archive, studies of the last N days only"
    )
    when = parser.add_argument_group("when")
    when.add_argument(
        "--every", type=float, default=POLL_S, metavar="SECONDS",
        help=f"between two looks (default {POLL_S:g})",
    )  # fmt: skip
    when.add_argument(
        "--settle", type=float, default=SETTLE_S, metavar="SECONDS",
        help="a study is complete when nothing came for so long "
        f"(default {SETTLE_S:g})",
    )  # fmt: skip
    when.add_argument("--once", action="store_true", help="do what there is, and end; for cron")
    when.add_argument(
        "--only-new", action="store_true",
        help="leave what is there when the first watch of this output folder begins",
    )  # fmt: skip
    when.add_argument(
        "--new-version", action="store_true",
        help="do again what another version of the bundle did",
    )  # fmt: skip
    parser.set_defaults(run=run, **{LATER: True})


def _place(text: str) -> Path | Address:
    """An archive, or a folder, as an argument.

    Raises:
        InputError: E_ARCHIVE, an address of something else.
    """
    return archive_at(text) if is_address(text, plain=True) else Path(text)


def run(args: argparse.Namespace) -> int:
    """Watch until it is stopped; with `--once` 2 where something failed.

    Raises:
        ValueError: an option that makes no sense.
        InputError: the source, the rules or the bundle cannot be used; E_BUNDLE, it takes what is
            not looked for.
    """
    from ..bundle.spec import read_spec
    from ..files import check_writable
    from ..outputs.results import Results, check_apart
    from ..tasks.predictor import Predictor
    from ..tasks.task import task_of
    from ..watch.ledger import opened
    from ..watch.rules import rules_for
    from ..watch.turn import Turn
    from ..watch.watcher import Watcher

    if args.every <= 0 or args.settle < 0 or (args.days is not None and args.days < 0):
        raise ValueError("--every, --settle and --days count up; give numbers above 0")
    spec = read_spec(args.bundle)
    task = task_of(spec)
    if task.kind == "sequences":
        raise InputError(
            "E_BUNDLE", spec.folder, "it takes several MR sequences of a patient, which are not "
            "looked for.", "Give a bundle that takes one volume, or radiographs.",
        )  # fmt: skip
    args.output = args.output or Path("results") / spec.name
    given = {name: getattr(args, name) for name in
             ("modality", "body_part", "description", "exclude", "min_images")}  # fmt: skip
    rules = rules_for(args.rules, given, modality=spec.modality, kind=task.kind)
    check_writable(args.output)
    if isinstance(args.place, Path):
        check_apart(args.output, [], [args.place])
    source = _looked_at(args, task, rules.modality)
    introduce(spec.folder, trust=args.trust, quiet=args.quiet)
    storing = None if args.store is None else Storing(args.store, args.output)
    formats = _formats(args, spec, task)
    results = Results(args.output, spec, formats, asked_of(args), args.device,
                      engine=engine_of(args))  # fmt: skip
    known = f"{spec.name} {spec.version} {spec.weights_sha256[:12]}"
    with opened(args.output) as ledger, Predictor(results, args.time_limit) as predictor:
        watcher = Watcher(
            ledger, rules, known, settle_s=args.settle, every=args.all_series,
            renew=args.new_version,
        )  # fmt: skip
        if args.only_new and ledger.is_new:
            watcher.pass_present(source.poll(()))
        turn = Turn(source, watcher, ledger, predictor, storing, _say(quiet=args.quiet))
        return _once(turn) if args.once else _for_ever(turn, args.every)


def _looked_at(args: argparse.Namespace, task: "Task", modality: tuple[str, ...]) -> "Source":
    from ..watch.folder import FolderSource
    from ..watch.sources import ArchiveSource

    if isinstance(args.place, Path):
        return FolderSource(args.place, task)
    return ArchiveSource(
        open_archive(args.place), modality=modality, days=args.days,
        radiographs=task.kind == "radiograph",
    )  # fmt: skip


def _formats(args: argparse.Namespace, spec: "Spec", task: "Task") -> list[str] | None:
    """The files of each case; None for all that an answer has."""
    asked = args.format or (None if task.formats is None else [*task.report, "json"])
    possible = [name for name, output in OUTPUTS.items() if not output.lacks(task.gives)]
    if args.store is None:
        return None if asked is None else expanded(asked, possible)
    return formats_to_store(asked, possible, spec.task)


def _say(*, quiet: bool) -> Any:
    """Prints a line with the time before it; what failed to stderr."""

    def say(line: str, failed: bool) -> None:
        if not quiet or failed:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            print(printable(f"{now} {line}"), file=sys.stderr if failed else sys.stdout, flush=True)

    return say


def _once(turn: "Turn") -> int:
    """Look, wait for what is not complete yet, look again, and end."""
    failed = turn()
    if turn.watcher.due_s is not None:
        time.sleep(turn.watcher.due_s)
        failed += turn()
    return 2 if failed else 0


def _for_ever(turn: "Turn", every_s: float) -> int:
    """Look until it is stopped; what does not answer is asked again, and said once."""
    said = ""
    while True:
        try:
            turn()
            if said:
                turn.say("the source answers again", False)
            said = ""
        except InputError as error:
            if error.code not in AT_PRESENT:
                raise
            if said != str(error):
                turn.say(f"{error} It is asked again every {every_s:g} s.", True)
            said = str(error)
        time.sleep(every_s)
