# SPDX-License-Identifier: Apache-2.0
"""Patients are joined and divided whole, in equal shares, the same way every time."""

from collections import Counter
from pathlib import Path

import pytest

from medvol.data.split import Group, PictureFile, assign_folds, assign_parts, drawn, join_patients

SHARES = {"training": 0.7, "validation": 0.15, "test": 0.15}


def picture(case: str, patient: str, name: str = "normal", part: str = "", kind: str = ""):
    return PictureFile(Path(f"/x/{case}.png"), name, patient, part, kind)


def test_patients_are_joined_through_chains():
    pictures = [picture(c, c) for c in "dcbae"]
    joined, lost = join_patients(pictures, [(0, 1), (2, 3), (1, 2)])  # d-c, b-a, c-b
    assert [p.patient for p in joined] == ["a", "a", "a", "a", "e"]
    assert lost == 3


def test_pictures_of_one_patient_are_not_counted_as_joined():
    _, lost = join_patients([picture("a", "1"), picture("b", "1")], [(0, 1)])
    assert lost == 0


def test_every_class_and_kind_gets_its_share():
    pictures = [picture(f"{n}{k}", f"{n}{k}", n, kind=n) for n in "ab" for k in range(100)]
    pictures += [picture(f"c{k}", f"c{k}", "b", kind="c") for k in range(40)]
    divided = assign_parts(pictures, SHARES)
    counts = Counter((p.part, p.kind) for p in divided)
    assert [counts[part, "a"] for part in SHARES] == [70, 15, 15]
    assert [counts[part, "b"] for part in SHARES] == [70, 15, 15]
    assert [counts[part, "c"] for part in SHARES] == [28, 6, 6]


def test_patients_stay_whole_and_large_ones_do_not_burst_a_small_part():
    sizes = [22, 18, 9, 5, 5, 4, 3, 3] + [2] * 20 + [1] * 91  # 200 pictures
    pictures = [
        picture(f"{p}_{k}", f"p{p}", "ab"[p % 2]) for p, n in enumerate(sizes) for k in range(n)
    ]
    divided = assign_parts(pictures, SHARES, seed=3)
    counts = Counter(p.part for p in divided)
    assert counts["training"] == pytest.approx(140, abs=2)
    assert counts["validation"] == pytest.approx(30, abs=2)
    parts = {patient: {p.part for p in divided if p.patient == patient} for patient in ("p0", "p4")}
    assert parts["p0"] == {"training"}
    assert len(parts["p4"]) == 1


def test_division_depends_on_the_seed_alone():
    pictures = [picture(f"{k}", f"{k}", "ab"[k % 2]) for k in range(60)]
    first = {p.patient: p.part for p in assign_parts(pictures, SHARES)}
    again = {p.patient: p.part for p in assign_parts(pictures[::-1], SHARES)}
    other = {p.patient: p.part for p in assign_parts(pictures, SHARES, seed=1)}
    assert first == again
    assert first != other


def test_given_parts_stay_and_do_not_count():
    given = [picture(f"t{k}", f"t{k}", part="test") for k in range(50)]
    free = [picture(f"f{k}", f"f{k}") for k in range(10)]
    divided = assign_parts([*given, *free], {"training": 0.9, "validation": 0.1, "test": 0.0})
    counts = Counter(p.part for p in divided)
    assert counts == {"test": 50, "training": 9, "validation": 1}


@pytest.mark.parametrize("shares", [{"training": 0.5}, {"training": 1.5, "test": -0.5}])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ValueError, match="sum to 1"):
        assign_parts([picture("a", "1")], shares)


def test_order_of_a_seed_is_the_same_on_every_machine():
    assert drawn("abcd", seed=0) == drawn("dcba", seed=0) == ["b", "a", "c", "d"]


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


def test_one_fold_holds_all():
    assert assign_folds([Group("b", 1, 2), Group("a", 1, 1)], 1) == {"b": 0, "a": 0}


@pytest.mark.parametrize("folds", [0, 3], ids=["none", "more than patients"])
def test_folds_that_would_stay_empty_are_refused(folds):
    with pytest.raises(ValueError, match=f"n_folds is {folds} but there are 2 patients"):
        assign_folds([Group("a", 1, 1), Group("b", 1, 1)], folds)


def test_a_division_worked_once_stays_as_it_is():
    """Figures of shipped bundles rest on it: any change of the rule shows here."""
    sizes = [(3, 3), (4, 3), (0, 2), (0, 1), (2, 2), (2, 1),
             (1, 1), (3, 1), (0, 2), (0, 3), (2, 3), (0, 1)]  # fmt: skip
    pictures = [
        picture(f"{patient}{name}{k}", f"p{patient}", name, kind=name)
        for patient, counts in enumerate(sizes)
        for name, count in zip("ab", counts, strict=True)
        for k in range(count)
    ]
    shares = {"training": 0.6, "validation": 0.25, "test": 0.15}
    part = {p.patient: p.part for p in assign_parts(pictures, shares, seed=2)}
    found = {
        name: [patient for patient in range(12) if part[f"p{patient}"] == name] for name in shares
    }
    assert found == {"training": [1, 2, 6, 7, 9, 10, 11], "validation": [0, 5, 8], "test": [3, 4]}
