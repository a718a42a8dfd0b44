# SPDX-License-Identifier: Apache-2.0
"""The plan of a cohort: a table that says which case is predicted with which bundle.

A plan is CSV in UTF-8 or Parquet, by its suffix, and made by `medvol cohort plan` or by hand. Of
its columns only `path` has to be there; see `Unit` for what the others say.
"""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import Any

from ..dicomweb.address import SCHEME, is_address, parse_address
from ..errors import InputError, require
from ..failures import path_error
from ..files import replacing, text_of_cell, write_csv
from ..images.find import CaseNames, case_name, for_a_folder, same_name_key
from ..text import counted

COLUMNS = ("case", "path", "bundle", "series", "patient", "group", "size_bytes")
PARQUET = ".parquet"
# what lies beside the bundles' folders in the output of a cohort
RESERVED = frozenset({"claims", "ledger", "logs", "report", "workers"})
MEND = "Mend this line of the plan."
Row = Sequence[str]  # a cell for each of `COLUMNS`


@dataclass(frozen=True, slots=True)
class Unit:
    """One case that is predicted with one bundle.

    Args:
        case: name of the case, perhaps with `/` between folders; of its results' folder too.
        path: of a file or folder, or a DICOMweb address of a study or series.
        bundle: name of the bundle.
        series: which DICOM series at the path is meant: UID, number or description; "" where there
            is one.
        patient: whom it is of; "" where that is not said.
        group: what it is compared within, such as a site; "" where that is not said.
        size_bytes: of its files; 0 where that is not known.
    """

    case: str
    path: str
    bundle: str
    series: str = ""
    patient: str = ""
    group: str = ""
    size_bytes: int = 0

    @property
    def key(self) -> str:
        """What names it in ledgers, and the folder of its results: "BUNDLE/CASE"."""
        return f"{self.bundle}/{self.case}"


def read_plan(
    path: str | os.PathLike[str],
    bundles: Sequence[str] = (),
    *,
    remark: Callable[[str], object] = lambda _: None,
) -> list[Unit]:
    """The units of a plan, in its order.

    A row without a bundle stands for a unit with each of `bundles`. Paths that are relative begin
    at the plan's folder. A row without a case is called by its path: as that lies below the folder
    that is around all rows without one.

    Args:
        path: of the table, `.csv` (with commas or semicolons) or `.parquet`.
        bundles: names of those that rows without one are for.
        remark: is called with a sentence where the table has columns that nothing is read from.

    Raises:
        InputError: E_PATH, it cannot be opened; E_PLAN, it is not such a table, names something
            twice, or lacks something; the line says where.
        ImportError: it is Parquet, and pyarrow is not installed.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)  # the same from whatever folder the plan is named
    rows = [(line, _placed(path, folder, line, row)) for line, row in _rows(path, remark)]
    if not rows:
        raise InputError("E_PLAN", path, "the plan has no row.", "Add a row for each case.")
    names = _names([row for _, row in rows])
    units, lines = [], dict[str, int]()
    for line, row in rows:
        for unit in _units(path, line, row, bundles, names):
            if first := lines.get(key := same_name_key(unit.key)):
                reason = f"line {line}: {unit.key} is in line {first} already."
                raise InputError("E_PLAN", path, reason, "Give every case a name of its own.")
            lines[key] = line
            units.append(unit)
    return units


def write_plan(path: str | os.PathLike[str], units: Iterable[Unit]) -> None:
    """Write units as a plan, whole or not at all, in their order.

    Args:
        path: of the table, `.csv` or `.parquet`.
        units: with absolute paths, or paths relative to the folder of the table.

    Raises:
        InputError: E_PLAN, another suffix, or a name that Parquet cannot hold; E_NOSPACE, it cannot
            be written.
        ImportError: it is to be Parquet, and pyarrow is not installed.
    """
    path = Path(path)
    if not is_parquet(path):
        write_csv(path, COLUMNS, map(astuple, units), errors="surrogateescape")
        return
    arrow, parquet = _arrow(), _arrow("pyarrow.parquet")
    columns = zip(COLUMNS, zip(*map(astuple, units), strict=True), strict=True)
    try:
        table = arrow.table({name: list(cells) for name, cells in columns})
    except UnicodeEncodeError as error:
        reason = f"Parquet cannot hold a name that is not UTF-8 ({error.object!r})."
        raise InputError("E_PLAN", path, reason, "Write the plan as .csv.") from error
    with replacing(path) as temporary:
        parquet.write_table(table, temporary)


def is_parquet(path: Path) -> bool:
    """Whether a plan is Parquet, by its suffix, and not CSV.

    Raises:
        InputError: E_PLAN, it has another suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", PARQUET):
        reason = "a plan is a table, and this name says of no kind that is known."
        raise InputError("E_PLAN", path, reason, "Give a .csv or .parquet file.")
    return suffix == PARQUET


def _arrow(module: str = "pyarrow") -> Any:
    return require(module, feature="a plan in Parquet", install="medvol[cohort]")


