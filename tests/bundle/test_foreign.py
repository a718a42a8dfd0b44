# SPDX-License-Identifier: Apache-2.0
"""The parts of a config are found by usual names, or as its evaluator refers to them."""

from pathlib import Path

import pytest

from medvol.bundle.foreign import id_of, inference_config

CONFIG = {
    "loader": {"dataset": "@data"},
    "data": {"transform": "@chain::before"},
    "chain": {"before": []},
    "evaluator": {"val_data_loader": "@loader", "network": "@nn", "inferer": {"_target_": "X"}},
}


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("preprocessing", "chain#before"),
        ("network", "nn"),
        ("inferer", "evaluator#inferer"),
        ("postprocessing", None),
    ],
)
def test_an_evaluator_is_followed(part: str, found: str | None) -> None:
    assert id_of(CONFIG, part) == found
    assert id_of({}, part) is None
    assert id_of({**CONFIG, part: {}}, part) == part


def test_a_circle_of_references_ends() -> None:
    assert id_of({"evaluator": {"network": "@a"}, "a": "@b", "b": "@a"}, "network") in ("a", "b")


def test_json_stands_before_yaml(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    assert inference_config(tmp_path).name == "inference.json"  # so that its lack is said
    for name in ("inference.yml", "inference.yaml", "inference.json"):
        (tmp_path / "configs" / name).touch()
        assert inference_config(tmp_path).name == name
