# SPDX-License-Identifier: Apache-2.0
"""Radiographs of a table: which rows count, their class, patient and file; refusals."""

from collections import Counter
from pathlib import Path

import pytest
from class_phantoms import COHEN_COLUMNS, make_cohen_set, make_kermany_set, write_table
from refusals import refused_by

from medvol.data.classes import ClassSet
from medvol.data.findings import class_of_finding, modality, parse_said
from medvol.data.picture_files import find_pictures
from medvol.data.sources.covid_xray import (
    PUBLISHED_SIZES,
    covid_set,
    draw_published,
    published,
    read_table,
)
from medvol.data.split import PictureFile


def read(folder: Path, **options):
    files = find_pictures([folder / "images"], folder / ".scratch")
    return covid_set(folder / "metadata.csv", files, **options)


def one(tmp_path: Path, rows: list[dict[str, str]], **options):
    """A set of rows whose files need not exist; two more give both classes."""
    base = {"finding": "No Finding", "view": "PA", "modality": "X-ray"}
    more = [{"filename": "n.png"}, {"filename": "c.png", "finding": "COVID-19"}]
    columns = sorted({key for row in rows for key in row} | {"filename", *base})
    full = [{**dict.fromkeys(columns, ""), **base, **row} for row in [*rows, *more]]
    if "covid" in columns:
        full[-2]["covid"], full[-1]["covid"] = "0", "1"
    table = write_table(tmp_path / "t.csv", columns, [[r[c] for c in columns] for r in full])
    files = {r["filename"]: Path("/pictures", r["filename"]) for r in full}
    made = covid_set(table, files, **options)
    return made, [p for p in made.pictures if p.path.name not in ("n.png", "c.png")]


def test_public_layout_is_sorted_by_finding_view_and_modality(tmp_path):
    made = read(make_cohen_set(tmp_path))
    assert Counter(p.name for p in made.pictures) == {"covid": 20, "no_covid": 20}
    assert made.names == ("no_covid", "covid")
    assert {name: [p.name for p in paths] for name, paths in made.aside.items()} == {
        "ct": ["ct.png"]
    }
    assert made.notes == (
        "1 row left out: lateral views.",
        "1 row left out: the finding is not known.",
        "1 row left out: their picture is not in what was given.",
        "Sources: 20 covid of table, 20 no_covid of table.",
        "Set aside: 1 CT image.",
    )
    first = made.pictures[0]
    assert (first.path.name, first.patient) == ("p0_0.png", "table-0")
    assert first.extra == {
        "finding": "Pneumonia/Viral/COVID-19", "view": "PA", "source": "table", "licence": "CC BY"
    }  # fmt: skip


def test_lateral_views_can_be_taken_in(tmp_path):
    made = read(make_cohen_set(tmp_path), all_views=True)
    assert Counter(p.name for p in made.pictures) == {"covid": 21, "no_covid": 20}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"finding": "COVID-19, ARDS"}, "covid"),
        ({"finding": "Pneumonia/Viral/COVID-19"}, "covid"),
        ({"finding": "Pneumonia/Viral/SARS"}, "no_covid"),
        ({"finding": "No Finding"}, "no_covid"),
        ({"finding": "todo"}, None),
        ({"finding": "Unknown"}, None),
        ({"finding": ""}, None),
        ({"finding": "todo", "finding_filled": "COVID-19"}, "covid"),
        ({"finding": "todo", "covid": "1"}, "covid"),
        ({"finding": "COVID-19", "covid": "0"}, "no_covid"),
        ({"finding": "Unknown", "covid": ""}, None),
        ({"view": "AP Supine"}, "no_covid"),
        ({"view": "L"}, None),
        ({"view": ""}, None),
        ({"view": "?"}, None),
        ({"view": "", "frontal": "1"}, "no_covid"),
        ({"view": "PA", "frontal": "0"}, None),
        ({"view": "PA", "frontal": ""}, "no_covid"),
        ({"modality": "CT"}, None),
        ({"modality": "ultrasound"}, None),
        ({"modality": "DX"}, "no_covid"),
    ],
)
def test_class_of_a_row(tmp_path, row, name):
    _, pictures = one(tmp_path, [{"filename": "x.png", **row}])
    assert [p.name for p in pictures] == ([name] if name else [])


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"covid": "1.0"}, "covid"),
        ({"covid": "0.0"}, "no_covid"),
        ({"covid": "True"}, "covid"),
        ({"covid": "nan"}, None),
        ({"finding": "SARS-CoV-2"}, "covid"),
        ({"finding": "covid_19"}, "covid"),
        ({"finding": "Pneumonia/Bacterial, ARDS"}, "no_covid"),
        ({"finding": "Pneumonia/todo"}, None),
        ({"view": "", "frontal": "1.0"}, "no_covid"),
        ({"view": "PA", "frontal": "no"}, None),
        ({"view": "Apical"}, None),
        ({"view": "ap semi erect"}, "no_covid"),
        ({"modality": "Computed Radiography"}, "no_covid"),
    ],
)
def test_words_that_were_guessed(tmp_path, row, name):
    _, pictures = one(tmp_path, [{"filename": "x.png", **row}])
    assert [p.name for p in pictures] == ([name] if name else [])


