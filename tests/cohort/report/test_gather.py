# SPDX-License-Identifier: Apache-2.0
"""What is known of every unit: the ledger's word, the record's figures, no folders."""

import json
from pathlib import Path

import pytest
from cohorts import CT, MadeCohort, volumes

from medvol.cohort.ledger import DONE, PLANNED, QUARANTINED, REFUSED, RUNNING
from medvol.cohort.report.gather import GONE, gather
from medvol.errors import InputError


def test_figures_and_notes_are_those_of_the_record(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path)
    unit = cohort.unit("a/ct", group="g", patient="p")
    note = ["N_UNDECIDED", "the network is not sure: 37 % of what it marks (more than 20 %)."]
    cohort.done(unit, {**volumes(30, 10, 3960), "notes": [note], "undecided": 0.372})
    (one,) = gather(cohort.finish()).results
    assert one.unit == unit
    assert one.is_done
    assert (one.values["lesion_ml"], one.values["lung_ml"]) == (40, 4000)
    assert one.values["lesion_share_of_lung_percent"] == pytest.approx(1)
    assert one.notes == [tuple(note)]
    assert one.undecided == 0.372
    assert (one.seconds, one.peak_bytes, one.said.host) == (3.5, 2 << 30, "ct1")  # without loading


def test_states(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path)
    units = {name: cohort.unit(name) for name in "abcdef"}
    cohort.ends(units["a"], REFUSED, code="E_DIMS", reason="it is flat.")
    cohort.ends(units["b"], QUARANTINED, code="E_FAILED", reason="it died.", tries=2)
    cohort.ends(units["c"], RUNNING)
    cohort.done(units["d"], volumes(1))
    (cohort.out / units["d"].key / "run.json").unlink()
    cohort.done(units["e"], volumes(1))
    del cohort.ledger.states[units["e"].key]  # the ledger was cut, the results are there
    states = [x.state for x in gather(cohort.finish()).results]
    assert states == [REFUSED, QUARANTINED, RUNNING, GONE, DONE, PLANNED]


def test_a_record_that_was_changed_is_no_result(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path)
    path = cohort.done(cohort.unit("a"), volumes(1)) / "run.json"
    record = json.loads(path.read_text())
    record["measurements"][0]["volume_ml"] = 99
    path.write_text(json.dumps(record))
    (one,) = gather(cohort.finish()).results
    assert (one.state, one.values) == (GONE, {})


def test_a_refusal_names_no_folder(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path)
    unit = cohort.unit("ct")
    cohort.ends(unit, REFUSED, code="E_SERIES", reason=f"{unit.path} lacks a slice.")
    (one,) = gather(cohort.finish()).results
    assert "Doe" in unit.path
    assert one.reason == "ct.nii.gz lacks a slice."


def test_what_is_not_a_cohort_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E_PATH"):
        gather(tmp_path)


def test_units_of_a_bundle_with_an_answer(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path)
    cohort.done(cohort.unit("a"), volumes(1))
    cohort.unit("b")
    assert [x.unit.case for x in gather(cohort.finish()).of(CT)] == ["a"]
