# SPDX-License-Identifier: Apache-2.0
"""Search spaces and settings: what is drawn, what a grid holds, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from refusals import refused_by

from medvol.search.space import Axis, changes, grid, read_space
from medvol.search.training import parse_settings


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_each_kind_of_setting(tmp_path: Path) -> None:
    space = read_space(written(tmp_path / "s.json", {
        "rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch": {"low": 2, "high": 8, "step": 2},
        "share": {"low": 0, "high": 0.5, "step": 0.25}, "name": {"choices": ["a", None, [1, 2]]},
    }))  # fmt: skip
    assert {name: axis.distribution for name, axis in space.items()} == {
        "rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch": IntDistribution(2, 8, step=2),
        "share": FloatDistribution(0, 0.5, step=0.25),
        "name": CategoricalDistribution(["a", None, "[1, 2]"]),
    }
    drawn = {"rate": 0.001, "batch": 4, "share": 0.25, "name": "[1, 2]"}
    assert changes(space, drawn) == {"rate": 0.001, "batch": 4, "share": 0.25, "name": [1, 2]}


def test_a_grid_in_its_order() -> None:
    space = {
        "a": Axis(low=1, high=3),
        "b": Axis(([1], "x")),
        "c": Axis(low=0.0, high=0.2, step=0.1),
    }
    points = grid(space)
    assert len(points) == 3 * 2 * 3
    assert points[0] == {"a": 1, "b": "[1]", "c": 0.0}
    assert points[-1] == {"a": 3, "b": "x", "c": 0.2}


@pytest.mark.parametrize(
    ("axis", "words"),
    [(Axis(low=0.0, high=1.0), "a: a grid needs choices"),
     (Axis(low=1, high=9, log=True), "a: a grid needs choices"),
     (Axis(low=1, high=20_000), "more than 1000 points")],
)  # fmt: skip
def test_a_grid_without_end(axis: Axis, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        grid({"a": axis})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ([], "is not a JSON object"),
        ({}, "it names no setting"),
        ({"a": [1, 2]}, "`a`: give choices, or low and high"),
        ({"a": {"low": 1}}, "`a`: give choices, or low and high"),
        ({"a": {"choices": []}}, "`a`: choices is a list of one value or more"),
        ({"a": {"low": 2, "high": 1}}, "`a`: "),
        ({"a": {"low": 0, "high": 1.0, "log": True}}, "`a`: "),
        ({"a": {"low": "x", "high": 1}}, "`a`: "),
    ],
)  # fmt: skip
def test_a_space_of_another_form_is_refused(content: Any, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "s.json", content)
    assert words in refused_by(lambda: read_space(path), "E_FORMAT").reason


def test_no_such_space(tmp_path: Path) -> None:
    refused_by(lambda: read_space(tmp_path / "none.json"), "E_PATH")


def test_settings_are_read_as_monai_reads_them() -> None:
    words = "epochs=2 name=a=b size=[4,8] network_def#norm=batch at=(1,2) off=False"
    assert parse_settings(words.split()) == {
        "epochs": 2, "name": "a=b", "size": [4, 8], "network_def#norm": "batch", "at": [1, 2],
        "off": False,
    }  # fmt: skip
    assert parse_settings([]) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["epochs"], "--set epochs: settings are given as id=value"), (["=2"], "--set =2: settings"),
     (["a=1", "a=1"], "a is given twice"), (["a={1,2}"], "--set a={1,2}")],
)  # fmt: skip
def test_settings_that_are_none(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_settings(words)