def test_words_that_are_not_listed_are_refused_and_counted(tmp_path):
    words = ["NonCOVID", "COVID-19 negative", "NonCOVID", "Pneumonia, covid suspect"]
    rows = [{"filename": f"{n}.png", "finding": word} for n, word in enumerate(words)]
    lateral = {"filename": "l.png", "finding": "odd", "view": "L"}  # left out, so not asked about
    error = refused_by(lambda: one(tmp_path, [*rows, lateral]), "E_LABELS")
    assert (error.path, error.reason) == (
        str(tmp_path / "t.csv"),
        "it has words that are not known: 'NonCOVID' in finding (2 rows), 'COVID-19 negative' in "
        "finding (1 row), 'Pneumonia, covid suspect' in finding (1 row).",
    )
    assert '--finding "NonCOVID=no_covid"' in error.remedy
    said = parse_said(["noncovid=no_covid", "COVID-19 negative=no_covid", "covid suspect="])
    _, pictures = one(tmp_path, [*rows, lateral], said=said)
    assert [p.name for p in pictures] == ["no_covid"] * 3
    for column, word in (("covid", "2"), ("covid", "maybe"), ("frontal", "x")):
        error = refused_by(lambda: one(tmp_path, [{"filename": "x.png", column: word}]), "E_LABELS")  # noqa: B023
        assert f"{word!r} in {column} (1 row)" in error.reason
        assert error.remedy == "Write 1 or 0, or leave it empty."


def test_many_unknown_words_are_counted(tmp_path):
    rows = [{"filename": f"{n}.png", "finding": f"odd {n}"} for n in range(7)]
    assert refused_by(lambda: one(tmp_path, rows), "E_LABELS").reason.endswith("and 2 more.")


@pytest.mark.parametrize("pair", ["NonCOVID", "NonCOVID=other", "a=COVID"])
def test_what_is_said_of_a_word(pair):
    with pytest.raises(ValueError, match='give "WORD=covid", "WORD=no_covid", or "WORD="'):
        parse_said([pair])
    assert parse_said(["a=b=covid"]) == {"a=b": "covid"}


def test_modalities():
    words = ("X-Ray", "xray", "CR", "CT", "CT scan", "MR")
    assert [modality(word) for word in words] == [*["radiograph"] * 3, "ct", "ct", "mr"]


def test_patient_is_the_group_then_the_id_within_its_source_then_the_file(tmp_path):
    _, pictures = one(
        tmp_path,
        [
            {"filename": "1.png", "group": "g-1", "patientid": "5", "collection": "x"},
            {"filename": "2.png", "patientid": "5", "collection": "x"},
            {"filename": "3.png", "patientid": "5", "collection": "y"},
            {"filename": "4.png", "collection": "y"},
        ],
    )
    assert [p.patient for p in pictures] == ["g-1", "x-5", "y-5", "y-4"]
    assert [p.kind for p in pictures] == ["x", "x", "y", "y"]


