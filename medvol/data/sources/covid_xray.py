# SPDX-License-Identifier: Apache-2.0
"""Radiographs with or without COVID-19, as a metadata.csv says.

The table is in the manner of Cohen et al. 2020; the public one is metadata.csv of
github.com/ieee8023/covid-chestxray-dataset. Columns are known by their names: `finding`, `view`,
`modality`, and `filename` or `path`; `patientid` where it is there. A copy may have more: `group`
(a better key of the patient), `covid` (1 or 0), `finding_filled`, `frontal` (1 or 0),
`near_duplicate_of` (a file), `collection` (the source), `license`.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NoReturn

from ...errors import InputError
from ...failures import path_error
from ...images.files import COPY_AGAIN
from ...text import counted
from ..classes import ClassSet, class_source
from ..findings import (
    COVID,
    FLAGS,
    LEFT_OUT,
    NO_COVID,
    class_of_finding,
    modality,
    parse_said,
)
from ..picture_files import find_pictures
from ..split import PictureFile, drawn
from .kermany import read_name

Row = Mapping[str, str]
NAMES = (NO_COVID, COVID)
NEEDED = ("finding", "view", "modality")
FILE_COLUMNS = ("path", "filename")
FINDING_COLUMNS = ("finding_filled", "finding")
FRONTAL_VIEWS = (["pa"], ["ap"])  # first words of views: AP Supine, AP Erect, PA
MOST_WORDS = 5  # unknown ones in a message
PUBLISHED_SIZES = {"training": 153, "validation": 79, "test": 83}
ABOUT = {
    "name": "Chest radiographs: COVID-19",
    "description": "Radiographs with COVID-19, and without: other findings and none",
    "licence": "as each item says; non-commercial where one of them does",
    "reference": "Cohen et al., arXiv 2006.11988, github.com/ieee8023/covid-chestxray-dataset; "
    "and the sources that the items name",
}


def read(
    scratch: Path,
    *,
    metadata: Path,
    images: Sequence[Path],
    second: Sequence[Path] | None = None,
    as_published: bool = False,
    all_views: bool = False,
    finding: Sequence[str] | None = None,
) -> ClassSet:
    """Sort radiographs into train, validation and test (70/15/15), CT aside, draw samples.png.

    Args:
        scratch: takes what is unpacked.
        metadata: CSV with the columns finding, view, modality, filename and more.
        images: folder of pictures, or .zip archives.
        second: folder or .zip archives with further pictures, all without COVID-19.
        as_published: 315 images (153/79/83) with children's radiographs of --second as the only
            negatives, for comparison with the published detector.
        all_views: take lateral views and those of unknown view too.
        finding: what findings are that medvol does not know, each "WORD=covid" or "WORD=no_covid";
            "WORD=" leaves its rows out.

    Raises:
        InputError: as for `covid_set` and `published`, and what `find_pictures` refuses.
        ValueError: as for `findings.parse_said`.
    """
    said = parse_said(finding or ())
    files = find_pictures(images, scratch)
    others = find_pictures(second, scratch) if second else None
    found = covid_set(metadata, files, second=others, all_views=all_views, said=said)
    return published(found) if as_published else found


def covid_set(
    table: Path,
    files: Mapping[str, Path],
    *,
    second: Mapping[str, Path] | None = None,
    all_views: bool = False,
    said: Mapping[str, str] = MappingProxyType({}),
) -> ClassSet:
    """Radiographs of a table with covid or no_covid; CT images set aside.

    Args:
        table: the CSV.
        files: as from `picture_files.find_pictures`; those that no row names are passed by.
        second: pictures of another source, all without COVID-19.
        all_views: also lateral views and those of which the table does not say the view.
        said: what findings are that `findings` does not list, see `findings.parse_said`.

    Raises:
        InputError: E_PATH, E_EMPTY, E_FORMAT, the table; E_LABELS, words that are not known;
            E_EMPTY, no row has its picture in `files`, or one class is empty; E_FORMAT, a name that
            two files have.
    """
    rows = read_table(table)
    found = _files_of(rows, files, table)
    left: Counter[str] = Counter()
    pictures: list[PictureFile] = []
    ct: list[Path] = []
    places: dict[str, int] = {}
    unknown: Counter[tuple[str, str]] = Counter()
    for row, path in zip(rows, found, strict=True):
        name = _class(row, said)
        reason = "" if all_views else _not_frontal(row)
        kind = modality(row["modality"])
        if path is None:
            left["their picture is not in what was given"] += 1
        elif kind == "ct":
            ct.append(path)
        elif kind != "radiograph":
            left["neither radiograph nor CT"] += 1
        elif reason is None:
            unknown["frontal", row["frontal"]] += 1
        elif not reason and name is None:
            column = "covid" if "covid" in row else _finding_column(row)
            unknown[column, row[column]] += 1
        elif reason or not name:
            left[reason or "the finding is not known"] += 1
        else:
            places[_file_name(row)] = len(pictures)
            pictures.append(_picture(row, path, name))
    if unknown:
        _refuse_unknown(table, unknown)
    notes = [f"{counted(rows, 'row')} left out: {reason}." for reason, rows in left.items()]
    if unnamed := len({*files.values()}.difference(filter(None, found))):
        notes.append(f"{counted(unnamed, 'picture')} passed by, since no row names them.")
    notes.append(f"Sources: {_sources(pictures)}.")
    if ct:
        notes.append(f"Set aside: {counted(len(ct), 'CT image')}.")
    pairs = tuple(_near_duplicates(rows, places))
    others = [_second_picture(path) for path in dict.fromkeys((second or {}).values())]
    if others and any(read_name(picture.path.stem) for picture in others):
        notes.append(
            "The second source is of children; a network may learn to tell age instead of disease."
        )
    if {picture.name for picture in (*pictures, *others)} != set(NAMES):
        reason = "its pictures are all of one class."
        remedy = "Give pictures without COVID-19 by `--second`, or both archives of the images."
        raise InputError("E_EMPTY", table, reason, remedy)
    return ClassSet(
        [*pictures, *others], NAMES, ABOUT, tuple(notes), pairs, {"ct": ct} if ct else {}
    )


def read_table(path: Path) -> list[Row]:
    """Rows of the CSV by column names in lower case, values without spaces around them.

    Raises:
        InputError: E_PATH, it cannot be opened; E_EMPTY, no rows; E_FORMAT, not CSV in UTF-8, or a
            column is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = {name.strip().lower() for name in reader.fieldnames or () if name}
            rows: list[Row] = [{k.strip().lower(): (v or "").strip() for k, v in row.items() if k}
                    for row in reader]  # fmt: skip
    except OSError as error:
        raise path_error(path, error) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "E_FORMAT", path, f"this is not a table as CSV ({error}).", "Save it as CSV in UTF-8."
        ) from error
    missing = [name for name in NEEDED if name not in columns]
    if not columns.intersection(FILE_COLUMNS):
        missing.append(" or ".join(FILE_COLUMNS))
    if columns and missing:
        reason = f"the column {', '.join(missing)} is missing."
        remedy = "Name the metadata.csv of the data set; upper and lower case do not matter."
        raise InputError("E_FORMAT", path, reason, remedy)
    if not rows:
        raise InputError("E_EMPTY", path, "the table has no rows.", COPY_AGAIN)
    return rows


