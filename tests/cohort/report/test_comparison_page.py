# SPDX-License-Identifier: Apache-2.0
"""What the page of two runs says."""

from pathlib import Path

from cohorts import CT, RADIOGRAPH, MadeCohort, classes, volumes

from medvol.cohort.report.compare import compared, summed_up
from medvol.cohort.report.comparison_page import comparison_page
from medvol.cohort.report.gather import gather
from medvol.cohort.report.pages import root_of


def test_counts_means_figures_and_columns(tmp_path: Path) -> None:
    before, now = (MadeCohort(tmp_path / name, (CT, RADIOGRAPH)) for name in ("before", "now"))
    for run, ml, share in ((before, 10.0, 0.25), (now, 12.5, 0.75)):
        for case in "ab":
            run.done(run.unit(case), volumes(ml if case == "a" else 4.0))
        run.done(run.unit("x", RADIOGRAPH), classes(share))
    before.unit("only")
    before, now = gather(before.finish(device="cpu")), gather(now.finish(device="cuda"))
    found = summed_up(before, now, compared(before, now))
    page = comparison_page(before, now, found, [root_of(now, "../", ())])
    assert page.title == "2 of 3 cases changed"
    assert page.counts == {"changed": 2, "the same": 1, "other answers": 1, "only before": 1}
    assert page.means["device"] == ("cpu", "cuda")
    assert list(page.means) == ["device", "plan sha256"]
    assert len(page.means["plan sha256"][0]) == 12
    assert page.figures["lesion_ml"] == "1 cases, by 2.5 to 2.5, median 2.5"
    assert page.figures["probability_normal"] == "1 cases, by −0.5 to −0.5, median −0.5"
    assert page.only == {"before": [f"only ({CT})"], "now": []}
    columns = {column.name: column.cells for column in page.sheet.columns}
    assert columns["case"] == ["x", "a", "b"]
    assert columns["answer"] == ["normal → pneumonia", "", ""]
    assert columns["change of lesion_ml"] == [None, 2.5, None]
    assert page.sheet.sorted_by == "change"
