# SPDX-License-Identifier: Apache-2.0
"""Joined datalists: folds and facts stay, what contradicts is refused."""

import json
from pathlib import Path

import pytest

from medvol.data.datalist import Datalist
from medvol.data.sources.join import make, rows
from medvol.errors import InputError


def listed(folder: Path, cases: dict[str, int], labels: dict[str, str], name: str) -> Path:
    """A datalist of cases in folds, whose files lie in its folder."""
    folder.mkdir()
    items = [
        {"image": f"{case}.nii.gz", "label": f"{case}_label.nii.gz", "case": case,
         "patient": case[0], "fold": fold}
        for case, fold in cases.items()
    ]  # fmt: skip
    content = {
        "name": name, "licence": "open", "labels": labels, "training": items,
        "facts": {case: {"ml": fold} for case, fold in cases.items()},
    }  # fmt: skip
    (folder / "datalist.json").write_text(json.dumps(content))
    return folder / "datalist.json"


def test_cases_keep_their_folds_and_files(tmp_path):
    one = listed(
        tmp_path / "one", {"a1": 0, "a2": 0, "b": 1}, {"0": "background", "3": "lung"}, "A"
    )
    two = listed(tmp_path / "two", {"c": 1}, {"0": "background", "1": "opacity"}, "B")
    joined = make(tmp_path / "both.json", lists=[one, two])
    assert joined.labels == {0: "background", 1: "opacity", 3: "lung"}
    assert [(item["case"], item["fold"]) for item in joined.parts["training"]] == [
        ("a1", 0), ("a2", 0), ("b", 1), ("c", 1)
    ]  # fmt: skip
    assert Path(joined.parts["training"][3]["image"]) == tmp_path / "two" / "c.nii.gz"
    about = Datalist.read(tmp_path / "both.json").about
    assert (about["name"], about["licence"]) == ("A; B", "open")
    assert about["facts"]["c"] == {"ml": 1}
    assert [item["source"] for item in joined.parts["training"]] == ["A", "A", "A", "B"]
    assert rows(joined)[1:] == [["training", "0", "2", "1"], ["training", "1", "2", "2"]]


def test_a_source_that_an_item_names_stays(tmp_path):
    one = listed(tmp_path / "one", {"a": 0}, {"1": "opacity"}, "A")
    two = listed(tmp_path / "two", {"b": 0}, {"1": "opacity"}, "B")
    content = json.loads(two.read_text())
    content["training"][0]["source"] = "hospital"
    two.write_text(json.dumps(content))
    joined = make(tmp_path / "both.json", lists=[one, two])
    assert [item["source"] for item in joined.parts["training"]] == ["A", "hospital"]


def test_lists_that_contradict_each_other_are_refused(tmp_path):
    one = listed(tmp_path / "one", {"a": 0}, {"1": "opacity"}, "A")
    two = listed(tmp_path / "two", {"b": 0}, {"1": "lung"}, "B")
    same = listed(tmp_path / "same", {"a": 1}, {"1": "opacity"}, "C")
    with pytest.raises(InputError, match="1 is 'lung' here, and 'opacity' in a list before") as no:
        make(tmp_path / "both.json", lists=[one, two])
    assert no.value.code == "E_LABELS"
    with pytest.raises(InputError, match="the case a is in ") as no:
        make(tmp_path / "both.json", lists=[one, same])
    assert no.value.code == "E_FORMAT"
    other = listed(tmp_path / "other", {"a2": 1}, {"1": "opacity"}, "D")  # of patient a, too
    with pytest.raises(InputError, match="patient a is in training fold 1 here, and in training f"):
        make(tmp_path / "both.json", lists=[one, other])
    with pytest.raises(ValueError, match="there is 1 datalist to join"):
        make(tmp_path / "both.json", lists=[one])
    assert not (tmp_path / "both.json").exists()