def _class(row: Row, said: Mapping[str, str]) -> str | None:
    """covid, no_covid, "" where nobody knows, or None for a word that is not listed."""
    if "covid" not in row:
        return class_of_finding(_finding(row), said)
    flag = row["covid"].lower()
    return {True: COVID, False: NO_COVID, None: LEFT_OUT}[FLAGS[flag]] if flag in FLAGS else None


def _refuse_unknown(table: Path, words: Counter[tuple[str, str]]) -> NoReturn:
    """Refuse words that are not listed, by column and how often they are there."""
    known = [f"{word!r} in {column} ({counted(n, 'row')})" for (column, word), n in words.items()]
    more = f", and {len(known) - MOST_WORDS} more" if len(known) > MOST_WORDS else ""
    column, word = next(iter(words))
    remedy = (
        f'Say what a word is, such as --finding "{word}=no_covid"; "{word}=" leaves its rows out.'
        if column in FINDING_COLUMNS
        else "Write 1 or 0, or leave it empty."
    )
    reason = f"it has words that are not known: {', '.join(known[:MOST_WORDS])}{more}."
    raise InputError("E_LABELS", table, reason, remedy)


def _finding(row: Row) -> str:
    return row[_finding_column(row)]


def _finding_column(row: Row) -> str:
    return next(column for column in FINDING_COLUMNS if row.get(column) or column == "finding")


def _not_frontal(row: Row) -> str | None:
    """Why a picture does not count as frontal; "" where it does, None for an unknown word."""
    flag = row.get("frontal", "").lower()
    if flag not in FLAGS:
        return None
    if (frontal := FLAGS[flag]) is not None:
        return "" if frontal else "lateral views"
    view = row["view"].lower()
    if view.split()[:1] in FRONTAL_VIEWS:
        return ""
    lateral = view in ("l", "ll", "lateral")
    return "lateral views" if lateral else "the table does not say that the view is frontal"


def _picture(row: Row, path: Path, name: str) -> PictureFile:
    source = row.get("collection") or "table"
    patient = row.get("group") or row.get("patientid")
    extra = {
        "finding": _finding(row),
        "view": row["view"],
        "source": source,
        "licence": row.get("license") or row.get("licence") or "",
    }
    key = patient or path.stem
    return PictureFile(
        path, name, key if row.get("group") else f"{source}-{key}", kind=source,
        extra={key: value for key, value in extra.items() if value},
    )  # fmt: skip


def _sources(pictures: Sequence[PictureFile]) -> str:
    """How many pictures of each class come from where; a class of one source is a trap."""
    counts = Counter((p.name, p.extra["source"]) for p in pictures)
    return ", ".join(f"{number} {name} of {source}" for (name, source), number in counts.items())


