# SPDX-License-Identifier: Apache-2.0
"""A shipped radiograph bundle around a network of milliseconds, and pictures for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from tiny_bundle import tiny_bundle

from medvol.bundle.find import shipped_bundles
from medvol.networks.residual_classifier import ResidualClassifier

PNEUMONIA = shipped_bundles()["chest_xray_pneumonia"]
SIZE = 32
TINY = {"image_size": SIZE, "depth": 18, "width": 4}
# the mean of each quarter of a picture: top left, top right, bottom left, bottom right
QUARTERS = "$torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.AdaptiveAvgPool2d(2), "
QUARTERS += "torch.nn.Flatten(), torch.nn.Linear(4, 2))"


def tiny_network(seed: int = 0) -> ResidualClassifier:
    """A residual network of the bundle's kind with random weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResidualClassifier(1, 2, depth=18, width=4, dropout=0.3).eval()


def tiny_radiograph_bundle(
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """The bundle for pneumonia around `tiny_network`, on pictures of 32 x 32.

    Args:
        folder, changes, metadata: as for `tiny_bundle`.
        weights: state dict of models/model.pt; None is that of `tiny_network`.
    """
    state = tiny_network().state_dict() if weights is None else weights
    return tiny_bundle(
        folder, {**TINY, **(changes or {})}, metadata=metadata, weights=state, shipped=PNEUMONIA
    )


def quarter_bundle(folder: Path, quarter: int = 0) -> Path:
    """A bundle whose score for pneumonia is 8 times the mean grey of one quarter of a picture.

    Args:
        folder: to make.
        quarter: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
    """
    last = torch.zeros(2, 4)
    last[1, quarter] = 8.0
    weights = {"0.weight": torch.ones(1, 1, 1, 1), "0.bias": torch.zeros(1),
               "3.weight": last, "3.bias": torch.zeros(2)}  # fmt: skip
    changes = {"network_def": QUARTERS, "normalise": "none"}
    return tiny_radiograph_bundle(folder, changes, weights=weights)


def chest_like(seed: int, shape: tuple[int, int] = (48, 40)) -> npt.NDArray[np.uint8]:
    """Grey of 8 bits: two dark fields in a bright body, with noise that differs by the seed."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    lungs = ((abs(x) - 0.45) / 0.3) ** 2 + ((y + 0.1) / 0.7) ** 2 < 1
    noise = np.random.default_rng(seed).normal(0, 12, shape)
    return np.clip(np.where(lungs, 70, 180) + noise, 1, 250).astype(np.uint8)


def save(path: Path, grey: npt.NDArray[Any]) -> Path:
    """A picture in the format of its suffix, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path)
    return path


def chest_folder(folder: Path) -> list[Path]:
    """Four radiographs in nested folders, in the order in which they are found, and a text."""
    paths = [folder / name for name in ("a/x1.png", "a/x2.png", "a/x10.png", "b/c/x1.png")]
    for seed, path in enumerate(paths):
        save(path, chest_like(seed))
    (folder / "notes.txt").write_text("four phantoms")
    return paths
