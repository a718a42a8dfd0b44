# SPDX-License-Identifier: Apache-2.0
"""A plan of a folder: which lines it has, in what order, and what it says of paths."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.dicom_phantoms import SERIES_UID, ct_series, write
from support.refusals import refused_by

from medvol.bundle.spec import read_spec
from medvol.cohort.plan import Unit
from medvol.cohort.planning import Made, Paths, make_plan, with_groups
from medvol.tasks.task import Task, task_of

Plan = Callable[..., Made]


def task(bundle: str) -> Task:
    return task_of(read_spec(bundle))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Plans a folder with two sites."""
    for name in ("b/p10/ct.nii", "b/p9/ct.nii", "b/p9/x.png", "a/ct_mask.nii", "readme.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"12")
    write(tmp_path / "in/a/p1", ct_series())

    def made(*bundles: str, **options: object) -> Made:
        kept, readers = tmp_path / "plan.part", [task(bundle) for bundle in bundles]
        return make_plan(tmp_path / "in", kept, readers, **options)  # type: ignore[arg-type]

    return made


def test_a_plan_of_several_bundles_is_in_the_order_of_images(plan: Plan, tmp_path: Path) -> None:
    made = plan("covid_ct_lesion_3d", "chest_xray_covid", paths=Paths(group=re.compile("^[^/]+")))
    ct, xray = "covid_ct_lesion_3d", "chest_xray_covid"
    size = sum(path.stat().st_size for path in (tmp_path / "in/a/p1").iterdir())
    patient = made.units[0].patient
    assert re.fullmatch("patient_[0-9a-f]{12}", patient)
    assert made.units == [
        Unit("a/p1", str(tmp_path / "in/a/p1"), ct, SERIES_UID, patient, "a", size),
        Unit("b/p9/ct", str(tmp_path / "in/b/p9/ct.nii"), ct, "", "", "b", 2),
        Unit("b/p9/x", str(tmp_path / "in/b/p9/x.png"), xray, "", "", "b", 2),
        Unit("b/p10/ct", str(tmp_path / "in/b/p10/ct.nii"), ct, "", "", "b", 2),
    ]
    assert made.files == {".txt": 1}
    assert made.others == {
        ct: {"mask": 1, "picture or half of an image": 1},
        xray: {"mask": 1, "volume": 2, "DICOM image of CT": 8},
    }


def test_without_a_bundle_the_lines_name_none(plan: Plan) -> None:
    assert {unit.bundle for unit in plan().units} == {""}
    assert len(plan().units) == 3


def test_paths_say_who_is_meant(plan: Plan) -> None:
    paths = Paths(re.compile(r"p\d+/ct"), re.compile(r"(p\d)(?:\d*)/"), re.compile("site"))
    made = plan(paths=paths)
    assert [(unit.case, unit.patient, unit.group) for unit in made.units] == [
        ("b/p9/ct", "p9", ""), ("b/p10/ct", "p1", ""),
    ]  # fmt: skip
    assert made.others[""]["image of another path"] == 1


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("case,group\nb/p9/ct,late\nx,early\n", ["", "late", ""]),
        ("patient,group,age\np9,late,7\np10,early,8\n", ["", "late", "early"]),
        ("group,path\nlate,in/b/p9/ct.nii\n", ["", "late", ""]),
    ],
)
def test_groups_come_from_a_table(text: str, groups: list[str], plan: Plan, tmp_path: Path) -> None:
    made = plan(paths=Paths(patient=re.compile("p[0-9]+")))
    (tmp_path / "groups.csv").write_text(text)
    units = with_groups(made.units, tmp_path / "groups.csv")
    assert [unit.group for unit in units] == groups
    assert [unit.case for unit in units] == [unit.case for unit in made.units]


@pytest.mark.parametrize("text", ["", "group\na\n", "case\na/p1\n", "case,group\nnone,x\n"])
def test_tables_without_a_group_of_a_case_are_refused(
    text: str, plan: Plan, tmp_path: Path
) -> None:
    (tmp_path / "groups.csv").write_text(text)
    refused_by(lambda: with_groups(plan().units, tmp_path / "groups.csv"), "E_PLAN")
    refused_by(lambda: with_groups([], tmp_path / "no.csv"), "E_PATH")
