# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort report`: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest
from cohorts import CT, MadeCohort, volumes

from medvol.cli import main


@pytest.fixture
def out(tmp_path: Path) -> Path:
    cohort = MadeCohort(tmp_path / "out")
    cohort.done(cohort.unit("a"), volumes(30))
    return cohort.finish()


def test_the_files_are_named(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cohort", "report", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}/report/index.html, and beside it cases.csv")
    assert main(["cohort", "report", str(out), "--against", str(out), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {"index.html", "cases.csv", "review.html", "comparison.html", "comparison.csv"} <= {
        name for name, path in files.items() if Path(path).is_file()
    }


def test_a_review_goes_into_the_table(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "review.csv"
    path.write_text(f"bundle,case,verdict,remark\n{CT},a,reject,moved\n")
    assert main(["cohort", "report", str(out), "--review", str(path)]) == 0
    assert "reject,moved" in (out / "report" / "cases.csv").read_text()
    path.write_text(f"bundle,case,verdict,remark\n{CT},b,reject,moved\n")
    assert main(["cohort", "report", str(out), "--review", str(path)]) == 2
    assert capsys.readouterr().err.startswith("medvol: E_FORMAT")


def test_a_folder_that_is_no_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cohort", "report", str(tmp_path)]) == 2
    assert "E_PATH" in capsys.readouterr().err
