# SPDX-License-Identifier: Apache-2.0
"""What all trainings have in common is checked before the first of them starts."""

from pathlib import Path

import pytest
from fake_training import fake_bundle
from refusals import refused_by

from medvol.search.training import prepare


def test_settings_are_checked_before_anything_is_trained(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "bundle")
    training = prepare(bundle, settings={"epochs": 5}, limits=(9, 2))
    assert (training.metric, training.budget_s, training.patience) == ("score", 9, 2)
    refused_by(lambda: prepare(bundle, settings={"epoch": 5}), "E_BUNDLE")
    refused_by(lambda: prepare(bundle, data=tmp_path / "none.json"), "E_PATH")
    refused_by(lambda: prepare(bundle, overlays=["none.json"]), "E_BUNDLE")
    for options in ({}, {"judged": False, "limits": (None, 2)}):
        with pytest.raises(ValueError, match="val_interval is None: no epoch would be validated"):
            prepare(bundle, settings={"val_interval": None}, **options)  # type: ignore
    assert prepare(bundle, settings={"val_interval": 9}).metric == "score"  # the last epoch is
    assert prepare(bundle, settings={"val_interval": None}, judged=False).metric == ""
    weights = tmp_path / "w.pt"
    weights.touch()
    for name in ("label_names", "class_names"):  # by which a head for others is left out
        named = fake_bundle(tmp_path / name, **{name: ["a", "b"]})
        start, _ = prepare(named, weights=weights).changes({})["+train#handlers"]
        assert start["names"] == f"@{name}"
    plain = fake_bundle(tmp_path / "plain", train={"handlers": "$[]"})
    assert "no list" in refused_by(lambda: prepare(plain), "E_BUNDLE").reason
    nameless = fake_bundle(tmp_path / "nameless", validate={"key_metric": None, "evaluator": {}})
    assert "names no metric" in refused_by(lambda: prepare(nameless), "E_BUNDLE").reason
