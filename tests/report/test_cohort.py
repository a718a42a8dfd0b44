# SPDX-License-Identifier: Apache-2.0
"""The pages of a cohort in a browser: they open from a file, sort, search, and save a review."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import FOUND, Page, chromium
from cohorts import CT, MadeCohort, volumes

from medvol.cohort.report.write import write_report
from medvol.report.thumbnail import small_radiograph

pytestmark = pytest.mark.skipif(FOUND is None, reason="needs Chromium: no program of that name")
CASES = 230  # of which the first page has 200


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report of cases of 0, 1, 2, ... ml."""
    cohort = MadeCohort(tmp_path_factory.mktemp("a cohort"))
    picture = small_radiograph(np.zeros((8, 8), np.float32))
    for n in range(CASES):
        notes = {"notes": [["N_GRID", "wide."]]} if n % 100 == 50 else {}
        unit = cohort.unit(f"a b/#&ä{n}" if n else "=1+1", group="<i>")
        folder = cohort.done(unit, {**volumes(n), **notes})
        (folder / "thumbnail.jpg").write_bytes(picture)
    write_report(cohort.finish())
    return cohort.out / "report"


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with chromium() as page:
        yield page


def names(tab: Page) -> list[str]:
    return tab.see("[...document.querySelectorAll('.tiles bdi')].map((x) => x.textContent)")


def test_all_cases_sort_and_are_found(report: Path, tab: Page) -> None:
    tab.open(report / "index.html")
    assert names(tab)[:3] == ["=1+1", "a b/#&ä1", "a b/#&ä2"]
    assert len(names(tab)) == 200
    count = "document.querySelector('[name=count]').textContent"
    assert tab.see(count) == f"{CASES} cases, page 1 of 2"
    tab.see("document.querySelector('[name=after]').click()")
    assert names(tab) == [f"a b/#&ä{n}" for n in range(200, CASES)]
    tab.see("location.hash = '#sort=lesion_ml'; new Promise((done) => setTimeout(done, 50))")
    assert names(tab)[:2] == [f"a b/#&ä{CASES - 1}", f"a b/#&ä{CASES - 2}"]
    tab.see("location.hash = '#find=N_GRID'; new Promise((done) => setTimeout(done, 50))")
    assert names(tab) == ["a b/#&ä150", "a b/#&ä50"]
    assert tab.see(count) == f"2 of {CASES} cases, page 1 of 1"
    tab.see("document.querySelector('[name=as]').click()")
    sorted_by = "document.querySelector('.cases [aria-sort=descending]').textContent"
    assert tab.see(sorted_by) == "lesion_ml"
    assert tab.problems == []


def test_pictures_come_from_the_folders_of_the_cases(report: Path, tab: Page) -> None:
    tab.open(report / "index.html", "#find=N_GRID")
    loaded = """new Promise((done) => {
      const look = () => [...document.images].every((x) => x.complete && x.naturalWidth)
        ? done([...document.images].map((x) => x.src)) : setTimeout(look, 20);
      look();
    })"""
    assert [address.rpartition(CT)[2] for address in tab.see(loaded)] == [
        "/a%20b/%23%26%C3%A450/thumbnail.jpg", "/a%20b/%23%26%C3%A4150/thumbnail.jpg",
    ]  # fmt: skip
    assert all(address.startswith("file:") for address in tab.asked)
    assert tab.problems == []


def test_a_review_is_kept_and_saved(report: Path, tab: Page) -> None:
    """What the button would save is caught; what a reader said is there when it is opened again."""
    tab.open(report / "review.html")
    first = tab.see("document.querySelector('article').dataset.case")
    tab.see("""(() => {
      const one = document.querySelector("article");
      one.querySelector("[value=correct]").click();
      const remark = one.querySelector("[name=remark]");
      remark.value = '=2, "edge"';
      remark.dispatchEvent(new Event("input", { bubbles: true }));
    })()""")
    tab.open(report / "review.html")
    assert tab.see("document.querySelector('[name=count]').textContent").startswith("1 of ")
    text = tab.see("""(() => {
      let saved;
      URL.createObjectURL = (blob) => { saved = blob; return "#"; };
      document.querySelector("[name=save]").click();
      return saved.text();
    })()""")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [["bundle", "case", "verdict", "remark"], [CT, first, "correct", '\'=2, "edge"']]
    (report.parent / "review.csv").write_text(text, encoding="utf-8")
    files = write_report(report.parent, reviews=[report.parent / "review.csv"])
    assert '=2, "edge"' in files["verdicts.csv"].read_text().replace('""', '"')
    assert tab.problems == []
