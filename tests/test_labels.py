# SPDX-License-Identifier: Apache-2.0
"""Label tables: order, look-up, colours, and the way through a bundle's metadata."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from refusals import refused_by

from medvol.labels import (
    Code,
    Label,
    LabelTable,
    Terminology,
    check_names,
    default_color,
    match_names,
    name_key,
)

LESION = Terminology(
    Code("SCT", "49755003", "Morphologically Altered Structure"),
    Code("SCT", "95436008", "Lung consolidation"),
    Code("SCT", "39607008", "Lung"),
)
ORGAN = Terminology(
    Code("SCT", "123037004", "Anatomical Structure"), Code("SCT", "39607008", "Lung")
)
TABLE = LabelTable(
    (
        Label(300, "Lunge, übrige", (90, 170, 230), ORGAN),
        Label(2, "consolidation", (220, 50, 60), LESION),
        Label(7, "unknown", (0, 0, 255)),
    )
)


def test_rows_are_in_the_order_of_values() -> None:
    assert [label.value for label in TABLE] == [2, 7, 300]
    assert len(TABLE) == 3


def test_look_up_by_value_and_name() -> None:
    assert TABLE[7].name == "unknown"
    assert TABLE.named("Lunge, übrige").value == 300
    with pytest.raises(KeyError, match=re.escape("no label has value 0; values are [2, 7, 300]")):
        TABLE[0]
    with pytest.raises(KeyError, match="no label is called 'lung'; names are"):
        TABLE.named("lung")


def test_the_type_holds_the_largest_value() -> None:
    assert TABLE.dtype == "uint16"
    assert LabelTable((Label(255, "a", (0, 0, 0)),)).dtype == "uint8"
    assert LabelTable((Label(256, "a", (0, 0, 0)),)).dtype == "uint16"
    assert LabelTable(()).dtype == "uint8"


def test_through_json_and_back() -> None:
    rows = json.loads(json.dumps(TABLE.to_json()))
    assert rows[1] == {"value": 7, "name": "unknown", "color": [0, 0, 255]}
    assert rows[0]["terminology"]["region"] == ["SCT", "39607008", "Lung"]
    assert "region" not in rows[2]["terminology"]
    assert LabelTable.from_metadata({"label_table": rows}) == TABLE


@pytest.mark.parametrize("key", ["channel_def", "label_def"])
def test_from_a_bundle_of_the_zoo(key: str) -> None:
    channels = {"0": "background", "2": "vein", "1": "spleen"}
    metadata = {"network_data_format": {"outputs": {"pred": {key: channels}}}}
    table = LabelTable.from_metadata(metadata)
    assert [(x.value, x.name, x.color) for x in table] == [
        (1, "spleen", (73, 242, 122)),
        (2, "vein", default_color(2)),
    ]


def test_metadata_without_labels() -> None:
    with pytest.raises(KeyError, match="network_data_format"):
        LabelTable.from_metadata({})


def test_chosen_colours_worked_out_by_hand() -> None:
    """Hue of 1: 0.381966 turn is 2.2918 sixths, so green is full: value 0.95, saturation 0.7.

    Green 0.95; red 0.95 * 0.3 = 0.285; blue 0.95 * (1 - 0.7 * (1 - 0.2918)) = 0.479. Hue of 3:
    0.145898 turn is 0.8754 sixths, so red is full; green 0.95 * (1 - 0.7 * (1 - 0.8754)) = 0.8671.
    """
    assert default_color(1) == (73, 242, 122)
    assert default_color(3) == (242, 221, 73)


def test_neighbours_and_the_first_twenty_have_different_colours() -> None:
    colors = [default_color(value) for value in range(1, 21)]
    assert len(set(colors)) == 20
    apart = [
        sum(abs(a - b) for a, b in zip(one, other, strict=True)) for one, other in pairwise(colors)
    ]
    assert min(apart) > 150


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, "background", (0, 0, 0)), "label value 0 of 'background' is not in 1..65535"),
        ((65536, "a", (0, 0, 0)), "label value 65536 of 'a' is not in 1..65535"),
        ((1, "a", (0, 0, 256)), "color (0, 0, 256) of 'a' is not three numbers in 0..255"),
        ((1, "a", (-1, 0, 0)), "is not three numbers in 0..255"),
        ((1, "a", (1, 2)), "color (1, 2) of 'a' is not three numbers"),
    ],
)
def test_impossible_labels_are_refused(arguments: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Label(*arguments)


def test_the_ends_of_what_is_possible() -> None:
    assert Label(65535, "a", (0, 0, 255)).value == 65535
    assert Label(1, "a", (255, 0, 0)).color == (255, 0, 0)
    assert Code("SCT", "X", "X-ray").meaning == "X-ray"


def test_a_value_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("label values [1, 1] are not distinct")):
        LabelTable((Label(1, "a", (0, 0, 0)), Label(1, "b", (0, 0, 0))))


@pytest.mark.parametrize("mark", "~^|")
def test_marks_that_slicer_keeps_for_itself_are_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="which 3D Slicer keeps"):
        Code("SCT", "1", f"a{mark}b")


OWN_CLASSES = ["no_covid", "covid"]
OWN = {1: "ground-glass opacity", 2: "consolidation", 3: "lung (rest)"}


@pytest.mark.parametrize(
    ("given", "said", "found"),
    [
        ({1: "Ground-Glass  Opacity", 2: "consolidation"}, {}, {1: 1, 2: 2}),
        ({1: "ground_glass-opacity", 2: "consolidation"}, {}, {1: 1, 2: 2}),
        ({3: "consolidation", 1: "lung(rest)"}, {}, {3: 2, 1: 3}),  # numbers do not count
        ({1: "glass", 2: "lung (rest)"}, {"GLASS": "Ground-glass opacity"}, {1: 1, 2: 3}),
        ({1: "lesion", 2: "lung (rest)"}, {"lesion": ""}, {1: None, 2: 3}),
        ({1: "left", 2: "right"}, dict.fromkeys(("left", "right"), "lung (rest)"), {1: 3, 2: 3}),
    ],
)
def test_labels_are_matched_by_name(
    given: dict[int, str], said: dict[str, str], found: dict[int, int | None]
) -> None:
    assert match_names(given, OWN, said) == found


@pytest.mark.parametrize("name", ["no covid", "No_COVID", "NO-COVID", " no\tcovid ", "noCovid"])
def test_names_that_are_the_same(name: str) -> None:
    assert name_key(name) == "nocovid"


def test_letters_and_accents_that_macos_takes_apart() -> None:
    assert name_key("U\u0308brige") == name_key("\u00fcbrige")
    assert name_key("ubrige") != name_key("\u00fcbrige")


def test_weights_of_other_names_are_refused() -> None:
    check_names("last.pt", ["No COVID", "covid"], ["no_covid", "COVID"])
    check_names("last.pt", (), ["covid"])
    check_names("last.pt", ["covid"], ())
    for stored in (["covid", "no_covid"], ["no_covid"], ["no_covid", "covid", "other"]):
        error = refused_by(lambda: check_names("last.pt", stored, OWN_CLASSES), "E_LABELS")  # noqa: B023
        assert (error.path, error.reason) == (
            "last.pt", f"these weights were trained for {', '.join(stored)}, not for no_covid, "
            "covid.",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({1: "ground-glass opacity", 4: "effusion"}, {1: 1, 4: None}),  # 4 means nothing else
        ({2: "ground-glass opacity", 1: "effusion"}, {2: 1, 1: None}),  # 1 is there by its name
    ],
)
def test_data_may_have_labels_of_their_own(given: dict[int, str], found: dict[int, int]) -> None:
    assert match_names(given, OWN, {}, rest=True) == found
    with pytest.raises(ValueError, match=r"the data name 'effusion' \(\d\), the bundle 'ground"):
        match_names(given, OWN, {})


@pytest.mark.parametrize(
    ("given", "said", "words"),
    [
        ({1: "glass", 2: "consolidation"}, {}, r"the data name 'glass' \(1\), the bundle .* \(3\)"),
        ({7: "liver"}, {}, r"the data name 'liver', the bundle 'ground-glass opacity' \(1\)"),
        ({1: "lung (rest)"}, {"lung (rest)": ""}, "the data name 'lung"),
        ({1: "liver"}, {"spleen": "consolidation"}, "the data have no 'spleen', only 'liver'"),
        ({1: "liver"}, {"liver": "lung"}, "the bundle has no 'lung', only 'ground-glass opacity'"),
    ],
)
def test_names_that_differ(given: dict[int, str], said: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        match_names(given, OWN, said, rest=True)


def test_names_that_differ_are_listed_with_commas() -> None:
    with pytest.raises(ValueError, match=r"^the data name 'a' \(1\), 'b' \(2\), the bundle 'c'"):
        match_names({1: "a", 2: "b"}, {1: "c", 2: "d"}, {})
    with pytest.raises(ValueError, match=r"^the data have no 'x', only 'a', 'b'$"):
        match_names({1: "a", 2: "b"}, {1: "c"}, {"x": "c"})
    with pytest.raises(ValueError, match=r"the bundle 'c' \(1\), 'd' \(2\)$"):
        match_names({1: "a", 2: "b"}, {1: "c", 2: "d"}, {})
