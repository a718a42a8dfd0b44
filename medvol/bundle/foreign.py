# SPDX-License-Identifier: Apache-2.0
"""The parts of an inference config, whatever it calls them: by usual names, or as its evaluator
refers to them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = ("inference.json", "inference.yaml", "inference.yml")
GATE = "gate_threshold"  # id in one of them, where the bundle has a gate
# part -> the ids that it has in bundles, the likeliest first
IDS: Mapping[str, tuple[str, ...]] = {
    "preprocessing": ("preprocessing", "pre_transforms", "preprocess", "transforms"),
    "network": ("network", "network_def", "net", "model"),
    "inferer": ("inferer",),
    "postprocessing": ("postprocessing", "post_transforms", "postprocess"),
}
# part -> how an evaluator comes to it, argument by argument
BY_EVALUATOR: Mapping[str, tuple[str, ...]] = {
    "preprocessing": ("val_data_loader", "dataset", "transform"),
    "network": ("network",),
    "inferer": ("inferer",),
    "postprocessing": ("postprocessing",),
}
EVALUATOR = "evaluator"


def inference_config(folder: Path) -> Path:
    """The config by which a bundle predicts; the first of `NAMES`, also where there is none.

    Args:
        folder: the bundle's root.
    """
    paths = [folder / "configs" / name for name in NAMES]
    return next((path for path in paths if path.is_file()), paths[0])


def id_of(config: Mapping[str, Any], part: str) -> str | None:
    """The id of a part; None where a config has no such part.

    Args:
        config: content of an inference config.
        part: of `IDS`.

    Example:
        >>> id_of({"net": {}, "postprocessing": {}}, "network")
        'net'
        >>> loader = {"dataset": {"transform": "@chain"}}
        >>> id_of({"evaluator": {"val_data_loader": loader}, "chain": {}}, "preprocessing")
        'chain'
        >>> id_of({"evaluator": {"network": "$@net_def.to(@device)"}}, "network")
        'evaluator#network'
    """
    known = next((name for name in IDS[part] if name in config), None)
    if known is not None or EVALUATOR not in config:
        return known
    at = EVALUATOR
    for argument in BY_EVALUATOR[part]:
        at = _followed(config, at)
        if not isinstance(held := _entry(config, at), Mapping) or argument not in held:
            return None
        at = f"{at}#{argument}"
    return _followed(config, at)


def _followed(config: Mapping[str, Any], at: str) -> str:
    """The id that an entry refers to, and that one's, to the end."""
    for _ in range(len(config)):
        entry = _entry(config, at)
        if not isinstance(entry, str) or not entry.startswith("@"):
            break
        at = entry[1:].replace("::", "#")
    return at


def _entry(config: Mapping[str, Any], at: str) -> Any:
    """What stands at an id; None where nothing does."""
    entry: Any = config
    for key in at.split("#"):
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry
