# SPDX-License-Identifier: Apache-2.0
"""`medvol data`: turn a data set, or a made one, into a datalist; or look at one.

Each source brings its own options, see `data.sources`; `inspect` is in `inspect_data`. Exit status:
0 done, 1 a patient or a picture would stand in two parts, 2 refused.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.sources import find_source, source_names
from ..errors import printable, printable_lines
from ..text import aligned
from . import inspect_data

if TYPE_CHECKING:
    from ..data.datalist import Datalist
    from ..data.sources import Source


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `data` and its sources to the command line."""
    parser = commands.add_parser(
        "data", help="make a MONAI datalist from a data set or phantoms, or inspect one"
    )
    sources = parser.add_subparsers(
        dest="source", required=True, metavar="SOURCE", parser_class=SourceParser
    )
    inspect_data.add_to(sources)
    for name, summary in source_names().items():
        sources.add_parser(name, help=summary, source=name).set_defaults(run=run)


class SourceParser(argparse.ArgumentParser):
    """The arguments of one source, which is imported when they are needed.

    Args:
        source: name of its command; "" for a command that is none.
        settings: of `argparse.ArgumentParser`.
    """

    def __init__(self, *, source: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self.source, self.asked = source, not source

    def parse_known_args(self, *given: Any, **more: Any) -> Any:  # as argparse names it
        """Ask the source for its options, then parse."""
        if not self.asked:
            source, self.asked = find_source(self.source), True
            self.description = source.description
            where = "folder to write" if source.file else "datalist to write, .json"
            self.add_argument("-o", "--output", type=Path, required=True, help=where)
            for name, settings in source.options:
                self.add_argument(name, **settings)
        return super().parse_known_args(*given, **more)


def run(args: argparse.Namespace) -> int:
    """Make the datalist, print what it holds, and draw its picture."""
    from ..data.leaks import LeakError
    from ..owned import check_owned, filling

    given = dict(vars(args))
    name, output, _ = (given.pop(key) for key in ("source", "output", "run"))
    given.pop("command", None)
    source = find_source(name)
    file: Path = output / source.file if source.file else output
    check_owned(file.parent, filter(None, (file.name, source.picture)))
    try:
        datalist = source.make(file, **given)
    except LeakError as error:
        print(f"medvol data {name}: nothing written; {error}", file=sys.stderr)
        return 1
    if source.picture:
        with filling(file.parent) as scratch:
            _draw(source, datalist, scratch / source.picture)
    print(printable_lines(aligned(source.rows(datalist))))
    for note in datalist.about.get("notes", ()):
        print(printable(note))
    made = [file.parent / name for name in (*source.writes, source.picture) if name]
    print(printable(", ".join([f"datalist {file}", *map(str, made)])))
    return 0


def _draw(source: "Source", datalist: "Datalist", path: Path) -> None:
    """The picture of a data set, to be looked at before training."""
    from ..labels import default_table
    from ..report.overview import draw_overview, draw_slices
    from ..report.radiographs import draw_samples

    items, look = datalist.parts.get("training", ()), source.look
    if look is None:
        draw_samples(datalist.content, path)
        return
    labels = look.labels or default_table(datalist.labels)
    if look.focus:
        draw_overview(items, labels, path, focus=look.focus)
    else:
        draw_slices(items, labels, path, modality=look.modality)
