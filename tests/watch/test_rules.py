# SPDX-License-Identifier: Apache-2.0
"""Rules of a watch: what fits, which series is taken, and files that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from refusals import refused_by

from medvol.dicomweb.found import SeriesFound
from medvol.images.dicom import RADIOGRAPHY
from medvol.watch.rules import Rules, rules_for

LUNG = SeriesFound("1", 3, "Lung 1.0 B70f", "CT", "CHEST", 300)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (Rules(), ""),
        (Rules(modality=("CT",), body_part=("CHEST", "THORAX"), description="^lung"), ""),
        (Rules(modality=("MR",)), "modality CT"),
        (Rules(body_part=("HEAD",)), "body part CHEST"),
        (Rules(description="soft|bone"), 'description "Lung 1.0 B70f"'),
        (Rules(exclude="b70"), 'description "Lung 1.0 B70f"'),
        (Rules(min_images=300), ""),
        (Rules(min_images=301), "300 images"),
    ],
)
def test_each_rule(rules: Rules, reason: str) -> None:
    assert rules.against(LUNG) == reason


def test_what_is_not_said() -> None:
    nothing = SeriesFound("1")
    assert Rules(modality=("CT",), min_images=10).against(nothing) == ""
    assert Rules(body_part=("CHEST",)).against(nothing) == "body part not said"
    assert Rules(description="lung").against(nothing) == 'description ""'


def test_of_a_study_the_series_with_most_images_is_taken() -> None:
    thick = SeriesFound("2", 2, "Lung 5.0", "CT", "CHEST", 60)
    twin = SeriesFound("0", 4, "Soft 1.0", "CT", "CHEST", 300)
    scout = SeriesFound("3", 1, "Topogram", "CT", "CHEST", 2)
    rules = Rules(modality=("CT",), min_images=10)
    assert rules.chosen([scout, thick, twin, LUNG], every=False) == [LUNG]
    assert rules.chosen([scout, thick, LUNG], every=True) == [thick, LUNG]
    assert rules.chosen([scout], every=False) == []


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_options_go_over_a_file_and_a_file_over_what_the_bundle_takes(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"modality": None, "description": None}
    usual = rules_for(None, nothing, modality="CT", kind="volume")
    assert usual == Rules(modality=("CT",), min_images=10)
    assert rules_for(None, {}, modality=None, kind="radiograph") == Rules(modality=RADIOGRAPHY)
    file = write(tmp_path / "rules.json", {"body_part": "chest", "description": "lung",
                                           "min_images": 50})  # fmt: skip
    found = rules_for(file, {"description": "soft"}, modality="CT", kind="volume")
    assert found == Rules(("CT",), ("CHEST",), "soft", "", 50)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (["CT"], "is not an object of rules"),
        ({"modalities": ["CT"]}, "there is no rule 'modalities'; there are body_part, desc"),
        ({"modality": [1]}, "value of modality is of another kind"),
        ({"min_images": "50"}, "value of min_images is of another kind"),
        ({"min_images": True}, "value of min_images is of another kind"),
        ({"min_images": 0}, "give 1 or more"),
        ({"description": "("}, "not a regular expression"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: Any, words: str) -> None:
    file = write(tmp_path / "rules.json", content)
    error = refused_by(lambda: rules_for(file, {}, modality=None, kind="volume"), "E_FORMAT")
    assert words in error.reason
    assert "min_images" in error.remedy


def test_a_file_that_is_not_there_or_not_json(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    refused_by(lambda: rules_for(absent, {}, modality=None, kind="volume"), "E_PATH")
    (tmp_path / "rules.json").write_text("modality: CT")
    file = tmp_path / "rules.json"
    refused_by(lambda: rules_for(file, {}, modality=None, kind="volume"), "E_FORMAT")
    with pytest.raises(ValueError, match="not a regular expression"):
        rules_for(None, {"exclude": "["}, modality=None, kind="volume")
