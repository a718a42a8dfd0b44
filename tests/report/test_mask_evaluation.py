# SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation, and its tables: every figure in its place, nothing loaded."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from PIL import Image
from refusals import full_disk

from medvol.bundle.claim import ClaimItem
from medvol.bundle.spec import HumanReference
from medvol.errors import InputError
from medvol.metrics.masks.comparison import EMPTY_RULE, LesionCounts, Measure, RegionFigures
from medvol.metrics.masks.evaluation import MaskCase, MaskEvaluation
from medvol.metrics.masks.lesion_matching import MatchedLesion
from medvol.report import mask_evaluation
from medvol.report.evaluation import (
    About,
    render_evaluation,
    write_evaluation,
    write_metrics_csv,
    write_metrics_json,
    write_table,
)
from medvol.report.mask_evaluation import case_line, mask_content, summary_line

NAN = math.nan
MATCHED = (
    MatchedLesion(True, 55, 40, 1, (1.0, 2.0, 3.0)),
    MatchedLesion(True, 5, 0, 0, (-12.4, 30.6, -150.0)),
    MatchedLesion(True, 1, 0, 0, (9.0, 9.0, 9.0)),  # below the smallest that counts
    *(MatchedLesion(False, 20 - n, 0, 0, (0.0, 0.0, float(n))) for n in range(7)),
)
PART = RegionFigures(40, 50, 60, 0.1, 0.75, 4.0, LesionCounts(4, 3, 5, 2), MATCHED)
WHOLE = RegionFigures(100, 100, 100, 0.1, 1.0, 0.0, None)
EMPTY = RegionFigures(0, 0, 0, 0.1, NAN, NAN, LesionCounts(0, 0, 0, 0))
FALSE = RegionFigures(0, 2000, 0, 0.1, 0.0, NAN, LesionCounts(0, 0, 2, 2))
CASES = (
    MaskCase("fair <1>", "p1", 0, {"le<sion": PART, "organ": WHOLE}, 1.25, ("N_ANISO thick.",)),
    MaskCase("none", "none", None, {"le<sion": EMPTY, "organ": WHOLE}),
    MaskCase("false", "p1", 1, {"le<sion": FALSE, "organ": WHOLE}, groups={"scanner": "<A>"}),
)
REFUSED = InputError("E_TRUNCATED", "/secret/patient/ct.nii.gz", "it ends early.", "Copy it.")
EVALUATION = MaskEvaluation(CASES, (("broken", REFUSED),), Measure(2.5, 0.2))
ABOUT = About(
    protocol={"Data": "set (datalist.json)", "Cases": "3 cases from all folds"},
    bundle={"Bundle": "my_bundle", "Weights SHA-256": "5f70bf18"},
    remarks=["The intervals are of 2 patients."],
    human=[
        HumanReference("le<sion", "dice_mean", 0.7, "two <readers>", "A 2022"),
        HumanReference("liver", "dice_mean", 0.9, "two readers", "nobody asks"),
    ],
    claim=[
        ClaimItem(1, "Kind", "Title", "reported", "deep <learning>", "docs/README.md, Data"),
        ClaimItem(2, "Money", "Other", "unknown", "Not said.", ""),
    ],
)