def _rows(path: Path, remark: Callable[[str], object]) -> Iterator[tuple[int, Row]]:
    """The lines of a table by their numbers, without the first, which names the columns."""
    rows = _parquet_rows(path) if is_parquet(path) else _csv_rows(path)
    _, names = next(rows, (1, []))
    names = [name.strip().lower() for name in names]
    if "path" not in names:
        reason = f"it has no column path (its first line: {', '.join(names) or 'none'})."
        raise InputError("E_PLAN", path, reason, f"Name the columns, of {', '.join(COLUMNS)}.")
    if others := [name for name in names if name not in COLUMNS]:
        remark(f"{path}: nothing is read from {counted(len(others), 'column')}: "
               f"{', '.join(others)}.")  # fmt: skip
    places = [names.index(name) if name in names else None for name in COLUMNS]
    for line, row in rows:
        if len(row) != len(names):
            reason = f"line {line}: it has {len(row)} cells for {len(names)} columns."
            raise InputError("E_PLAN", path, reason, MEND)
        yield line, ["" if place is None else row[place] for place in places]


def _csv_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """The lines of a CSV table with their numbers; empty ones are passed by."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=";" if head.count(";") > head.count(",") else ",")
            for row in reader:
                if row:
                    yield reader.line_num, [text_of_cell(x) if x[:1] == "'" else x for x in row]
    except (OSError, ValueError) as error:
        raise path_error(path, error) from error
    except csv.Error as error:
        raise InputError(
            "E_PLAN", path, f"it is not a table ({error}).", "Save it again."
        ) from error


def _parquet_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """The same of a Parquet table, as if the names of its columns were its first line."""
    arrow, parquet = _arrow(), _arrow("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            yield 1, file.schema_arrow.names
            line = 1
            for batch in file.iter_batches(10_000):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    line += 1
                    yield line, ["" if cell is None else str(cell) for cell in row]
    except OSError as error:
        raise path_error(path, error) from error
    except arrow.ArrowException as error:
        raise InputError(
            "E_PLAN", path, f"it is not Parquet ({error}).", "Save it again."
        ) from error


def _placed(plan: Path, folder: str, line: int, row: Row) -> Row:
    """A row with its path from the root on; a relative one begins at a folder."""
    case, path, *rest = row
    if not path:
        raise InputError("E_PLAN", plan, f"line {line}: it has no path.", MEND)
    if not is_address(path, plain=True):
        return [case, os.path.join(folder, path), *rest]
    address = parse_address(path)
    if not is_address(path):
        reason = f"line {line}: {path} is no file."
        raise InputError("E_PLAN", plan, reason, f"If it is an archive's, write {SCHEME}{path}.")
    if not address.study:
        reason = f"line {line}: the address {path} names no study."
        raise InputError("E_PLAN", plan, reason, "Give an address with /studies/UID.")
    return row


def _names(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """What rows without a case are called, by path and series."""
    unnamed = dict.fromkeys((row[1], row[3]) for row in rows if not row[0])
    cases = CaseNames()
    for name in dict.fromkeys(row[0] for row in rows if row[0]) if unnamed else ():
        cases.new(name)
    folders = {os.path.dirname(path) for path, _ in unnamed if not is_address(path)}
    top = os.path.commonpath(folders) if folders else ""
    return {(path, series): cases.new(_name(path, top)) for path, series in unnamed}


def _name(path: str, top: str) -> str:
    if is_address(path):
        return parse_address(path).case
    return (Path(os.path.relpath(os.path.dirname(path), top)) / case_name(path)).as_posix()


def _units(
    plan: Path, line: int, row: Row, bundles: Sequence[str], names: dict[tuple[str, str], str]
) -> Iterator[Unit]:
    """The units of a row, checked."""
    case, path, bundle, series, patient, group, size = row
    case = case or names[path, series]
    if size and not size.isdecimal():
        reason = f"line {line}: size_bytes is {size!r}, which is no number of bytes."
        raise InputError("E_PLAN", plan, reason, MEND)
    if not (own := [bundle] if bundle else bundles):
        reason = f"line {line}: it names no bundle, and none was given for such rows."
        raise InputError("E_PLAN", plan, reason, "Give --bundle, or a column bundle.")
    for name in own:
        if not _is_safe(case) or not _is_safe(name) or "/" in name or name.lower() in RESERVED:
            reason = f"line {line}: no folder for results can be called {name}/{case}."
            raise InputError("E_PLAN", plan, reason, "Choose another name.")
        yield Unit(case, path, intern(name), intern(series), intern(patient), intern(group),
                   int(size or 0))  # fmt: skip


@lru_cache(maxsize=64)  # for names of bundles, which all rows share
def _is_safe(name: str) -> bool:
    """Whether every system has a folder of this name, perhaps in others, which leads nowhere else.

    Example:
        >>> [_is_safe(name) for name in ("a/ct.1", "/a", "../a", "a//b", "con", "a ", "")]
        [True, False, False, False, False, False, False]
    """
    return "/".join(map(for_a_folder, name.split("/"))) == name