def test_near_duplicates_are_pairs_whatever_folder_stands_before(tmp_path):
    made, _ = one(
        tmp_path,
        [
            {"filename": "all/a/1.png"},
            {"filename": "all/b/1.png", "near_duplicate_of": "a/1.png"},
            {"filename": "all/b/2.png", "near_duplicate_of": "gone.png"},
        ],
    )
    assert made.pairs == ((1, 0),)


def test_files_of_one_name_are_told_apart_by_their_folder_or_refused(tmp_path):
    columns = ("finding", "view", "modality", "path")
    rows = [("COVID-19", "PA", "X-ray", "a/1.png"), ("Pneumonia", "PA", "X-ray", "b/1.png")]
    table = write_table(tmp_path / "t.csv", columns, rows)
    files = {f"/in/{n}/1.png": Path(f"/in/{n}/1.png") for n in "ab"}
    assert [str(p.path) for p in covid_set(table, files).pictures] == list(files)
    table = write_table(tmp_path / "t.csv", columns, [(*row[:3], "1.png") for row in rows])
    error = refused_by(lambda: covid_set(table, files), "E_FORMAT")
    assert "could be /in/a/1.png or /in/b/1.png" in error.reason


def test_second_source_is_without_covid(tmp_path):
    folder = make_cohen_set(tmp_path / "cohen", patients=4)
    chest = make_kermany_set(tmp_path)
    made = read(folder, second=find_pictures([chest], tmp_path / "scratch"))
    second = [p for p in made.pictures if p.extra["source"] == "second"]
    assert len(second) == 34
    assert {p.name for p in second} == {"no_covid"}
    assert Counter(p.kind for p in second) == {
        "second normal": 15, "second bacteria": 11, "second virus": 8
    }  # fmt: skip
    assert "The second source is of children" in made.notes[-1]


@pytest.mark.parametrize("missing", ["finding", "view", "modality", "filename"])
def test_a_missing_column_is_named(tmp_path, missing):
    columns = [name.upper() for name in COHEN_COLUMNS if name != missing]
    table = write_table(tmp_path / "t.csv", columns, [["x"] * len(columns)])
    error = refused_by(lambda: read_table(table), "E_FORMAT")
    named = "path or filename" if missing == "filename" else missing
    assert error.reason == f"the column {named} is missing."


