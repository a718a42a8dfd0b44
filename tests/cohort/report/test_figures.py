# SPDX-License-Identifier: Apache-2.0
"""The figures that cases are compared by."""

import pytest

from medvol.bundle.spec import read_spec
from medvol.cohort.report.figures import in_words, main_figures, size, undecided


def test_main_figures_begin_with_what_is_looked_for() -> None:
    assert main_figures(read_spec("covid_ct_lesion_3d")) == [
        "lesion_ml", "ground-glass_opacity_ml", "consolidation_ml", "lung_rest_ml", "lung_ml",
        "severity_score",
    ]  # fmt: skip
    assert main_figures(read_spec("chest_xray_pneumonia")) == [
        "probability_normal", "probability_pneumonia",
    ]  # fmt: skip
    assert main_figures(read_spec("covid_ct_slice_classifier"))[0] == "longest_run_mm"


@pytest.mark.parametrize(
    ("bundle", "values", "amount"),
    [
        ("covid_ct_lesion_3d", {"lesion_ml": 12.5, "lung_ml": 4000.0}, 12.5),
        ("covid_ct_lesion_3d", {"lung_ml": 4000.0}, 0),
        ("covid_ct_slice_classifier", {"longest_run_mm": 30.0, "slices_found": 40}, 30),
        ("chest_xray_pneumonia", {"probability_normal": 0.8, "probability_pneumonia": 0.2}, 0.8),
    ],
)
def test_how_much_was_found(bundle: str, values: dict[str, float], amount: float) -> None:
    assert size(read_spec(bundle), values) == amount


@pytest.mark.parametrize(
    ("found", "share"),
    [
        ({"undecided": 0.25, "notes": []}, 0.25),
        ({}, None),
        ({"slices": {"highest_probability": 0.4, "threshold": 0.5}}, 0.9),
        ({"classes": {"probability": {"a": 0.2, "b": 0.5, "c": 0.3}}}, 0.8),
        ({"classes": {"probability": {"a": 1.0}}}, 0),
    ],
)
def test_how_undecided_an_answer_is(found: dict[str, object], share: float | None) -> None:
    assert undecided(found) == (None if share is None else pytest.approx(share))


def test_figures_in_words() -> None:
    assert in_words("longest_run_mm", 31.24) == "longest run 31.2 mm"
    assert in_words("probability_viral_pneumonia", 0.5) == "probability viral pneumonia 0.5"
    assert in_words("lesion_ml", None) == ""
