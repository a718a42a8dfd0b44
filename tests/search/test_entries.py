# SPDX-License-Identifier: Apache-2.0
"""Comparisons as files: products multiplied out, and the shipped grid."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from refusals import refused_by

from medvol.search.entries import only, read_contest, shipped_grids

SIZE = 224


def written(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_products_are_multiplied_out(tmp_path: Path) -> None:
    contest = read_contest(written(
        tmp_path / "c.json", bundle="b", data="d.json", budget_s=5, settings={"epochs": 2},
        entries=[
            {"name": "plain", "learning_rate": 1},
            {"name": "net", "network_def": {"_target_": "N"}, "product": {
                "network_def#filters": [[4, 8], []], "network_def#dropout": {"wet": 0, "dry": 0.2},
            }},
        ],
    ))  # fmt: skip
    assert list(contest.entries) == [
        "plain", "net-4x8-wet", "net-4x8-dry", "net-none-wet", "net-none-dry",
    ]  # fmt: skip
    assert contest.entries["plain"] == {"learning_rate": 1}
    assert contest.entries["net-none-dry"] == {
        "network_def": {"_target_": "N"}, "network_def#filters": [], "network_def#dropout": 0.2,
    }  # fmt: skip
    assert next(iter(contest.entries["net-4x8-wet"])) == "network_def"  # the others lie over it
    assert (contest.bundle, contest.data) == ("b", tmp_path / "d.json")
    assert (contest.budget_s, contest.patience, contest.test) == (5, None, {})
    assert list(only(contest, ["plain"]).entries) == ["plain"]
    refused_by(lambda: only(contest, ["plane"]), "E_FORMAT")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "`entries` is no list"),
        ({"entries": []}, "`entries` is no list"),
        ({"entries": [{"name": "a"}], "budget": 1}, "it has the key `budget`"),
        ({"entries": [{"name": "a"}], "settings": []}, "`settings` is no object"),
        ({"entries": [{"name": "a"}, {"name": "a"}]}, "two entries are called 'a'"),
        ({"entries": ["a"]}, "no object with a `name`"),
        ({"entries": [{"name": "../a"}]}, "'../a' cannot be the name of a folder"),
        ({"entries": [{"name": "a", "product": [1]}]}, "`product` of 'a' is no object"),
        ({"entries": [{"name": "a", "product": {"b": 1}}]}, "'a', b are no list"),
    ],
)  # fmt: skip
def test_a_comparison_of_another_form_is_refused(
    content: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "c.json", **content)
    assert words in refused_by(lambda: read_contest(path), "E_FORMAT").reason


def test_no_such_comparison(tmp_path: Path) -> None:
    refused_by(lambda: read_contest(tmp_path / "none.json"), "E_PATH")


def test_the_shipped_grid_has_more_than_forty_networks_that_can_be_made() -> None:
    contest = read_contest(Path("radiograph"))
    assert list(shipped_grids()) == ["radiograph"]
    assert len(contest.entries) == 50
    sizes = {}
    for name, values in contest.entries.items():
        parser = ConfigParser({"class_names": ["a", "b", "c"], "image_size": SIZE})
        for key, value in json.loads(json.dumps(values)).items():
            parser[key] = value
        with torch.device("meta"):
            network = parser.get_parsed_content("network_def")
            assert network(torch.zeros(1, 1, SIZE, SIZE)).shape == (1, 3), name
        sizes[name] = sum(p.numel() for p in network.parameters())
    assert len(set(sizes.values())) >= 30  # dropout changes no size
    assert sizes["vgg16-whole-4096x4096-plain"] > 100 * sizes["lenet5-120x84-d0"]
    assert sizes["lenet5-120x84-d0"] == 61_706 - 7 * 85  # ten classes have seven outputs more
