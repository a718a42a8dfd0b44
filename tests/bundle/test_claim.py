# SPDX-License-Identifier: Apache-2.0
"""CLAIM 2024: every shipped bundle answers all items, and no answer contradicts its metadata."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from refusals import refused_by

from medvol.bundle.claim import (
    CLAIM,
    ITEMS,
    NOT_APPLICABLE,
    REPORTED,
    SECTIONS,
    STATES,
    UNKNOWN,
    ClaimItem,
    blank_claim,
    claim_faults,
    counts,
    read_claim,
)
from medvol.bundle.find import shipped_bundles
from medvol.metadata import read_metadata

BUNDLES = shipped_bundles()
each_bundle = pytest.mark.parametrize("name", BUNDLES)


def answers(name: str) -> tuple[ClaimItem, ...]:
    return read_claim(BUNDLES[name], read_metadata(BUNDLES[name]))


def test_there_are_44_items_with_names_of_their_own() -> None:
    assert len(ITEMS) == len(set(ITEMS)) == 44
    assert 1 in SECTIONS
    assert max(SECTIONS) <= 44


@each_bundle
def test_a_shipped_bundle_answers_every_item(name: str) -> None:
    items = answers(name)
    assert [item.number for item in items] == [*range(1, 45)]
    assert all(item.text and item.section for item in items)
    reported = [item for item in items if item.state == REPORTED]
    assert all(item.where for item in reported)  # what is reported stands somewhere
    assert len(reported) >= 20


@each_bundle
def test_figures_are_those_of_the_metadata_and_written_nowhere_else(name: str) -> None:
    """A number in an answer comes from the metadata by its key, so it changes with it."""
    stored = json.loads((BUNDLES[name] / CLAIM).read_text(encoding="utf-8"))
    for number, row in stored["items"].items():
        assert not re.search(r"\d\.\d|\d %|\d{3}", re.sub(r"\{.*?\}", "", row["text"])), number
    performance = answers(name)[36].text
    for figure, value in read_metadata(BUNDLES[name])["eval_metrics"].items():
        assert f"{figure} {value}" in performance


@each_bundle
def test_answers_do_not_contradict_what_the_metadata_say(name: str) -> None:
    metadata, items = read_metadata(BUNDLES[name]), answers(name)
    assert items[2].text.startswith(f"Intended use: {metadata['intended_use']}")
    assert items[6].text == metadata["data_source"]
    assert metadata["pytorch_version"] in items[22].text
    external = any("true HU" in figure for figure in metadata["eval_metrics"])
    assert not (external and items[32].state == UNKNOWN)
    assert (items[17].state == "in part") == ("human_reference" in metadata)
    assert items[33].state == NOT_APPLICABLE


def test_counts_in_words() -> None:
    items = [ClaimItem(n, "", "", state, "", "") for n, state in enumerate(STATES)]
    assert counts(items[:3]) == "1 of 3 items reported, 1 in part, 1 unknown"
    assert counts(items[3:]) == "0 of 1 items reported, 1 not applicable"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text("# x\n\n## Figures: test\n\nFigures\n\nData\n")
    return tmp_path


METADATA: dict[str, Any] = {"version": "1.2.3", "references": ["first", "second"]}


def with_item(row: Any, number: str = "7") -> dict[str, Any]:
    content: dict[str, Any] = copy.deepcopy(blank_claim())
    content["items"][number] = row
    return content


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([], "it has no `items`"),
        ({"items": {"1": {}}}, "item 2 is missing"),
        (with_item({"state": "reported", "text": "x"}, "45"), "there is no item 45"),
        (with_item({"state": "reported"}), "item 7 has no `text`"),
        (with_item({"state": "unknown", "text": " "}), "item 7 says nothing; say why"),
        (with_item({"state": "yes", "text": "x"}), "item 7 has the state 'yes'"),
        (with_item({"state": "reported", "text": "{figure#AUC}"}), "item 7 names {figure#AUC}"),
        (with_item({"state": "reported", "text": "{references#2}"}), "item 7 names {references#2}"),
        (with_item({"state": "reported", "text": "x", "where": "docs/x.md"}), "which is not there"),
        (with_item({"state": "reported", "text": "x", "where": "../x"}), "which is not there"),
        (
            with_item({"state": "reported", "text": "x", "where": "docs/README.md, Data"}),
            "item 7 points to 'Data', which is no heading of docs/README.md",
        ),
    ],
)
def test_what_is_wrong_is_said(bundle: Path, content: Any, fault: str) -> None:
    faults = claim_faults(bundle, METADATA, content)
    assert any(fault in line for line in faults), faults
    (bundle / CLAIM).write_text(json.dumps(content))
    refused_by(lambda: read_claim(bundle, METADATA), "E_BUNDLE")


def test_facts_and_headings_are_found(bundle: Path) -> None:
    row = {"state": "reported", "text": "{version}, {references#1}, {references}",
           "where": "docs/README.md, Figures"}  # fmt: skip
    assert read_claim(bundle, METADATA) == ()
    (bundle / CLAIM).write_text(json.dumps(with_item(row)))
    item = read_claim(bundle, METADATA)[6]
    assert item.text == "1.2.3, second, first; second"
    assert (item.section, item.name) == ("Data", "Sources of the data")


def test_what_is_no_json_is_refused(bundle: Path) -> None:
    (bundle / CLAIM).write_text("[" * 50_000)
    refused_by(lambda: read_claim(bundle, METADATA), "E_BUNDLE")
