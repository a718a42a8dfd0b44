# SPDX-License-Identifier: Apache-2.0
"""Learning rates that grow from the first layers of a network to its head."""

from collections.abc import Iterable
from typing import Any, Protocol

from torch.nn import Parameter


class Layered(Protocol):
    """A network that names its layers in order, such as `ResidualClassifier`."""

    def layer_groups(self) -> list[list[Parameter]]: ...
    def parameters(self) -> Iterable[Parameter]: ...


def layer_rates(network: Layered, lowest: float, highest: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer, with rates spread geometrically over the layers.

    First layers see edges and textures, which serve new images as they are; last layers have more
    to learn. Howard and Ruder, "Universal language model fine-tuning for text classification",
    2018 (doi 10.18653/v1/P18-1031), name it discriminative fine-tuning.

    Args:
        network: with `layer_groups()`, from the first layers to the head.
        lowest: rate of the first group, above 0.
        highest: rate of the last group.

    Returns:
        A dictionary with "params" and "lr" for each group.

    Raises:
        ValueError: a rate out of range, or a parameter that is in no group or in two.
    """
    groups = network.layer_groups()
    given = sorted(id(p) for group in groups for p in group)
    if given != sorted(id(p) for p in network.parameters()):
        raise ValueError(
            f"{type(network).__name__}.layer_groups() does not hold each parameter once; "
            "give every parameter a place in one group"
        )
    rates = spread(lowest, highest, len(groups))
    return [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True)]


def spread(lowest: float, highest: float, count: int) -> list[float]:
    """Rates from `lowest` to `highest` in equal ratios; a single one is `highest`.

    Raises:
        ValueError: not 0 < lowest <= highest.

    Example:
        >>> spread(1.0, 4.0, 3)
        [1.0, 2.0, 4.0]
    """
    if not 0 < lowest <= highest:
        raise ValueError(
            f"lowest and highest are {(lowest, highest)}; give rates above 0, lowest not above "
            "highest"
        )
    if count == 1:
        return [highest]
    return [float(lowest * (highest / lowest) ** (i / (count - 1))) for i in range(count)]
