# SPDX-License-Identifier: Apache-2.0
"""Making the plan of a cohort: a tree of folders is searched once, for what some bundles take."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from ..failures import path_error
from ..files import read_csv
from ..tasks.cases import Reader
from .finding import Image, named, order, taker_for
from .plan import Unit
from .walk import Kept, search

CLOSED = "folder that may not be opened"
OTHERWISE = "image of another path"


@dataclass(frozen=True)
class Paths:
    """What the path of an image, below the folder that is searched, says of it.

    Args:
        only: regular expression; images whose path does not match it are no cases.
        patient, group: regular expressions; of what matches, the first group in brackets, or all.
            None for no name; of DICOM a patient then has one that does not say who it is.
    """

    only: re.Pattern[str] | None = None
    patient: re.Pattern[str] | None = None
    group: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Made:
    """A plan, and what was left out of it.

    Args:
        units: by the places of their images, as in a listing by name.
        files: number of files that are no images, by their kind, and of what could not be opened.
        others: by the name of each bundle, number of images that are no cases of it, by what they
            are.
    """

    units: list[Unit]
    files: Counter[str]
    others: Mapping[str, Counter[str]]


def kept_beside(plan: Path) -> Path:
    """The file with what was read for a plan: beside it, and hidden, so that no search of images
    takes it for a damaged slice.

    Example:
        >>> kept_beside(Path("a/plan.csv")).as_posix()
        'a/.plan.csv.part'
    """
    return plan.with_name(f".{plan.name}.part")


def make_plan(
    root: Path,
    kept: Path,
    readers: Sequence[Reader],
    *,
    every_series: bool = False,
    paths: Paths = Paths(),
    workers: int = 1,
    heard: Callable[[int], object] = lambda _: None,
) -> Made:
    """Find the cases in a folder and in all folders in it.

    Args:
        root: that is searched.
        kept: file for what was read, see `walk.Kept`.
        readers: of bundles; with none, the plan names no bundle and has volumes of any modality.
        every_series: of each DICOM study every series is a case; else that which suits a chest CT
            best, where there are several.
        paths: which are meant, and what they say.
        workers: processes.
        heard: is called with the number of further files that were looked at.

    Raises:
        InputError: as for `walk.search` and `walk.Kept`.
    """
    root = root.absolute()
    takers = {x.spec.name: taker_for(x, root, every_series=every_series) for x in readers}
    takers = takers or {"": taker_for(None, root, every_series=every_series)}
    others = {bundle: Counter[str]() for bundle in takers}
    known, folders = Kept(kept, root), list[str]()
    try:
        folders, closed = search(root, known, workers=workers, heard=heard)
        folders.sort(key=lambda folder: folder.split("/"))
        files = Counter({CLOSED: len(closed)})
        for folder in folders:
            found = known.found(folder)
            files.update(found.others)
            for bundle, taker in takers.items():
                taker.take(found, others[bundle])
    finally:
        known.close(folders)
    rows: list[tuple[str, str, Image]] = []
    for bundle, taker in takers.items():
        every = list(taker.images(others[bundle]))
        some = [x for x in every if paths.only is None or paths.only.search(x.path)]
        others[bundle][OTHERWISE] += len(every) - len(some)
        rows += ((bundle, case, image) for case, image in named(some, root))
    rows.sort(key=lambda row: order(row[2]))
    units = [
        Unit(case, str(root / image.path), bundle, image.series,
             _part(paths.patient, image.path) or _opaque(image), _part(paths.group, image.path),
             image.size_bytes)
        for bundle, case, image in rows
    ]  # fmt: skip
    return Made(units, +files, {bundle: +counts for bundle, counts in others.items()})


def _opaque(image: Image) -> str:
    return f"patient_{image.patient}" if image.patient else ""


def _part(pattern: re.Pattern[str] | None, path: str) -> str:
    found = pattern.search(path) if pattern else None
    return "" if found is None else (found[1] if found.re.groups else found[0]) or ""


def with_groups(units: Sequence[Unit], table: Path) -> list[Unit]:
    """Units with the groups that a table names; those that it does not name stay as they are.

    Args:
        units: of a plan.
        table: CSV with a column group, and one of case, path (absolute, or from the table's folder)
            and patient; the first of these that is there counts.

    Raises:
        InputError: E_PATH, it cannot be read; E_PLAN, it lacks a column, or names no unit.
    """
    try:
        rows = read_csv(table)
    except (OSError, ValueError) as error:
        raise path_error(table, error) from error
    columns = rows[0].keys() if rows else ()
    key = next((name for name in ("case", "path", "patient") if name in columns), None)
    if key is None or "group" not in columns:
        reason = "it lacks a column group, or one of case, path or patient."
        raise InputError("E_PLAN", table, reason, "Name the columns in its first line.")
    groups = {row[key] or "": row["group"] or "" for row in rows}
    if key == "path":
        groups = {str(table.parent.absolute() / path): group for path, group in groups.items()}
    if not any(getattr(unit, key) in groups for unit in units):
        reason = f"no {key} of the plan is in it."
        raise InputError("E_PLAN", table, reason, f"Write each {key} as the plan has it.")
    return [replace(unit, group=groups.get(getattr(unit, key), unit.group)) for unit in units]
