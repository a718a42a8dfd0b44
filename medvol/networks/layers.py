# SPDX-License-Identifier: Apache-2.0
"""The layers of any network from the first to the head, and a head that trains alone."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from .fit import head_of

HOOK = "_keeps_body_still"  # attribute of a network whose body is frozen


def layer_groups(network: Any) -> list[list[nn.Parameter]]:
    """All parameters, each once, in groups from the first layers to the head.

    Args:
        network: its own `layer_groups()` says which; one without it has two, body and head.

    Raises:
        ValueError: a parameter is in no group, or in two.

    Example:
        >>> [len(group) for group in layer_groups(nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3)))]
        [2, 2]
    """
    if hasattr(network, "layer_groups"):
        groups: list[list[nn.Parameter]] = network.layer_groups()
    else:
        head = head_of(network)
        named = [*network.named_parameters()]
        groups = [[p for name, p in named if (name in head) is last] for last in (False, True)]
    given = sorted(id(p) for group in groups for p in group)
    if given != sorted(id(p) for p in network.parameters()):
        raise ValueError(
            f"{type(network).__name__}.layer_groups() does not hold each parameter once; "
            "give every parameter a place in one group"
        )
    return [group for group in groups if group]


def freeze_body(network: Any, frozen: bool = True) -> None:
    """Let only the head of a network train, or with False everything again.

    A frozen body also keeps its batch statistics, whatever `train` says. A network with a method of
    this name does it itself.

    Args:
        network: of any kind; see `head_of` for what its head is.
        frozen: whether the body stands still.
    """
    if hasattr(network, "freeze_body"):
        network.freeze_body(frozen)
        return
    head = head_of(network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not frozen or name in head)
    if hook := network.__dict__.pop(HOOK, None):
        hook.remove()
    if frozen:
        network.__dict__[HOOK] = network.register_forward_pre_hook(_body_in_evaluation)


def _body_in_evaluation(network: nn.Module, _: Any) -> None:
    for part in _body_modules(network):
        part.eval()


def _body_modules(network: nn.Module) -> Iterator[nn.Module]:
    """The modules that hold nothing of the head."""
    head = head_of(network)
    for name, part in network.named_modules():
        if name and not any(weight.startswith(f"{name}.") for weight in head):
            yield part
