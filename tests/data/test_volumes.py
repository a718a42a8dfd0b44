# SPDX-License-Identifier: Apache-2.0
"""Labelled volumes become a datalist: facts of a case, folds by patient or as the data set says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantoms import TINY_AFFINE, tiny_chest

from medvol.data.lung_lesions import LABELS, LESION_NAMES
from medvol.data.volumes import Case, CtFacts, ct_facts, list_volumes, pooled_hu

ABOUT = {"name": "n", "description": "d", "licence": "l", "reference": "r"}


def test_facts_of_a_case_counted_by_hand():
    made = tiny_chest()
    facts = ct_facts(made.ct, made.labels, made.affine, LABELS)
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
    facts = [ct_facts(v, np.zeros(v.shape, int), TINY_AFFINE, LABELS) for v in volumes]
    together = np.concatenate([v.ravel() for v in volumes])
    assert pooled_hu(facts) == pytest.approx((together.mean(), together.std()))


def make_case(folder: Path, name: str, patient: str, lesion_ml: float) -> Case:
    ml = {"ground-glass opacity": lesion_ml, "consolidation": 0.0, "lung (rest)": 1.0}
    facts = CtFacts((2, 2, 2), (1.0, 1.0, 1.0), "LPS", dict.fromkeys(ml, 1), ml, 0.0, 1.0)
    return Case(name, patient, folder / f"{name}_ct.nii.gz", folder / f"{name}.nii.gz", facts)


def test_cases_of_a_patient_share_a_fold_and_their_lesion_adds_up(tmp_path):
    cases = [make_case(tmp_path, *c) for c in (("a", "p", 3), ("b", "q", 5), ("c", "p", 3))]
    datalist = list_volumes(cases, about=ABOUT, labels=LABELS, lesions=LESION_NAMES, folds=2)
    assert [(row["case"], row["fold"]) for row in datalist.parts["training"]] == [
        ("a", 0), ("b", 1), ("c", 0)
    ]  # p has 6 ml, so it comes first  # fmt: skip
    assert datalist.labels == {
        0: "background", 1: "ground-glass opacity", 2: "consolidation", 3: "lung (rest)"
    }  # fmt: skip
    assert datalist.about["numTraining"] == 3
    assert datalist.parts["training"][0]["image"] == str(tmp_path.resolve() / "a_ct.nii.gz")


def test_a_fold_that_the_data_set_decides_is_kept(tmp_path):
    cases = [make_case(tmp_path, *c) for c in (("a", "p", 3), ("b", "q", 5))]
    cases = [replace(case, fold=fold) for case, fold in zip(cases, (7, 0), strict=True)]
    datalist = list_volumes(cases, about=ABOUT, labels=LABELS, lesions=LESION_NAMES)
    assert [row["fold"] for row in datalist.parts["training"]] == [7, 0]
