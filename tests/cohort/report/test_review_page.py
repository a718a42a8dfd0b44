# SPDX-License-Identifier: Apache-2.0
"""What the page of a review says of a case."""

from pathlib import Path

from cohorts import CT, RADIOGRAPH, MadeCohort, classes, volumes

from medvol.cohort.report.gather import gather
from medvol.cohort.report.review import Verdict
from medvol.cohort.report.review_page import review_page


def test_cases_with_what_was_found_and_said_of_them(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path, (CT, RADIOGRAPH))
    notes = {"notes": [["N_GRID", "wide."]]}
    folder = cohort.done(cohort.unit("a&b/ct 1"), {**volumes(30, 12, 3958), **notes})
    for name in ("overlay.png", "thumbnail.jpg"):
        (folder / name).write_bytes(b"")
    cohort.done(cohort.unit("x", RADIOGRAPH), classes(0.75))
    ct, x = f"{CT}/a&b/ct 1", f"{RADIOGRAPH}/x"
    sampled = {ct: ["by chance", "largest"], x: ["by chance"]}
    page = review_page(gather(cohort.finish()), sampled, {x: Verdict("accept", "")})
    first, second = page.split("<article")[1:]
    assert f'src="../{CT}/a%26b/ct%201/overlay.png"' in first
    assert f'href="../{CT}/a%26b/ct%201/report.html"' in first
    assert "lesion 42 ml, ground-glass opacity 30 ml, consolidation 12 ml" in first
    assert "by chance, largest" in first
    assert "N_GRID wide." in first
    assert " checked" not in first
    assert "<img" not in second
    assert "pneumonia, probability normal 0.25, probability pneumonia 0.75" in second
    assert 'value="accept" checked' in second
    assert "2 cases to look at" in page
    assert "20 largest or most certain" in page
