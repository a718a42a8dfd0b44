# SPDX-License-Identifier: Apache-2.0
"""From pictures to a datalist: the same picture is never on two sides, or that is said loudly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from class_phantoms import noise

from medvol.data.classes import (
    ClassSet,
    by_shares,
    class_datalist,
    class_rows,
    list_classes,
    one_spelling,
)
from medvol.data.leaks import LeakError, fingerprint
from medvol.data.split import PictureFile

HALVES = by_shares(training=0.5, test=0.5)


def made_set(seeds: list[int], *, parts: dict[int, str] | None = None, pairs=()):
    """A picture for each seed, patients p0, p1, ...; equal seeds are equal pictures."""
    paths = [Path(f"/x/{k}.png") for k in range(len(seeds))]
    pictures = [
        PictureFile(path, "ab"[k % 2], f"p{k}", (parts or {}).get(k, ""))
        for k, path in enumerate(paths)
    ]
    prints = {
        path: fingerprint(noise(seed).astype(np.float32))
        for path, seed in zip(paths, seeds, strict=True)
    }
    made = ClassSet(
        pictures, ("a", "b"), {"name": "made"}, ("first.",), tuple(pairs), divide=HALVES
    )
    return made, prints


def sides(datalist) -> dict[str, str]:
    return {i["case"]: part for part in ("training", "test") for i in datalist.parts[part]}


def test_one_class_has_one_spelling():
    spelt = ["NORMAL", "Normal", "nor_mal", "Normal", "ill", "Ill"]
    assert one_spelling(spelt) == {
        "Normal": "Normal", "NORMAL": "Normal", "nor_mal": "Normal", "ill": "ill", "Ill": "ill"
    }  # fmt: skip
    assert one_spelling(["a", "b"]) == {"a": "a", "b": "b"}


def test_copies_and_known_near_duplicates_share_a_part():
    source, prints = made_set([*range(10), 0, 11], pairs=[(1, 11)])  # 10 is a copy of 0
    for seed in range(8):
        made = class_datalist(source, prints, seed=seed)
        side = sides(made)
        assert side["0"] == side["10"]
        assert side["1"] == side["11"]
    patients = {i["case"]: i["patient"] for part in ("training", "test") for i in made.parts[part]}
    assert (patients["10"], patients["11"], patients["2"]) == ("p0", "p1", "p2")
    assert made.about["notes"] == [
        "first.",
        "Never divided: 1 pair of the same picture (1 pixel-identical).",
        "Joined with another, since they share pictures: 2 patients.",
    ]


def test_copies_in_given_parts_are_a_leak():
    source, prints = made_set([0, 1, 2, 0], parts={3: "test"})
    with pytest.raises(LeakError) as found:
        class_datalist(replace(source, divide=by_shares(training=1.0)), prints)
    assert [str(leak) for leak in found.value.leaks] == ["same pixels: training/0 and test/3"]


def test_nothing_is_said_where_nothing_was_found():
    source, prints = made_set([0, 1, 2, 3])
    assert class_datalist(source, prints).about["notes"] == ["first."]


def test_list_has_labels_names_and_more_that_is_known():
    pictures = [
        PictureFile(Path("/x/a.png"), "virus", "p1", "test", extra={"source": "s"}),
        PictureFile(Path("/y/a.png"), "normal", "p2", "training"),
    ]
    made = list_classes(pictures, ("normal", "virus"), about={"name": "made"})
    assert made.about == {
        "name": "made", "labels": {"0": "normal", "1": "virus"}, "modality": {"0": "XR"}
    }  # fmt: skip
    assert made.parts["test"] == [
        {"image": "/x/a.png", "label": 1, "class": "virus", "case": "a", "patient": "p1",
         "source": "s"}
    ]  # fmt: skip
    assert made.parts["training"][0]["case"] == "a_2"  # cases have names of their own
    assert made.parts["validation"] == []
    assert class_rows(made) == [
        ["part", "normal", "virus", "all", "patients"],
        ["training", "1", "0", "1", "1"],
        ["validation", "0", "0", "0", "0"],
        ["test", "0", "1", "1", "1"],
        ["all", "1", "1", "2", "2"],
    ]
