# SPDX-License-Identifier: Apache-2.0
"""What the page of a cohort says of it."""

from pathlib import Path

import pytest
from cohorts import CT, RADIOGRAPH, MadeCohort, classes, volumes

from medvol.cohort.ledger import QUARANTINED, REFUSED, RUNNING
from medvol.cohort.report.gather import Gathered, gather
from medvol.cohort.report.outliers import Outlier
from medvol.cohort.report.pages import in_words, page_of, root_of, sheet_of
from medvol.cohort.report.review import Verdict


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    cohort = MadeCohort(tmp_path_factory.mktemp("out"), (CT, RADIOGRAPH))
    grid, shift = ["N_GRID", "wide."], ["N_SHIFT", "150 HU too high."]
    cohort.done(cohort.unit("a", group="g1"), {**volumes(30), "notes": [grid]})
    cohort.done(cohort.unit("b", group="g2"), {**volumes(10), "notes": [grid, shift]}, host="ct2")
    cohort.done(cohort.unit("a", RADIOGRAPH), classes(0.75))
    for name in "cd":
        cohort.ends(cohort.unit(name), REFUSED, code="E_DIMS", reason=f"{name} is flat.")
    said = {"code": "E_FAILED", "reason": "its process died.", "tries": 2, "signal": "SIGSEGV",
            "stage": "read", "peak_bytes": 3 << 30}  # fmt: skip
    for name in "ef":
        cohort.ends(cohort.unit(name), QUARANTINED, **said)
    log = cohort.out / "logs" / CT / "e.txt"
    log.parent.mkdir(parents=True)
    log.write_text("...")
    cohort.ends(cohort.unit("h"), RUNNING)
    gone = cohort.unit("i")
    (cohort.done(gone, volumes(1)) / "run.json").unlink()
    return gather(cohort.finish(device="cpu"))


def test_counts_and_what_to_know_first(gathered: Gathered) -> None:
    page = page_of(gathered, {}, {}, sampled=[f"{CT}/a"], files=["cases.csv"])
    assert page.title == f"8 cases by {CT}, {RADIOGRAPH}"
    assert page.counts == {"done": 3, "gone": 1, "quarantined": 2, "refused": 2, "running": 1}
    assert page.warnings == [
        "Not done yet: 1 case. Run the same command again to go on.",
        "Done, but without its record now: 1 case.",
    ]
    assert page.review == "1 case; 0 with a verdict."
    assert list(page.files) == ["cases.csv"]
    assert page.facts["Machines"] == "ct1 2, ct2 1"
    assert page.facts["Most memory"] == "3.0 GiB"


def test_distributions_are_of_groups(gathered: Gathered) -> None:
    found = page_of(gathered, {}, {}, sampled=[], files=[]).distributions
    assert list(found) == [CT, RADIOGRAPH]
    lesion = found[CT][0]
    assert lesion.figure == "lesion_ml"
    assert [(group.name, group.quartiles[1]) for group in lesion.groups] == [("g1", 30), ("g2", 10)]


def test_notes_that_mislead_come_first_then_refusals_with_remedies(gathered: Gathered) -> None:
    page = page_of(gathered, {}, {}, sampled=[], files=[])
    assert [(line.code, line.number, line.example) for line in page.notes] == [
        ("N_GRID", 2, "wide."), ("N_SHIFT", 1, "150 HU too high."),
    ]  # fmt: skip
    (flat,) = page.refusals
    assert (flat.code, flat.number, flat.example) == ("E_DIMS", 2, "c: c is flat.")
    assert flat.remedy.startswith("Give one whole volume")  # no line of the ledger says more


def test_the_remedy_of_refusals_is_that_of_most_with_one_of_these_as_example(
    tmp_path: Path,
) -> None:
    cohort = MadeCohort(tmp_path)
    for name, seen, remedy in (("a", "MR", "Give the CT series."),
                               ("b", "HU + 1024", "Subtract 1024."),
                               ("c", "HU + 1024", "Subtract 1024.")):  # fmt: skip
        said = {"code": "E_MODALITY", "reason": f"it is {seen}.", "remedy": remedy}
        cohort.ends(cohort.unit(name), REFUSED, **said)
    (line,) = page_of(gather(cohort.finish()), {}, {}, sampled=[], files=[]).refusals
    assert (line.number, line.remedy, line.example) == (3, "Subtract 1024.", "b: it is HU + 1024.")


def test_cases_without_an_answer_have_cause_and_log(gathered: Gathered) -> None:
    e, f, gone = page_of(gathered, {}, {}, sampled=[], files=[]).stopped
    cause = "E_FAILED its process died, signal SIGSEGV, while reading, 3.0 GiB of memory at most"
    assert (e.case, e.state, e.cause, e.tries) == (f"e ({CT})", "quarantined", cause, 2)
    assert (e.log, f.log, gone.log) == (f"../logs/{CT}/e.txt", "", "")
    assert (gone.case, gone.state) == (f"i ({CT})", "gone")


def test_outliers_are_named(gathered: Gathered) -> None:
    far = {f"{CT}/b": Outlier("lesion_ml", 4321.4, 20.04, -5.25)}
    page = page_of(gathered, far, {}, sampled=[], files=[])
    assert page.outliers == [(f"b ({CT})", f"{CT}/b", "lesion_ml", "4,321", "20", "−5.2")]
    assert page.more_outliers == 0


def test_the_sheet_has_all_cases_and_no_empty_column(gathered: Gathered) -> None:
    sheet = sheet_of(gathered, {}, {f"{CT}/a": Verdict("accept", "")})
    columns = {column.name: column for column in sheet.columns}
    assert columns["case"].cells == [x.unit.case for x in gathered.results]
    assert columns["lesion_ml"].cells[:3] == [30, 10, None]
    assert columns["codes"].cells == [
        "N_GRID", "N_GRID N_SHIFT", "", "E_DIMS", "E_DIMS", "E_FAILED", "E_FAILED", "", "",
    ]  # fmt: skip
    assert columns["verdict"].cells[0] == "accept"
    assert "patient" not in columns
    assert not columns["lesion_share_of_lung_percent"].shown
    assert sheet.folders[0] == f"{CT}/a"
    assert sheet.roots[0].complete == [True] * 3 + [False] * 6


def test_what_was_not_written_is_not_linked(gathered: Gathered) -> None:
    assert root_of(gathered, "../", ()).page == "report.html"
    only = {name: x._replace(formats=["nii", "json"]) for name, x in gathered.fixed.bundles.items()}
    fixed = type(gathered.fixed)(**{**vars(gathered.fixed), "bundles": only})
    few = Gathered(gathered.folder, fixed, gathered.specs, gathered.results)
    assert (root_of(few, "../", ()).page, root_of(few, "../", ()).picture) == ("", "")


def test_sentences_of_codes_lose_their_marks() -> None:
    assert in_words("`a` of [any bundle](any_bundle.md#labels), b") == "a of any bundle, b"
