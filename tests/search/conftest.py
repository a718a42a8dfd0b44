# SPDX-License-Identifier: Apache-2.0
"""What is trained when a training ends with a bundle: a bundle to make it from, and images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_training import CONFIG, PROGRAM
from PIL import Image

from medvol.bundle.build import build_bundle
from medvol.search import launch, results

NETWORK = {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": "{{labels.count}}"}
CHAIN = {"_target_": "medvol.chains.radiograph", "size": "@image_size"}
ITEMS = {
    "_target_": "medvol.data.items.load_items", "datalist": "@datalist", "labels": "@class_names",
}  # fmt: skip
PREPARED = {"_target_": "Compose", "transforms": "$@chain.transforms"}
PART = {
    "parameters": {"image_size": 16},
    "metadata": {
        "medvol_task": "radiographs",
        "network_data_format": {
            "inputs": {"image": {"modality": "XR"}},
            "outputs": {"pred": {"channel_def": "{{labels.channels}}"}},
        },
    },
    "inference": {"image_size": "{{image_size}}", "preprocessing": CHAIN, "network_def": NETWORK},
    "train": {
        **CONFIG, "image_size": "{{image_size}}", "chain": CHAIN, "network_def": NETWORK,
        "class_names": "{{labels.names}}", "num_workers": 4, "own_path": "",
        "train": {"handlers": [], "dataset": {"data": ITEMS}, "preprocessing": PREPARED},
    },
    "evaluate": {"measured": True},
}  # fmt: skip
STATE = {"weight": torch.full((2, 3), 0.5), "bias": torch.tensor([1.0, -1.0])}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)
    # runs the bundle on the data; this one's network takes no images
    monkeypatch.setattr(results, "record_bundle", lambda folder, data: [])  # noqa: ARG005


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> Path:  # noqa: ARG001
    """The folder of the user's own bundles, with one of two classes and the part that it names."""
    folder = tmp_path / "bundles"
    monkeypatch.setenv("MEDVOL_BUNDLES", str(folder))
    weights = tmp_path / "weights"
    weights.mkdir()
    whole = {"network": STATE, "epoch": 3, "chain_fingerprint": "abc", "names": ["healthy", "tb"]}
    torch.save(whole, weights / "last.pt")
    torch.save(STATE, weights / "model.pt")
    for part, classes in (("validation", (0, 1, 1)), ("test", (0, 0, 0, 1))):
        (tmp_path / "tables" / part).mkdir(parents=True)
        rows = [f"{tmp_path}/{part}{n}.png,{chosen},{0.9 - 0.8 * chosen},{0.1 + 0.8 * chosen}"
                for n, chosen in enumerate(classes)]  # fmt: skip
        head = "image,index,probability_healthy,probability_tb"
        (tmp_path / "tables" / part / "predictions.csv").write_text("\n".join([head, *rows]))
    train = {**PART["train"], "weights": str(weights), "tables": str(tmp_path / "tables")}
    source = {"extends": ["tiny"], "labels": {"classes": ["normal", "ill"]},
              "metadata": {"version": "2", "changelog": {"2": "of others"}}}  # fmt: skip
    (folder / "_parts").mkdir(parents=True)
    (folder / "_parts" / "tiny.json").write_text(json.dumps({**PART, "train": train}))
    (folder / "base" / "configs").mkdir(parents=True)
    (folder / "base" / "source.json").write_text(json.dumps(source))
    build_bundle(folder / "base")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Training 2, validation 3 (healthy, tb, tb), test 4 (healthy, healthy, tb, tb)."""
    content: dict[str, Any] = {
        "name": "ward",
        "licence": "ours",
        "labels": {"0": "healthy", "1": "tb"},
    }
    for part, classes in (("training", (0, 1)), ("validation", (0, 1, 1)), ("test", (0, 0, 1, 1))):
        content[part] = [
            {"image": f"{part}{n}.png", "label": label, "class": ("healthy", "tb")[label],
             "case": f"{part}{n}", "patient": f"{part}{n}"} for n, label in enumerate(classes)
        ]  # fmt: skip
        for item in content[part]:
            grey = np.full((16, 16), 60 + 120 * item["label"], np.uint8)
            grey[:8] = 30
            Image.fromarray(grey).save(tmp_path / item["image"])
    path = tmp_path / "d.json"
    path.write_text(json.dumps(content))
    return path
