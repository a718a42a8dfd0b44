# SPDX-License-Identifier: Apache-2.0
"""Labelled volumes become a datalist: folds worked by hand, facts of a case, patients together."""

from pathlib import Path

import numpy as np
import pytest
from phantoms import TINY_AFFINE, tiny_chest

from medvol.data.cases import (
    Case,
    CaseFacts,
    Group,
    assign_folds,
    build_datalist,
    case_facts,
    pooled_hu,
)
from medvol.data.lung_lesions import LABELS, LESION_NAMES

ABOUT = {"name": "n", "description": "d", "licence": "l", "reference": "r"}


def test_folds_fill_up_by_volumes_then_by_lesion():
    groups = [
        Group("rp1", 1, 966),
        Group("rp2+rp3", 2, 301),
        Group("rp4", 1, 790),
        Group("rp6+rp7", 2, 38),
        Group("rp8", 1, 105),
        Group("rp9", 1, 2803),
    ]
    # rp9, rp1, rp4, rp2+rp3 open the folds; rp8 joins the least lesion of the three that hold one
    # volume (rp4, 790); rp6+rp7 then the lesser of rp9 and rp1
    assert assign_folds(groups, 4) == {
        "rp9": 0, "rp1": 1, "rp4": 2, "rp2+rp3": 3, "rp8": 2, "rp6+rp7": 1
    }  # fmt: skip


def test_equal_groups_go_by_name_into_the_lowest_fold():
    assert assign_folds([Group("b", 1, 0), Group("a", 1, 0), Group("c", 1, 0)], 2) == {
        "a": 0, "b": 1, "c": 0
    }  # fmt: skip


@pytest.mark.parametrize("folds", [0, 3], ids=["none", "more than patients"])
def test_folds_that_would_stay_empty_are_refused(folds):
    with pytest.raises(ValueError, match=f"n_folds is {folds} but there are 2 patients"):
        assign_folds([Group("a", 1, 1), Group("b", 1, 1)], folds)


def test_facts_of_a_case_counted_by_hand():
    made = tiny_chest()
    facts = case_facts(made.ct, made.labels, made.affine, LABELS)
    assert facts.shape == (32, 32, 16)
    assert facts.spacing_mm == (2.0, 2.0, 4.0)
    assert facts.orientation == "LPS"
    assert facts.voxels == {"ground-glass opacity": 64, "consolidation": 32, "lung (rest)": 1440}
    assert facts.ml == pytest.approx(  # one voxel is 2 * 2 * 4 mm^3 = 0.016 ml
        {"ground-glass opacity": 1.024, "consolidation": 0.512, "lung (rest)": 23.04}
    )
    # body 26 * 22 * 16 = 9152 voxels less 1536 of lungs at 40 HU, 7232 of air at -1000
    total = 7616 * 40 - 7232 * 1000 - 1440 * 850 - 64 * 580 - 32 * 100
    assert facts.hu_mean == pytest.approx(total / 16384)


def test_hu_of_several_cases_is_that_of_their_voxels_together():
    rng = np.random.default_rng(1)
    volumes = [rng.normal(-700, 100, (4, 5, 6)), rng.normal(40, 20, (3, 3, 3))]
    facts = [case_facts(v, np.zeros(v.shape, int), TINY_AFFINE, LABELS) for v in volumes]
    together = np.concatenate([v.ravel() for v in volumes])
    assert pooled_hu(facts) == pytest.approx((together.mean(), together.std()))


def make_case(folder: Path, name: str, patient: str, lesion_ml: float) -> Case:
    ml = {"ground-glass opacity": lesion_ml, "consolidation": 0.0, "lung (rest)": 1.0}
    facts = CaseFacts((2, 2, 2), (1.0, 1.0, 1.0), "LPS", 0.0, 1.0, dict.fromkeys(ml, 1), ml)
    return Case(name, patient, folder / f"{name}_ct.nii.gz", folder / f"{name}.nii.gz", facts)


def test_cases_of_a_patient_share_a_fold_and_their_lesion_adds_up(tmp_path):
    cases = [make_case(tmp_path, *c) for c in (("a", "p", 3), ("b", "q", 5), ("c", "p", 3))]
    datalist = build_datalist(cases, about=ABOUT, table=LABELS, lesions=LESION_NAMES, folds=2)
    assert [(row["case"], row["fold"]) for row in datalist.parts["training"]] == [
        ("a", 0), ("b", 1), ("c", 0)
    ]  # p has 6 ml, so it comes first  # fmt: skip
    assert datalist.labels == {
        0: "background", 1: "ground-glass opacity", 2: "consolidation", 3: "lung (rest)"
    }  # fmt: skip
    assert datalist.about["numTraining"] == 3
    assert datalist.parts["training"][0]["image"] == str(tmp_path.resolve() / "a_ct.nii.gz")
