# SPDX-License-Identifier: Apache-2.0
"""The report of a cohort as files: what lies there, what is escaped, what is kept."""

import re
import shutil
from pathlib import Path

import pytest
from cohorts import CT, MadeCohort, volumes

from medvol.cohort.report.write import write_report
from medvol.errors import InputError
from medvol.files import read_csv
from medvol.text import NOTICE

ODD = "<b>&'x"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    cohort = MadeCohort(tmp_path / "out")
    for case in ("a", "b/c"):
        folder = cohort.done(cohort.unit(case, group=ODD), volumes(30))
        (folder / "thumbnail.jpg").write_bytes(b"")
    return cohort.finish()


def review(folder: Path, verdict: str, case: str = "b/c") -> Path:
    path = folder / f"{verdict}.csv"
    path.write_text(f"bundle,case,verdict,remark\n{CT},{case},{verdict},left lung\n")
    return path


def test_pages_say_what_they_are_and_load_only_what_lies_in_the_folder(out: Path) -> None:
    files = write_report(out)
    assert {"index.html", "cases.csv", "review.html"} <= set(files)
    assert all(path.is_file() for path in files.values())
    for name in ("index.html", "review.html"):
        page = files[name].read_text()
        assert NOTICE in page
        assert "Doe" not in page  # of the images' folder
        assert ODD not in page
        assert str(out) not in page
        assert re.findall(r"(?:src|href)=.(?:https?:|//)", page) == []
        assert "default-src 'none'; img-src data: 'self' file:" in page
        assert page.count("'sha256-") == 1
    assert f'src="../{CT}/b/c/thumbnail.jpg"' in files["review.html"].read_text()


def test_verdicts_are_kept_and_the_last_one_counts(out: Path, tmp_path: Path) -> None:
    write_report(out, reviews=[review(tmp_path, "reject"), review(tmp_path, "accept")])
    files = write_report(out, reviews=[review(tmp_path, "correct", "a")])
    said = {row["case"]: (row["verdict"], row["remark"]) for row in read_csv(files["cases.csv"])}
    assert said == {"a": ("correct", "left lung"), "b/c": ("accept", "left lung")}
    page = files["review.html"].read_text()
    assert page.count(" checked") == 2
    assert page.count('value="left lung"') == 2
    assert "2 with a verdict" in files["index.html"].read_text()


def test_nothing_of_somebody_else_is_replaced(out: Path) -> None:
    (out / "report").mkdir()
    (out / "report" / "cases.csv").write_text("mine")
    with pytest.raises(InputError, match="E_OUTPUT"):
        write_report(out)
    assert (out / "report" / "cases.csv").read_text() == "mine"
    assert not (out / "report" / "index.html").exists()


def test_two_runs(out: Path, tmp_path: Path) -> None:
    other = MadeCohort(tmp_path / "other run")
    other.done(other.unit("a", group=ODD), volumes(20))
    files = write_report(out, against=other.finish(device="cuda"))
    page = files["comparison.html"].read_text()
    assert "1 of 1 cases changed" in page
    assert "../../other%20run/" in page
    assert re.search(r"<th scope=\"row\">device</th><td>cuda</td><td>cpu</td>", page)
    assert "1 cases, by 10 to 10, median 10" in page
    assert "comparison.html" in files["index.html"].read_text()


def test_a_folder_that_was_moved_is_the_same(out: Path, tmp_path: Path) -> None:
    before = write_report(out)["index.html"].read_text()
    moved = tmp_path / "elsewhere"
    shutil.move(out, moved)
    assert write_report(moved)["index.html"].read_text() == before


def test_without_an_answer_there_is_nothing_to_review(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path)
    cohort.unit("a")
    files = write_report(cohort.finish())
    assert "review.html" not in files
    assert "review.html" not in files["index.html"].read_text()
