# SPDX-License-Identifier: Apache-2.0
"""All cases of a run: their table and their page say what their records say, and nothing more."""

import csv
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import Spec, read_spec
from medvol.errors import InputError
from medvol.outputs import case_index, case_table
from medvol.outputs.cases import CaseRow, Cases, column

SPECS = {spec.name: spec for spec in map(read_spec, shipped_bundles())}
CT, XRAY = SPECS["covid_ct_lesion_3d"], SPECS["chest_xray_pneumonia"]
SLICES = SPECS["covid_ct_slice_classifier"]
JPEG = b"\xff\xd8 a picture"


def measured(*volumes_ml: float) -> list[dict[str, Any]]:
    """Ground-glass opacity, consolidation and the rest of the lung, as run.json has them."""
    whole = sum(volumes_ml)
    return [
        {"value": value, "name": label.name, "volume_ml": ml,
         "share_percent": 100 * ml / whole if whole else None}
        for value, (label, ml) in enumerate(zip(CT.labels, volumes_ml, strict=True), 1)
    ]  # fmt: skip


FOUND = {
    "measurements": measured(30.0, 10.0, 360.0),
    "notes": [["N_SQUEEZED", "One frame."]],
    "remarks": ["One window at a time."],
    "times_s": {"read": 0.25, "network": 2.0},
    "files": {"report.html": "", "run.json": ""},
}
REFUSAL = InputError("E_CORRUPT", "/home/Jane Doe/ct/=b.nii", "/home/Jane Doe/ct/=b.nii is cut.",
                     "Copy it.")  # fmt: skip
ROWS = [
    CaseRow("a/x1", "/home/Jane Doe/ct/a/x1.nii", FOUND, thumbnail=JPEG),
    CaseRow("=b", "/home/Jane Doe/ct/=b.nii", refusal=REFUSAL),
    CaseRow("c", "/home/Jane Doe/ct/c.nii"),
]


def table(spec: Spec, rows: list[CaseRow], folder: Path) -> list[dict[str, str]]:
    case_table.write(folder / "cases.csv", Cases(spec, rows))
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_a_case(tmp_path: Path) -> None:
    first, second, third = table(CT, ROWS, tmp_path)
    assert [first[x] for x in ("case", "file", "state", "answer")] == [
        "a/x1", "x1.nii", "predicted", "",
    ]  # fmt: skip
    # 40 of 400 ml
    assert (first["lesion_ml"], first["lesion_share_of_lung_percent"]) == ("40", "10")
    assert (first["consolidation_ml"], first["consolidation_share_of_lung_percent"]) == (
        "10", "2.5",
    )  # fmt: skip
    assert first["lung_ml"] == "400"
    assert "lung_share_of_lung_percent" not in first
    assert first["notes"] == "N_SQUEEZED One frame. One window at a time."
    assert (first["lung_rest_ml"], first["ground-glass_opacity_ml"]) == ("360", "30")
    assert [first[x] for x in ("seconds", "read_s", "prepare_s", "network_s")] == [
        "2.250", "0.250", "", "2.000",
    ]  # fmt: skip
    assert list(second.values()).count("") == len(second) - 6
    assert [second[x] for x in ("case", "file", "state", "refusal", "reason", "remedy")] == [
        "'=b", "'=b.nii", "refused", "E_CORRUPT", "'=b.nii is cut.", "Copy it.",
    ]  # fmt: skip
    assert [third["state"], third["seconds"]] == ["not reached", ""]
    assert "Jane" not in (tmp_path / "cases.csv").read_text(encoding="utf-8")


def test_an_empty_organ_has_no_share(tmp_path: Path) -> None:
    nothing = {**FOUND, "measurements": measured(0.0, 0.0, 0.0)}
    (row,) = table(CT, [CaseRow("a", "a.nii", nothing)], tmp_path)
    assert (row["lesion_ml"], row["lesion_share_of_lung_percent"]) == ("0", "")


def test_columns_are_those_that_any_case_has(tmp_path: Path) -> None:
    gated = {**FOUND, "slices": {"number": 60, "number_found": 7, "longest_run_mm": 35.0,
                                 "highest_probability": 0.93}}  # fmt: skip
    first, second = table(CT, [CaseRow("a", "a", FOUND), CaseRow("b", "b", gated)], tmp_path)
    assert first["slices_found"] == ""
    assert [second[x] for x in ("slices", "slices_found", "longest_run_mm")] == ["60", "7", "35"]


def test_burden_by_part_of_the_organ(tmp_path: Path) -> None:
    right = {"lung_ml": 200.0, "lesion_ml": 12.5, "lesion_percent": 6.25}
    left = {"lung_ml": 0.0, "lesion_ml": 0.0, "lesion_percent": None}
    parts = [{"region": "right lung", **right}, {"region": "left lung", **left}]
    found = {**FOUND, "regions": parts, "severity_score": 7, "lesions": {"number": 2}}
    (row,) = table(CT, [CaseRow("a", "a", found)], tmp_path)
    assert [row[f"right_lung_{x}"] for x in ("lung_ml", "lesion_ml", "lesion_percent")] == [
        "200", "12.5", "6.25",
    ]  # fmt: skip
    assert [row["left_lung_lung_ml"], row["left_lung_lesion_percent"]] == ["0", ""]
    assert (row["severity_score"], row["lesions"]) == ("7", "2")


