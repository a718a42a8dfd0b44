# SPDX-License-Identifier: Apache-2.0
"""What commands have to do with an archive: images by their address, `--store`, what is said."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..dicomweb import open_archive
from ..dicomweb.address import Address, is_address, parse_address
from ..errors import InputError, printable
from ..failures import FAILURES, failure
from ..outputs.archived import Storing
from ..text import counted

if TYPE_CHECKING:
    from ..bundle.spec import Spec
    from ..dicomweb.at_hand import AtHand
    from ..dicomweb.client import Archive
    from ..tasks.cases import Case
    from ..tasks.predicting import Outcome
    from ..tasks.task import Task


def image(text: str) -> Path | Address:
    """A path, or the address of a study or series, as an argument.

    Raises:
        InputError: E_ARCHIVE, an address that names nothing that can be asked.
    """
    if not is_address(text):
        return Path(text)
    address = parse_address(text)
    if address.study is None:
        raise InputError(
            "E_ARCHIVE", text, "it names an archive, not a study or a series in it.",
            "Put /studies/UID behind it; or look for new studies with medvol watch.",
        )  # fmt: skip
    return address


def add_store(parser: argparse._ActionsContainer) -> None:
    """Add `--store`, the archive that DICOM results are sent to."""
    parser.add_argument(
        "--store", type=archive_at, metavar="URL",
        help="send DICOM results (segmentation, report, picture) to this archive, such as "
        "dicomweb+https://HOST/dicom-web; credentials come from the environment or a file",
    )  # fmt: skip


def archive_at(text: str) -> Address:
    """The address of an archive as an argument, with "dicomweb+" or without.

    Raises:
        InputError: E_ARCHIVE, it names nothing that can be asked, or a study.
    """
    address = parse_address(text)
    if address.study is not None:
        reason = "it names a study; results go to the archive, and to the study that they are of."
        raise InputError("E_ARCHIVE", text, reason, f"Give {address.archive}.")
    return address


def fetched(
    images: Sequence[Path | Address], hand: "AtHand", task: "Task", spec: "Spec",
    args: argparse.Namespace,
) -> tuple[list[Path], list["Case"]]:  # fmt: skip
    """Paths of all images, those of an archive fetched, and cases of those that could not be.

    Args:
        images: as they were given.
        hand: where they are fetched to.
        task, spec: of the bundle.
        args: of the command, with `series` and `quiet`.

    Raises:
        InputError: E_BUNDLE, the bundle takes nothing that lies in an archive.
    """
    from ..tasks.cases import Case

    paths: list[Path] = []
    refused: list[Case] = []
    archives: dict[str, Archive] = {}
    for given in images:
        if isinstance(given, Path):
            paths.append(given)
            continue
        if task.kind == "sequences":
            raise InputError(
                "E_BUNDLE", spec.folder, "it takes several MR sequences, which medvol does not "
                "find in an archive by themselves.",
                "Export the sequences, and give their folder.",
            )  # fmt: skip
        started = time.perf_counter()
        try:
            archive = archives.get(given.root) or open_archive(given)
            archives[given.root] = archive
            archive.session.where = str(given)
            path, found = hand.get(
                archive, given, wanted=args.series, alone=task.kind == "radiograph"
            )
        except FAILURES as error:  # one study does not stop the others
            refusal = hand.refusal(failure(error, str(given)))
            refused.append(Case(given.case, given.case, error=refusal))
            continue
        paths.append(path)
        if not args.quiet:
            size = f"{found.size_bytes / 1e6:.1f} MB in {time.perf_counter() - started:.1f} s"
            count = counted(len(found.files), "instance")
            print(printable(f"medvol: {given} is {given.case}: {count}, {size}"), file=sys.stderr)
    return paths, refused


def shown(case: "Case", hand: "AtHand") -> "Case":
    """A case as its user knows it: without the folder that it was fetched into."""
    return replace(case, source=hand.shown(Path(case.path)))


def plainly(found: "Outcome | InputError", hand: "AtHand") -> "Outcome | InputError":
    """What came of a case; a refusal with addresses in place of the folders it was fetched into."""
    return hand.refusal(found) if isinstance(found, InputError) else found


def after(
    storing: Storing, case: str, found: "Outcome | InputError", stored: dict[str, int]
) -> "Outcome | InputError":
    """What came of a case when its results were sent, too.

    Args:
        storing: sends them.
        case: its name.
        found: what came of it before.
        stored: gets name of the case to how many objects the archive has of it.

    Returns:
        E_ARCHIVE, they could not be stored; the files stay where they are.
    """
    if isinstance(found, InputError):
        return found
    try:
        number = storing.store(case, found.found.get("files", ()))
    except InputError as error:
        return error
    stored[case] = number
    words = f"stored {counted(number, 'object')} in {storing.address}"
    return found._replace(said=f"{found.said}; {words}")
