# SPDX-License-Identifier: Apache-2.0
"""Where the weights of a gate lie: in the bundle, but not where others look for the model's.

MONAI Label offers every `models/*.pt` as the model's own weights, and loads them with
`strict=False`: what does not fit leaves the network random, without a word.
"""

import os
import sys
from pathlib import Path

from ..errors import InputError
from ..files import sha256_of

MODELS, MODEL = "models", "model.pt"
PLACE = "models/slice_gate/weights.pt"  # in a bundle


def gate_file(weights: str | os.PathLike[str]) -> Path:
    """The file of a gate's weights.

    A relative path that leads nowhere is looked for in the bundle that carries this file, else in
    those on `sys.path`: MONAI Deploy puts a bundle's folder there, and does not say in its config
    where the bundle lies.

    Args:
        weights: as a bundle's config names it.

    Returns:
        The path given, or that of the one file found.

    Raises:
        InputError: E_BUNDLE, it lies beside `models/model.pt`, or the bundles on `sys.path` have
            several files that differ.
    """
    path = Path(weights)
    if path.parent.name == MODELS and path.name != MODEL and path.with_name(MODEL).is_file():
        raise InputError(
            "E_BUNDLE", path,
            "a gate's weights lie where MONAI Label takes them for those of the model.",
            f"Move them to {PLACE}, and say so in inference.json and recipe.json.",
        )  # fmt: skip
    if path.is_absolute() or path.is_file():
        return path
    own = [folder for folder in Path(__file__).parents if _holds(folder, path)]
    others = [Path(place) for place in dict.fromkeys(sys.path) if place]
    found = {
        sha256_of(bundle / path): bundle / path
        for bundle in own or reversed(others)
        if _holds(bundle, path)
    }
    if len(found) > 1:
        raise InputError(
            "E_BUNDLE", path, f"{' and '.join(map(str, sorted(found.values())))} differ.",
            "Say with bundle_root which bundle is meant.",
        )  # fmt: skip
    return next(iter(found.values()), path)


def _holds(folder: Path, path: Path) -> bool:
    """Whether a folder is a bundle that has this file."""
    return (folder / "configs" / "metadata.json").is_file() and (folder / path).is_file()