def rendered(folder: Path, evaluation: MaskEvaluation = EVALUATION) -> str:
    files = {"errors.seg.nrrd": "segments"}
    content = mask_content(evaluation, folder, picture="errors.png", files=files)
    return render_evaluation(evaluation, content, ABOUT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    for case in CASES:
        (folder / case.case).mkdir()
        Image.new("RGB", (64, 48), "green").save(folder / case.case / "errors.png")
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return rendered(folder)


def text_of(page: str) -> str:
    body = page[page.index("<body>") :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.mark.parametrize(
    "words",
    [
        "my_bundle Research use only. Not a medical device.",
        "0.04 le<sion Dice, pooled",  # 80 / 2110
        "0.73 le<sion Dice, mean",
        "3 cases of 2 patients",
        "set (datalist.json); 3 cases from all folds.",
        "Not measured: 1 case broken : E_TRUNCATED ct.nii.gz: it ends early. Copy it.",
        "The intervals are of 2 patients.",
        "le<sion in 1 of 3 cases 0.04",
        "fair <1> patient p1, fold 0 0.73 0.75 4.0 6.00 5.00 −1.00 3 of 4 2",
        "false patient p1, fold 1 0.00 0.00 – 0.00 200.0 +200.0 0 of 0 2",
        "none – – – 0.00 0.00 0.00 0 of 0 0",
        "at most 2.5 mm from the other surface",
        "Dice mean, le<sion two <readers>; A 2022 0.70 0.73",
        "1 to 10 ml 1 1 100 % no interval: of fewer than 5 patients of 1 7 7 2.3",
        "the other tables leave out those below 0.2 ml",
        "By scanner: le<sion Scanner Cases Patients Dice, pooled",
        "<A> 1 1 0.00",
        "not said 2 2 0.73",
        "1 of 2 items reported, 1 unknown; by the bundle's docs/claim.json "
        "Title 1. Kind reported deep <learning> docs/README.md, Data "
        "Other 2. Money unknown Not said. Checklist for",
        "Missed: 0.50 ml at (−12, 31, −150).",
        "False: 2.00 ml at (0, 0, 0); 1.90 ml at (0, 0, 1); 1.80 ml at (0, 0, 2); "
        "1.70 ml at (0, 0, 3); 1.60 ml at (0, 0, 4); and 2 more.",
        "of 0.2 ml or more",
        EMPTY_RULE,
        "by leaving out one patient after another (jackknife)",
        "Weights SHA-256 5f70bf18",
        "N_ANISO thick.",
        "organ 1.00 1.00 0.0 10.0 10.0 0.00 – –",
    ],
)
def test_page_says(page: str, words: str) -> None:
    assert words in text_of(page)


def test_worst_case_comes_first(page: str) -> None:
    headings = re.findall(r"<h2>(\d)\. (.*?)</h2>", page)
    assert headings == [("1", "false"), ("2", "fair &lt;1&gt;"), ("3", "none")]


def test_page_loads_nothing_and_names_no_folder(page: str) -> None:
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {link for link in links if not link.startswith(("data:image/jpeg;base64,", "#"))} == {
        "./false/errors.seg.nrrd", "./fair%20%3C1%3E/errors.seg.nrrd", "./none/errors.seg.nrrd",
    }  # fmt: skip
    assert sum(link.startswith("data:") for link in links) == 3
    for outside in ("http:", "https:", "url(", "@import", "<link", "<script", "secret"):
        assert outside not in page


def test_every_link_inside_the_page_leads_somewhere(page: str) -> None:
    targets = set(re.findall(r'id="(.*?)"', page))
    assert set(re.findall(r'href="#(.*?)"', page)) == targets


def test_only_the_worst_pictures_are_on_a_long_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_evaluation, "MOST_PICTURES", 1)
    page = rendered(folder)
    assert page.count("data:image/jpeg") == 1
    assert "The pictures of the 1 worst cases are on this page" in page


def test_a_page_of_one_case_has_no_intervals(folder: Path) -> None:
    alone = MaskEvaluation(CASES[:1], (), Measure())
    text = text_of(rendered(folder, alone))
    assert "1 case of 1 patient" in text
    text = text.replace("0.1 to 1 ml", "").replace("1 to 10 ml", "")  # sizes of lesions
    assert " to " not in text[: text.index("How it was measured")]


def test_cells_of_the_summary(page: str) -> None:
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    lesion, organ = (
        [unescape(cell) for cell in re.findall(r'<td class="n">(.*?)</td>', row)]
        for row in rows[1:3]
    )
    assert [cell.split("<br>")[0] for cell in lesion] == [
        "0.04", "0.73", "0.73", "0.75", "4.0", "75 %", "1.3", "0.00", "1.00",
    ]  # fmt: skip
    why = '<br><small class="why">no interval: of fewer than 5 patients</small>'
    assert lesion[1] == f"0.73{why}<br><small>of 1</small>"
    assert organ[0] == f"1.00{why}"
    assert organ[5:7] == ["–", "–"]


def test_lines_for_the_terminal() -> None:
    assert case_line(CASES[0], "le<sion") == ("le<sion Dice 0.73, HD95 4.0 mm, 5.00 ml for 6.00 ml")
    assert case_line(CASES[1], "le<sion").startswith("le<sion Dice –, HD95 – mm")
    assert summary_line(EVALUATION).endswith("mean 0.73 (1 of 3 have it); cases: 3, patients: 2")
    whole = replace(EVALUATION, cases=CASES[:1])
    assert summary_line(whole).endswith("mean 0.73; cases: 1, patients: 1")


def test_csv_has_a_row_a_case_and_region(tmp_path: Path) -> None:
    write_metrics_csv(tmp_path / "metrics.csv", EVALUATION)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "metrics.csv").read_text())))
    assert [(row["case"], row["region"]) for row in rows] == [
        (case.case, region) for case in CASES for region in ("le<sion", "organ")
    ]
    assert rows[0] == {
        "case": "fair <1>", "patient": "p1", "fold": "0", "region": "le<sion", "dice": "0.727273",
        "surface_dice": "0.75", "hd95_mm": "4", "true_ml": "6", "predicted_ml": "5",
        "volume_error_ml": "-1", "voxels_both": "40", "voxels_predicted": "50",
        "voxels_true": "60", "lesion_sensitivity": "0.75", "lesions_true": "4",
        "lesions_found": "3", "lesions_predicted": "5", "lesions_false": "2",
    }  # fmt: skip
    assert (rows[2]["dice"], rows[2]["fold"], rows[1]["lesions_true"]) == ("", "", "")


