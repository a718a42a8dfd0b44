# SPDX-License-Identifier: Apache-2.0
"""Settings of a training put into a bundle's source, where training and use share them.

`image_size` of a `train.json` is the parameter `image_size` of its source, which `inference.json`
takes too. A bundle that was trained with another size must be used with it, so the setting goes to
the parameter; what belongs to the training alone, such as `epochs`, does not.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from .build import Source, assemble, parameter_of

TRAIN, INFERENCE, PARAMETERS, LABELS = "train", "inference", "parameters", "labels"
NETWORK = "network_def"  # of training and use alike


class Shared(NamedTuple):
    """A source, and the settings that are of the training alone."""

    source: Source
    rest: dict[str, Any]


def with_settings(
    source: Source, settings: Mapping[str, Any], find: Callable[[str], Source]
) -> Shared:
    """Put those of a training's settings into a source that its use must share.

    These are the parameters that stand in the place of an id, and arguments of the network.

    Args:
        source: of a bundle; stays as it is.
        settings: ids of train.json to values.
        find: gives the part of a name.

    Example:
        >>> source = {"labels": {"classes": ["a", "b"]}, "parameters": {"size": 160},
        ...           "train": {"image_size": "{{size}}", "epochs": 3}}
        >>> shared = with_settings(source, {"image_size": 64, "epochs": 1}, dict)
        >>> shared.source["parameters"], shared.rest
        ({'size': 64}, {'epochs': 1})
    """
    made, merged = deepcopy(source), assemble(source, find)
    rest = {}
    for name, value in settings.items():
        places = places_of(name, merged)
        for place in places:
            _put(made, place, value)
        if not places:
            rest[name] = value
    return Shared(made, rest)


def places_of(name: str, merged: Mapping[str, Any]) -> list[list[str]]:
    """Where a setting of a training stands in a source, so that its use has it too.

    Args:
        name: id of train.json.
        merged: the source laid over its parts.

    Returns:
        Keys that lead to the parameter, or to the argument of the network in training and in use;
        none for what is of the training alone.
    """
    place = _followed([TRAIN, *name.split("#")], merged)
    if place is None or place[0] == LABELS:
        return []
    if place[0] == PARAMETERS:
        return [place]
    if place[1] == NETWORK and NETWORK in merged.get(INFERENCE, {}):
        return [place, [INFERENCE, *place[1:]]]
    return []


def _followed(keys: list[str], merged: Mapping[str, Any]) -> list[str] | None:
    """Keys that lead to the value itself, past every parameter; None where a list is in between.

    An entry that is not there yet has the place of an argument that its component is not given.
    """
    place: list[str] = []
    node: Any = merged
    for key in keys:
        if not isinstance(node, Mapping):
            return None
        place, node = [*place, key], node.get(key)
        while (parameter := parameter_of(node)) is not None:
            place, node = [PARAMETERS, *parameter], merged.get(PARAMETERS, {})
            if parameter[0] == LABELS:
                return [LABELS]
            for step in parameter:
                node = node.get(step) if isinstance(node, Mapping) else None
    return place


def _put(source: Source, place: list[str], value: Any) -> None:
    """Set an entry of a source, and make the objects on the way there."""
    *parents, last = place
    node: Any = source
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value
