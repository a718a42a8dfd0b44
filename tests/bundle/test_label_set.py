# SPDX-License-Identifier: Apache-2.0
"""What follows from a set of labels or classes, counted by hand."""

import re
from typing import Any

import pytest

from medvol.bundle.label_set import label_parameters
from medvol.labels import LabelTable, default_color

LESIONS: dict[str, Any] = {
    "label_table": [
        {"value": 2, "name": "solid", "color": [1, 2, 3]},
        {"value": 1, "name": "haze", "color": [4, 5, 6]},
        {"value": 3, "name": "rest", "color": [7, 8, 9]},
    ],
    "focus_labels": [1, 2],
    "focus_name": "all Lesions",
    "reference_organ": {"name": "lung", "labels": [1, 2, 3]},
}


def test_classes_have_names_numbers_and_a_text() -> None:
    assert label_parameters({"classes": ["normal", "ill"]}) == {
        "names": ["normal", "ill"], "count": 2, "channels": {"0": "normal", "1": "ill"},
        "text": "0 normal, 1 ill",
    }  # fmt: skip


def test_labels_give_channels_regions_and_names() -> None:
    made = label_parameters(LESIONS)
    assert made["channels"] == {"0": "background", "1": "haze", "2": "solid", "3": "rest"}
    assert (made["count"], made["values"], made["ratios"]) == (4, [1, 2, 3], [1, 1, 1, 1])
    assert made["text"] == "0 background, 1 haze, 2 solid, 3 rest"
    assert (made["focus"], made["focus_name"], made["focus_id"]) == (
        [1, 2], "all Lesions", "all_lesions",
    )  # fmt: skip
    assert list(made["regions"].items()) == [
        ("all Lesions", [1, 2]), ("haze", [1]), ("solid", [2]), ("lung", [1, 2, 3]), ("rest", [3]),
    ]  # fmt: skip
    assert [row["color"] for row in made["table"]] == [[4, 5, 6], [1, 2, 3], [7, 8, 9]]
    assert made["data"] == {"1": "haze", "2": "solid", "3": "rest"}
    LabelTable.from_metadata({"label_table": made["table"]})


def test_one_label_is_its_own_focus_and_needs_no_colour() -> None:
    made = label_parameters({"label_table": [{"value": 1, "name": "lung"}]})
    assert (made["focus"], made["focus_name"], made["regions"]) == ([1], "lung", {"lung": [1]})
    assert made["reference_organ"] is None
    assert tuple(made["table"][0]["color"]) == default_color(1)


def test_labels_made_of_others_say_so_by_number() -> None:
    rows = [{"value": 1, "name": "air", "of": [3]}, {"value": 2, "name": "lesion", "of": [1, 2]}]
    made = label_parameters({"label_table": rows})
    assert made["data"] == {"3": 1, "1": 2, "2": 2}
    assert "of" not in made["table"][0]
    rows[0].pop("of")
    assert label_parameters({"label_table": rows[:1]})["data"] == {"1": "air"}
    assert label_parameters({"label_table": rows})["data"] == {"1": 2, "2": 2}


def test_what_a_loss_knows_beside_the_labels_has_a_name_in_the_data() -> None:
    made = label_parameters({**LESIONS, "unlabelled": {"value": 4, "name": "rest or not"}})
    assert made["data"]["4"] == "rest or not"
    assert made["count"] == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label_table": [{"value": 2, "name": "a"}]}, "the label values are [2]"),
        ({"label_table": []}, "the label values are []"),
        ({"focus_labels": [1, 4]}, "focus_labels names [1, 4]"),
        ({"reference_organ": {"name": "lung", "labels": [9]}}, "reference_organ names [9]"),
        ({"classes": ["a", "a"]}, "two different names"),
        ({"classes": ["No A", "no_a"]}, "two different names"),
    ],
)
def test_what_contradicts_itself_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        label_parameters({**LESIONS, **change})