def test_lesions_are_a_table_of_their_own(tmp_path: Path) -> None:
    write_table(tmp_path / "lesions.csv", EVALUATION.lesion_rows())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "lesions.csv").read_text())))
    assert len(rows) == len(MATCHED)
    assert rows[1] == {
        "case": "fair <1>", "patient": "p1", "region": "le<sion", "mask": "truth",
        "outcome": "missed", "size": "0.1 to 1 ml", "volume_ml": "0.5", "shared_percent": "0",
        "partners": "0", "x_mm": "-12.4", "y_mm": "30.6", "z_mm": "-150",
    }  # fmt: skip


def test_the_page_says_how_volumes_agree_where_there_is_a_picture(folder: Path) -> None:
    cases = tuple(
        MaskCase(name, name, None, {"x": RegionFigures(0, n, 10, 0.1, 0.0, 1.0, None)})
        for name, n in (("fair <1>", 10), ("none", 20), ("false", 5))
    )
    (folder / "volumes.png").write_bytes((folder / "none" / "errors.png").read_bytes())
    content = mask_content(
        MaskEvaluation(cases, (), Measure()), folder, picture="errors.png", files={},
        volumes=folder / "volumes.png",
    )  # fmt: skip
    text = text_of(render_evaluation(MaskEvaluation(cases, (), Measure()), content, ABOUT))
    # predicted less true: 0, 1, -0.5
    assert "Predicted less true volume, mean, ml: +0.17" in text
    assert "of 3 cases" in text
    assert "Volumes: " not in text_of(rendered(folder))


def test_json_says_the_same_and_how(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics_json(
        path, EVALUATION, replace(ABOUT, protocol={"Data": "set"}, bundle={"Version": "1"})
    )
    record = json.loads(path.read_text())
    assert (record["bundle"], record["protocol"]) == ({"Version": "1"}, {"Data": "set"})
    assert (record["tolerance_mm"], record["smallest_lesion_ml"]) == (2.5, 0.2)
    assert record["empty_masks"] == EMPTY_RULE
    assert record["interval"]["patients"] == 2
    assert record["human_reference"][0] == {
        "region": "le<sion", "figure": "dice_mean", "value": 0.7, "what": "two <readers>",
        "source": "A 2022",
    }  # fmt: skip
    assert record["volume_agreement"]["le<sion"]["one_mask_empty"] == 1
    assert [group["name"] for group in record["subgroups"]["scanner"]] == ["<A>", "not said"]
    pooled = record["summary"]["le<sion"]["dice_pooled"]
    assert pooled["value"] == pytest.approx(80 / 2110)
    assert (pooled["low"], pooled["high"]) == (None, None)
    assert pooled["withheld"] == "of fewer than 5 patients"
    assert record["summary"]["le<sion"]["hd95_mm_mean"] == {
        "value": 4.0, "low": None, "high": None, "cases": 1,
        "withheld": "of fewer than 5 patients",
    }  # fmt: skip
    assert [case["case"] for case in record["cases"]] == ["fair <1>", "none", "false"]
    assert record["cases"][1]["regions"]["le<sion"]["dice"] is None
    assert record["cases"][0]["seconds"] == 1.25
    assert record["refused"] == [
        {"case": "broken", "code": "E_TRUNCATED", "file": "ct.nii.gz", "reason": "it ends early.",
         "remedy": "Copy it."}
    ]  # fmt: skip
    assert "Research use only" in record["notice"]


WRITERS = {
    "page": lambda folder: write_evaluation(
        folder / "report.html",
        EVALUATION,
        mask_content(EVALUATION, folder, picture="errors.png", files={}),
        ABOUT,
    ),
    "csv": lambda folder: write_metrics_csv(folder / "metrics.csv", EVALUATION),
    "json": lambda folder: write_metrics_json(folder / "metrics.json", EVALUATION, ABOUT),
}


@pytest.mark.parametrize("what", WRITERS)
def test_full_disk_leaves_nothing(folder: Path, what: str) -> None:
    before = sorted(folder.iterdir())
    with full_disk(50), pytest.raises(InputError) as caught:
        WRITERS[what](folder)
    assert caught.value.code == "E_NOSPACE"
    assert sorted(folder.iterdir()) == before
