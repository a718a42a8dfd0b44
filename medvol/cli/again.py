# SPDX-License-Identifier: Apache-2.0
"""`medvol predict --again`: an earlier run, repeated by its record, and what differs."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..outputs.again import OPTIONS, differences, earlier_run, same_mask
from ..owned import RUN, read_record

if TYPE_CHECKING:
    from ..outputs.again import Record


def add_again(parser: argparse.ArgumentParser) -> None:
    """Add `--bundle`, and `--again`, which names one too."""
    parser.add_argument("--bundle", help="name, NAME@VERSION, folder or .zip of a bundle")
    parser.add_argument(
        "--again", type=Path, metavar="RUN.JSON",
        help="repeat the run of this record, with its bundle and its options, and say what "
        "differs: in the image, the bundle, the versions, the result",
    )  # fmt: skip


def take_over(args: argparse.Namespace) -> "Record | None":
    """The earlier run that is repeated, and its bundle and options put in place; None without one.

    An option that is given stands before that of the earlier run.

    Raises:
        InputError: as for `earlier_run`.
        ValueError: neither run nor bundle is given.
    """
    if args.again is None:
        if args.bundle is None:
            raise ValueError("no bundle is given; name one with --bundle")
        return None
    before = earlier_run(args.again)
    args.bundle = args.bundle or before["bundle"]["name"]
    args.format = args.format or before.get("formats")
    args.overwrite = True
    for option in OPTIONS:
        given = getattr(args, option)
        if given is None or given is False:  # 0 is a threshold
            setattr(args, option, before.get("asked", {}).get(option))
    return before


def compared(before: "Record", folder: Path) -> Iterator[str]:
    """What differs between an earlier run and the one whose files lie in a folder, a line each."""
    after = read_record(folder / RUN)
    different = differences(before, after)
    yield from (f"differs: {clause}" for clause in different)
    same = same_mask(before, after)
    if same is not None:
        yield f"the mask is {'the same' if same else 'another'}, byte by byte"
    elif not different:
        yield "nothing differs"