def classes(name: str, *shares: float) -> dict[str, Any]:
    return {
        "answer": name,
        "classes": {"probability": dict(zip(XRAY.classes, shares, strict=True))},
    }


def test_classes(tmp_path: Path) -> None:
    rows = [CaseRow("a", "a.png", classes("pneumonia", 0.25, 0.75)),
            CaseRow("b", "b.png", refusal=REFUSAL)]  # fmt: skip
    first, second = table(XRAY, rows, tmp_path)
    assert [first["answer"], first["probability_normal"], first["probability_pneumonia"]] == [
        "pneumonia", "0.25", "0.75",
    ]  # fmt: skip
    assert second["probability_normal"] == ""


@pytest.mark.parametrize(
    ("spec", "rows", "words"),
    [
        (CT, ROWS, "3 cases: 1 predicted, 1 refused, 1 not reached"),
        (CT, ROWS[:1], "1 case: 1 predicted"),
        (XRAY, [CaseRow("a", "a", classes("pneumonia", 0.25, 0.75)), ROWS[1]],
         "2 images: 0 normal, 1 pneumonia, 1 refused"),
        (SLICES, [CaseRow(x, x, {"answer": f"{x}lesion found"}) for x in ("no ", "", "no ")],
         "3 cases: 1 lesion found, 2 no lesion found"),
    ],
)  # fmt: skip
def test_how_many_of_which_answer(spec: Spec, rows: list[CaseRow], words: str) -> None:
    assert str(Cases(spec, rows)) == words


def test_how_many_were_complete_already() -> None:
    again = [CaseRow("x2", "x2.nii", FOUND), *ROWS]
    said = [Cases(CT, again).summary(complete) for complete in (0, 1, 2)]
    rest = "1 refused, 1 not reached"
    assert said == [
        f"4 cases: 2 predicted, {rest}", f"4 cases: 1 predicted, {rest}; 1 complete already",
        f"4 cases: {rest}; 2 complete already",
    ]  # fmt: skip
    assert Cases(CT, again[:2]).summary(2) == "2 cases: 2 complete already"


def page(spec: Spec, rows: list[CaseRow], folder: Path) -> str:
    case_index.write(folder / "index.html", Cases(spec, rows))
    return (folder / "index.html").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    """Texts of the cells of a row of the page."""
    found = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", cell)).split()) for cell in found]


def test_the_page_has_a_row_a_case_with_link_picture_and_reason(tmp_path: Path) -> None:
    text = page(CT, ROWS, tmp_path)
    head, *lines = text.split("<tr")[1:]
    assert cells(head) == ["", "case", "lesion, ml", "% of lung", "lung, ml", "time", "notes"]
    assert [cells(line) for line in lines] == [
        [
            "",
            "a/x1",
            "40.0",
            "10.0",
            "400.0",
            "2.2 s",
            "N_SQUEEZED One frame. One window at a time.",
        ],
        ["", "'=b", "", "", "", "", "refused E_CORRUPT: =b.nii is cut. Copy it."],
        ["", "c", "", "", "", "", "not reached"],
    ]
    assert 'href="./a/x1/report.html"' in lines[0]
    assert "data:image/jpeg;base64," in lines[0]
    assert "<img" not in lines[1]
    assert "<a" not in lines[1]
    assert 'data-sort="40.0"' in lines[0]
    assert "Research use only" in text
    assert "Jane" not in text


def test_the_page_loads_nothing_and_runs_its_own_script_only(tmp_path: Path) -> None:
    rows = [CaseRow("<script>alert(1)</script>", "x", FOUND)]
    text = page(CT, rows, tmp_path)
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in text
    assert "://" not in text.replace("http-equiv", "")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        r"script-src 'sha256-[\w+/]{43}='", policy,
    )  # fmt: skip


def test_the_page_of_classes_and_of_slices(tmp_path: Path) -> None:
    line = page(XRAY, [CaseRow("a", "a", classes("pneumonia", 0.25, 0.75))], tmp_path)
    assert cells(line.split("<tr")[2])[:4] == ["", "a", "pneumonia", "0.75"]
    quick = {**classes("normal", 0.75, 0.25), "times_s": {"network": 0.04}}
    line = page(XRAY, [CaseRow("a", "a", quick)], tmp_path)
    assert cells(line.split("<tr")[2])[4] == "0.04 s"
    slices = {"number": 60, "number_found": 7, "longest_run_mm": 35.2, "highest_probability": 0.9}
    found = {"answer": "lesion found", "slices": slices}
    head, line = page(SLICES, [CaseRow("a", "a", found)], tmp_path).split("<tr")[1:]
    assert cells(head)[2:5] == ["answer", "slices found", "longest run, mm"]
    assert cells(line)[2:5] == ["lesion found", "7", "35"]


def test_names_of_columns_are_one_word() -> None:
    assert column("lung (rest)", "share of", "left  lung") == "lung_rest_share_of_left_lung"


def test_what_is_written_of_all_cases_needs_neither_torch_nor_monai() -> None:
    """The process that writes it has neither: to load them takes longer than most folders."""
    modules = "case_index, medvol.outputs.case_table"
    heavy = "{'torch', 'monai', 'scipy', 'matplotlib'}"
    code = f"import sys, medvol.outputs.{modules}; print(*{heavy}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
