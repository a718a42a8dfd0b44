# SPDX-License-Identifier: Apache-2.0
"""What `medvol bundle explain` says of a bundle, and of one that says little itself."""

import json
import re
from pathlib import Path

import pytest

from medvol.bundle.explain import explain
from medvol.bundle.find import shipped_bundles


def rows(text: str) -> dict[str, list[str]]:
    """The left names of the text, and the lines of each."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name = line[:14].strip() or [*found][-1]
        found.setdefault(name, []).append(line[14:])
    return found


@pytest.mark.parametrize("name", ["covid_ct_lesion_25d", "chest_xray_covid"])
def test_a_shipped_bundle_is_described_from_task_to_licence(name: str) -> None:
    found = rows(explain(shipped_bundles()[name]))
    assert [*found] == [
        "bundle", "folder", "task", "input", "output", "chain", "network", "inferer", "afterwards",
        "training", "figures", "claim", "use", "licence",
    ]  # fmt: skip
    assert found["bundle"][0].startswith(name)
    assert found["chain"][-1].startswith("7.") or "support" in found["chain"][-1]
    assert "parameters" in found["network"][-1]
    training = " ".join(found["training"])
    assert "loss: " in training
    assert "recipe: " in training
    assert "licen" in " ".join(found["licence"])
    claim = " ".join(found["claim"])
    assert re.match(r"CLAIM 2024: \d+ of 44 items reported, \d+ in part, \d+ unknown", claim)
    assert claim.endswith("; Funding")


def test_labels_steps_and_figures_are_in_words() -> None:
    found = rows(explain(shipped_bundles()["covid_ct_lesion_3d"]))
    words = {name: " ".join(lines) for name, lines in found.items()}
    assert words["output"].endswith(
        "0 background, 1 ground-glass opacity, 2 consolidation, 3 lung (rest)"
    )
    assert "WindowHUd: Scale" in words["chain"]  # of the arithmetic, not "Dictionary transform"
    assert "roi_size [112, 112, 12]" in words["inferer"]
    assert words["figures"].split()[:4] == ["region", "Dice,", "pooled", "Dice,"]
    assert "Research use only" in words["use"]


def test_a_bundle_that_says_nothing_is_described_too(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    config = {
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "EnsureTyped", "keys": "image"}],
        },
        "network_def": {
            "_target_": "torch.nn.Conv3d",
            "in_channels": 1,
            "out_channels": 2,
            "kernel_size": 1,
        },
        "inferer": {"_target_": "SimpleInferer"},
    }
    (tmp_path / "configs" / "inference.json").write_text(json.dumps(config))
    found = rows(explain(tmp_path))
    assert found["task"] == found["input"] == ["not said"]
    assert found["network"][-1] == "4 parameters"
    assert found["chain"][0].startswith("1. EnsureTyped: Ensure the input data")
    assert found["training"] == ["no train.json"]
    assert found["figures"] == ["none on docs/README.md"]
    assert "LICENSE is missing" in " ".join(found["licence"])  # long paths are wrapped
