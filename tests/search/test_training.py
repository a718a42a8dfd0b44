# SPDX-License-Identifier: Apache-2.0
"""What all trainings have in common is checked before the first of them starts."""

from pathlib import Path

import pytest
from fake_training import fake_bundle
from refusals import refused_by

from medvol.search.training import check_ids, parse_settings, prepare


def test_settings_are_checked_before_anything_is_trained(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "bundle")
    training = prepare(bundle, settings={"epochs": 5}, limits=(9, 2))
    assert (training.metric, training.budget_s, training.patience) == ("score", 9, 2)
    check_ids(training, ["network_def#new_argument", "learning_rate"])
    error = refused_by(lambda: check_ids(training, ["learningrate"]), "E_BUNDLE")
    assert "it has no `learningrate`." in error.reason
    assert "nearest is `learning_rate`" in error.remedy
    refused_by(lambda: check_ids(training, ["newtork_def#width"]), "E_BUNDLE")
    refused_by(lambda: prepare(bundle, settings={"epoch": 5}), "E_BUNDLE")
    refused_by(lambda: prepare(bundle, data=tmp_path / "none.json"), "E_PATH")
    refused_by(lambda: prepare(bundle, overlays=["none.json"]), "E_BUNDLE")
    for options in ({}, {"judged": False, "limits": (None, 2)}):
        with pytest.raises(
            ValueError, match="val_interval is 9 and epochs is 3: no epoch would be"
        ):
            prepare(bundle, settings={"val_interval": 9}, **options)  # type: ignore
    assert prepare(bundle, settings={"val_interval": 9}, judged=False).metric == ""
    plain = fake_bundle(tmp_path / "plain", train={"handlers": "$[]"})
    assert "no list" in refused_by(lambda: prepare(plain), "E_BUNDLE").reason
    nameless = fake_bundle(tmp_path / "nameless", validate={"key_metric": None, "evaluator": {}})
    assert "names no metric" in refused_by(lambda: prepare(nameless), "E_BUNDLE").reason


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
