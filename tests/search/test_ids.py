# SPDX-License-Identifier: Apache-2.0
"""Settings by id: what words mean, and which ids and kinds of values a config takes."""

from pathlib import Path
from typing import Any

import pytest
from fake_training import fake_bundle
from refusals import refused_by

from medvol.bundle.config import Config
from medvol.search.ids import check_ids, check_settings, parse_settings


@pytest.fixture
def config(tmp_path: Path) -> Config:
    bundle = fake_bundle(
        tmp_path / "b", network_def={"_target_": "torch.nn.Linear", "in_features": 3},
        flip={"_target_": "RandFlipd", "keys": "image"}, precision="fp32", sizes=[4, 8],
        decay=0, shuffle=True, expression="$2 + 1", weights=None,
    )  # fmt: skip
    return Config(bundle / "configs" / "train.json")


def test_ids_have_their_place(config: Config) -> None:
    check_ids(config, ["network_def#new_argument", "learning_rate", "network_def#in_features"])
    error = refused_by(lambda: check_ids(config, ["learningrate"]), "E_BUNDLE")
    assert error.reason == "it has no `learningrate`."
    assert error.remedy == "The nearest is `learning_rate`."
    refused_by(lambda: check_ids(config, ["newtork_def#width"]), "E_BUNDLE")
    assert "nearest" not in refused_by(lambda: check_ids(config, ["xyz"]), "E_BUNDLE").remedy


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("epoch", "epochs"),
        ("network_def#out_feature", "network_def#out_features"),
        ("flip#probb", "flip#prob"),
        ("train#handler", "train#handlers"),
    ],
)
def test_a_misspelt_id_or_argument_is_refused_with_the_nearest(
    name: str, nearest: str, config: Config
) -> None:
    error = refused_by(lambda: check_settings(config, {name: 1}), "E_BUNDLE")
    assert error.reason == f"it has no `{name}`."
    assert error.remedy == f"The nearest is `{nearest}`."
    check_settings(config, {"network_def#out_features": 2, "flip#prob": 0.5})


@pytest.mark.parametrize(
    ("name", "right", "wrong", "remedy"),
    [
        ("epochs", (2, [1, 2], "$1 + 1", None), (2.5, "two", True, {}), "a whole number"),
        ("decay", (0.1, 1, [0.1]), ("0,1", True), "a number"),
        ("learning_rate", (0.1, 1, [0.1]), ("0,1", False), "a number"),
        ("precision", ("bf16", "@other"), (16, True, ["fp32"]), "a text, such as 'fp32'"),
        ("sizes", ([1], 3), ("4x8", True, {}), "a list, such as [4, 8]"),
        ("shuffle", (False,), (1, "no"), "True or False"),
        ("expression", (3, "x"), (), ""),
        ("weights", ("a.pt", 3), (), ""),
        ("flip", ({},), (1, "flip"), "an object"),
    ],
)
def test_a_value_is_of_the_kind_that_stands_in_the_config(
    name: str, right: tuple[Any, ...], wrong: tuple[Any, ...], remedy: str, config: Config
) -> None:
    for value in right:
        check_settings(config, {name: value})
    for value in wrong:
        error = refused_by(lambda v=value: check_settings(config, {name: v}), "E_BUNDLE")
        assert error.remedy == f"Give {remedy}."
        assert f"{value!r} is given" in error.reason


def test_settings_are_read_as_monai_reads_them() -> None:
    words = "epochs=2 name=a=b size=[4,8] network_def#norm=batch at=(1,2) off=False"
    assert parse_settings(words.split()) == {
        "epochs": 2, "name": "a=b", "size": [4, 8], "network_def#norm": "batch", "at": [1, 2],
        "off": False,
    }  # fmt: skip
    assert parse_settings([]) == {}
    assert parse_settings(["a=scans#2", "b='1e5'", "c=1e5"]) == {
        "a": "scans#2", "b": "1e5", "c": 100000.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [(["epochs"], "--set epochs: settings are given as id=value"), (["=2"], "--set =2: settings"),
     (["a=1", "a=1"], "a is given twice"), (["a={1,2}"], "--set a={1,2}")],
)  # fmt: skip
def test_settings_that_are_none(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_settings(words)
