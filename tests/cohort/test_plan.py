# SPDX-License-Identifier: Apache-2.0
"""Plans of cohorts: what a table says, what it may leave out, and where it is wrong."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.refusals import refused_by

from medvol.cohort.plan import COLUMNS, Unit, read_plan, write_plan

ADDRESS = "dicomweb+https://archive.example/rs/studies/1.2.3"
UNITS = [
    Unit("site/a", "/in/a.nii.gz", "lesions", "1.2.3", "Müller, A", "north", 123456789012),
    Unit("site/a", "/in/a.nii.gz", "gate", group="=1+1"),
    Unit("b", ADDRESS, "lesions", size_bytes=1),
]


def plan_of(folder: Path, text: str, name: str = "plan.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["plan.csv", "plan.parquet"])
def test_a_plan_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    write_plan(tmp_path / name, UNITS)
    assert read_plan(tmp_path / name) == UNITS
    assert [unit.key for unit in UNITS] == ["lesions/site/a", "gate/site/a", "lesions/b"]


def test_a_name_that_is_not_utf_8_is_kept_by_csv_and_refused_by_parquet(tmp_path: Path) -> None:
    unit = Unit("a", "/in/\udcff.nii.gz", "lesions")
    write_plan(tmp_path / "plan.csv", [unit])
    assert b"/in/\xff.nii.gz" in (tmp_path / "plan.csv").read_bytes()
    assert read_plan(tmp_path / "plan.csv") == [unit]
    refusal = refused_by(lambda: write_plan(tmp_path / "plan.parquet", [unit]), "E_PLAN")
    assert "not UTF-8" in refusal.reason
    assert not (tmp_path / "plan.parquet").exists()


def test_a_path_is_enough(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"Path\nP1/ct.nii.gz\nP2/sub/ct.nii.gz\n\nP2\n{ADDRESS}\n")
    assert read_plan(plan, ["lesions", "gate"])[1:4:2] == [
        Unit("P1/ct", str(tmp_path / "P1/ct.nii.gz"), "gate"),
        Unit("P2/sub/ct", str(tmp_path / "P2/sub/ct.nii.gz"), "gate"),
    ]
    assert [unit.case for unit in read_plan(plan, ["gate"])] == [
        "P1/ct", "P2/sub/ct", "P2", "study_c47f5b18b8a4",
    ]  # fmt: skip


def test_cases_without_a_name_get_one_that_is_not_taken(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "case,path,series\nct,x.png,\n,in/CT.nii,\n,in/ct.nii,7\n,in/ct.nii,8")
    assert [x.case for x in read_plan(plan, ["a"])] == ["ct", "CT_2", "ct_3", "ct_4"]


def test_tables_of_spreadsheets_are_read(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "\ufeffcase;path;weight;Group;bundle\r\n1;'=a,b.nii;80,5;x;gate\r\n")
    heard: list[str] = []
    assert read_plan(plan, ["lesions"], remark=heard.append) == [
        Unit("1", str(tmp_path / "=a,b.nii"), "gate", group="x")
    ]
    assert heard == [f"{plan}: nothing is read from 1 column: weight."]


def test_numbers_of_a_parquet_table_are_names(tmp_path: Path) -> None:
    table = pa.table({"case": [7, 8], "path": ["a", "b"], "patient": [12, None]})
    pq.write_table(table, tmp_path / "plan.parquet")
    found = read_plan(tmp_path / "plan.parquet", ["gate"])
    assert [(unit.case, unit.patient) for unit in found] == [("7", "12"), ("8", "")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column path (its first line: none)"),
        ("case,file\n", "no column path (its first line: case, file)"),
        ("path\n", "no row"),
        ("path,case\na,b\na\n", "line 3: it has 1 cells for 2 columns"),
        ("path,case\n,b\n", "line 2: it has no path"),
        ("path,bundle\na,\n", "line 2: it names no bundle"),
        ("path,bundle\na,x/y\n", "line 2: no folder for results can be called x/y/a"),
        ("path,bundle\na,Ledger\n", "no folder for results can be called Ledger/a"),
        ("path,case,bundle\na,../b,x\n", "no folder for results can be called x/../b"),
        ("path,case,bundle\na,con,x\n", "no folder for results can be called x/con"),
        ("path,bundle,size_bytes\na,x,-1\n", "size_bytes is '-1', which is no number"),
        ("path,case,bundle\na,p,x\n\nb,P,x\n", "line 4: x/P is in line 2 already"),
        ("path,bundle\ndicomweb+https://h/rs,x\n", "https://h/rs names no study"),
        ("path,bundle\nhttp://h/rs/studies/1,x\n", "http://h/rs/studies/1 is no file"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, text)
    assert words in refused_by(lambda: read_plan(plan), "E_PLAN").reason


def test_files_that_are_no_plan_are_refused(tmp_path: Path) -> None:
    assert "no kind" in refused_by(lambda: read_plan(tmp_path / "plan.xlsx"), "E_PLAN").reason
    assert "no kind" in refused_by(lambda: write_plan(tmp_path / "plan", UNITS), "E_PLAN").reason
    refused_by(lambda: read_plan(tmp_path / "plan.csv"), "E_PATH")
    refused_by(lambda: read_plan(tmp_path / "plan.parquet"), "E_PATH")
    text = plan_of(tmp_path, "path\na\n", "text.parquet")
    assert "not Parquet" in refused_by(lambda: read_plan(text), "E_PLAN").reason


def test_without_pyarrow_parquet_names_what_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"a plan in Parquet needs .* 'medvol\[cohort\]'"):
        write_plan(tmp_path / "plan.parquet", UNITS)
    write_plan(tmp_path / "plan.csv", UNITS)
    assert (tmp_path / "plan.csv").read_text("utf-8").startswith(",".join(COLUMNS) + "\nsite/a,")


def test_a_plan_is_the_same_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("plans", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "plans" / "plan.csv").write_text("path,bundle\nct.nii.gz,lungs\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    (unit,) = read_plan("../plans/plan.csv")
    assert unit.path == str(tmp_path / "plans" / "ct.nii.gz")