def _second_picture(path: Path) -> PictureFile:
    """A picture of the second source; patient and finding by its name where that says them."""
    known = read_name(path.stem)
    patient, finding = known or (path.stem, "no COVID-19")
    extra = {"finding": finding, "source": "second"}
    return PictureFile(path, NAMES[0], f"second-{patient}", kind=f"second {finding}", extra=extra)


def _file_name(row: Row) -> str:
    """As the table has it, `/` between folders; "" where it is silent."""
    named = (row[column] for column in FILE_COLUMNS if row.get(column))
    return next(named, "").replace("\\", "/")


def _files_of(rows: Sequence[Row], files: Mapping[str, Path], table: Path) -> list[Path | None]:
    """The file of each row: the one whose name ends as the row says, else of that last name."""
    by_ending = _by_ending(files)
    found: list[Path | None] = []
    for row in rows:
        wanted = _file_name(row)
        names = by_ending.get(wanted) or by_ending.get(PurePosixPath(wanted).name, [])
        if len(names) > 1:
            reason = f"{wanted} could be {' or '.join(sorted(names)[:2])}."
            remedy = "Give one folder or archive that holds each picture once."
            raise InputError("E_FORMAT", table, reason, remedy)
        found.append(files[names[0]] if names else None)
    if not any(found):
        reason = "none of its rows has its picture in the given files."
        remedy = "Name the folder or the archives that hold the pictures of this table."
        raise InputError("E_EMPTY", table, reason, remedy)
    return found


def _by_ending(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by what they end with, whole folders counted: x/a.png by x/a.png and by a.png."""
    found: dict[str, list[str]] = {}
    for name in names:
        folders = name.split("/")
        for start in range(len(folders)):
            found.setdefault("/".join(folders[start:]), []).append(name)
    return found


def _near_duplicates(rows: Iterable[Row], places: Mapping[str, int]) -> Iterable[tuple[int, int]]:
    """Pairs of places in the list of pictures that the table calls nearly the same."""
    by_ending = _by_ending(places)
    for row in rows:
        own, names = _file_name(row), by_ending.get(row.get("near_duplicate_of", ""))
        if names and own in places and own != names[-1]:
            yield places[own], places[names[-1]]


def published(source: ClassSet) -> ClassSet:
    """The composition of a published detector: 315 radiographs, children as the negatives.

    Published are the sizes of its parts, and that normals and pneumonias of a second source were
    added. Taken here: half of each part has COVID-19, a quarter each are normals and pneumonias of
    children. A network trained on it may tell children from adults instead of disease.

    Raises:
        InputError: E_EMPTY, the second source has no pictures with names of the Kermany data set.
    """
    keep = [at for at, picture in enumerate(source.pictures) if _group(picture)]
    if {_group(source.pictures[at]) for at in keep} != {"covid", "normal", "pneumonia"}:
        reason = "the published composition needs children's radiographs."
        remedy = "Name the Kermany data set: its folder chest_xray or its archives."
        raise InputError("E_EMPTY", "--second", reason, remedy)
    notes = (*source.notes, "Negatives of the first source are left out, as published.")
    return replace(source.only(keep), notes=notes, divide=draw_published)


def draw_published(
    pictures: Sequence[PictureFile], seed: int, sizes: Mapping[str, int] = PUBLISHED_SIZES
) -> list[PictureFile]:
    """Draw patients in an order of the seed until each part is exactly full.

    Args:
        pictures: of `published`; what is not drawn is left out.
        seed: for another choice.
        sizes: pictures in each part.

    Raises:
        InputError: E_EMPTY, there are too few pictures of a kind.
    """
    parts: dict[str, str] = {}
    for kind in ("covid", "normal", "pneumonia"):
        own = Counter(p.patient for p in pictures if _group(p) == kind)
        order = [patient for patient in drawn(own, seed=seed) if patient not in parts]
        for part, size in sizes.items():
            covid, normal = size // 2, (size - size // 2) // 2
            missing = {"covid": covid, "normal": normal}.get(kind, size - covid - normal)
            for patient in [name for name in order if name not in parts]:
                if own[patient] <= missing:
                    parts[patient] = part
                    missing -= own[patient]
            if missing:
                reason = f"{missing} pictures of kind {kind} are missing for the {part} part."
                remedy = "Give all archives of both sources."
                raise InputError("E_EMPTY", "--as-published", reason, remedy)
    return [replace(p, part=parts[p.patient]) for p in pictures if p.patient in parts]


def _group(picture: PictureFile) -> str:
    """covid, normal or pneumonia; "" for what the published set did not have."""
    if picture.name == "covid":
        return "covid"
    kinds = {"normal": "normal", "bacteria": "pneumonia", "virus": "pneumonia"}
    second = picture.extra.get("source") == "second"
    return kinds.get(picture.extra.get("finding", ""), "") if second else ""


SOURCE = class_source(read, files="copy")