def test_column_names_may_be_in_capitals_and_with_a_byte_order_mark(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("\ufeffFinding, View,MODALITY,FileName\nCOVID-19 ,PA,X-ray,a.png\n")
    assert read_table(table) == [
        {"finding": "COVID-19", "view": "PA", "modality": "X-ray", "filename": "a.png"}
    ]


def test_tables_that_are_none_are_refused(tmp_path):
    refused_by(lambda: read_table(tmp_path / "none.csv"), "E_PATH")
    (tmp_path / "empty.csv").write_text("")
    refused_by(lambda: read_table(tmp_path / "empty.csv"), "E_EMPTY")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00finding")
    refused_by(lambda: read_table(tmp_path / "binary.csv"), "E_FORMAT")


def test_sets_that_teach_nothing_are_refused(tmp_path):
    folder = make_cohen_set(tmp_path, patients=1)  # COVID-19 only
    error = refused_by(lambda: read(folder), "E_EMPTY")
    assert error.reason == "its pictures are all of one class."
    error = refused_by(lambda: covid_set(folder / "metadata.csv", {}), "E_EMPTY")
    assert error.reason == "none of its rows has its picture in the given files."


def pictures(kind: str, number: int, *, each: int = 1) -> list[PictureFile]:
    """So many of a kind, `each` of a patient."""
    source = "table" if kind in ("covid", "other") else "second"
    name = "covid" if kind == "covid" else "no_covid"
    return [
        PictureFile(Path(f"{kind}{k}.png"), name, f"{kind}-{k // each}",
                extra={"finding": kind, "source": source})
        for k in range(number)
    ]  # fmt: skip


CHILDREN_AND_COVID = [
    *pictures("covid", 155, each=2), *pictures("covid", 158)[155:],
    *pictures("normal", 100), *pictures("bacteria", 60, each=3), *pictures("virus", 60),
]  # fmt: skip


def test_parts_have_the_published_sizes_and_patients_are_whole():
    drawn = draw_published(CHILDREN_AND_COVID, 0)
    counts = Counter(p.part for p in drawn)
    assert counts == PUBLISHED_SIZES == {"training": 153, "validation": 79, "test": 83}
    classes = Counter((p.part, p.name) for p in drawn)
    assert [classes[part, "covid"] for part in PUBLISHED_SIZES] == [76, 39, 41]


def test_half_has_covid_and_a_quarter_is_normal():
    made = [*pictures("covid", 8), *pictures("normal", 8), *pictures("virus", 8)]
    drawn = draw_published(made, 1, {"training": 8, "test": 5})
    assert Counter((p.part, p.extra["finding"]) for p in drawn) == {
        ("training", "covid"): 4, ("training", "normal"): 2, ("training", "virus"): 2,
        ("test", "covid"): 2, ("test", "normal"): 1, ("test", "virus"): 2,
    }  # fmt: skip
    again = draw_published(made[::-1], 1, {"training": 8, "test": 5})
    assert {p.path: p.part for p in drawn} == {p.path: p.part for p in again}


def test_too_few_pictures_are_refused():
    made = [*pictures("covid", 8), *pictures("normal", 8), *pictures("virus", 3, each=3)]
    error = refused_by(lambda: draw_published(made, 0, {"training": 8}), "E_EMPTY")
    assert error.reason == "2 pictures of kind pneumonia are missing for the training part."


def test_negatives_of_the_first_source_are_left_out():
    mixed = [*pictures("other", 2), *pictures("covid", 2), *pictures("normal", 1),
             *pictures("virus", 1)]  # fmt: skip
    source = ClassSet(mixed, ("no_covid", "covid"), {}, ("first.",), pairs=((0, 1), (2, 3)))
    made = published(source)
    assert [p.path.name for p in made.pictures] == [
        "covid0.png", "covid1.png", "normal0.png", "virus0.png"
    ]  # fmt: skip
    assert made.pairs == ((0, 1),)
    assert made.notes[0] == "first."


@pytest.mark.parametrize("second", [[], pictures("normal", 3), pictures("no COVID-19", 3)])
def test_children_of_both_kinds_are_needed(second):
    source = ClassSet([*pictures("covid", 3), *second], ("no_covid", "covid"), {})
    refused_by(lambda: published(source), "E_EMPTY")


def test_rows_of_the_real_table(real_data):
    folder = real_data / "xray_covid"
    rows = read_table(folder / "metadata.csv")
    words = {row[column] for row in rows for column in ("finding", "finding_filled")}
    by_word = {word: class_of_finding(word, {}) for word in words}
    assert {w for w, name in by_word.items() if name == "covid"} == {"COVID-19", "COVID-19, ARDS"}
    assert {w for w, name in by_word.items() if not name} == {"todo", "Unknown"}
    assert None not in by_word.values()
    files = {row["path"]: Path(row["path"]) for row in rows}
    made = covid_set(folder / "metadata.csv", files)
    assert Counter((p.name, p.extra["source"]) for p in made.pictures) == {
        ("covid", "cohen"): 235, ("covid", "hannover"): 139,
        ("no_covid", "nih"): 1000, ("no_covid", "cohen"): 94,
    }  # fmt: skip
    assert made.notes[0] == "42 rows left out: lateral views."
    assert len(made.pairs) == 5  # of the sixth one is of unknown view
    assert {p.extra["licence"] for p in made.pictures} == {row["license"] for row in rows}
    assert not made.aside
