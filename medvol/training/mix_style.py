# SPDX-License-Identifier: Apache-2.0
"""MixStyle: a network that sees the contrast of one image on the shapes of another.

Zhou et al., "Domain generalization with MixStyle", 2021 (arXiv 2104.02008): mean and deviation of
each channel of the first layers tell how an image was taken, more than what is in it. In training
they are mixed with those of another image of the batch, so that the later layers cannot rely on
them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .checkpoint import unwrapped

ALPHA = 0.1  # of the Beta distribution, as published: mostly the style of one of both
EPSILON = 1e-6


class MixStyle:
    """Mix styles after some layers of a network while it trains; its weights know nothing of it.

    A layer that stands in evaluation mode, such as one of a frozen body, is left alone. On several
    processes each mixes its own part of the batch. Attach it to a trainer behind what tries the
    precision.

    Args:
        network: that is trained.
        layers: names of its layers whose outputs (B, C, X, Y) are mixed.
        probability: of mixing a batch after a layer, 0 to 1; 0 does nothing.

    Raises:
        ValueError: another probability.
        AttributeError: the network has no such layer.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str], probability: float) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}; give 0 to 1")
        self.layers = [unwrapped(network).get_submodule(name) for name in layers]
        self.probability = probability
        self._hooks: list[RemovableHandle] = []

    def attach(self, engine: Engine) -> None:
        """Mix from the start of a trainer to its end."""
        if self.probability:
            engine.add_event_handler(Events.STARTED, self.begin)
            engine.add_event_handler(Events.COMPLETED, self.end)

    def begin(self) -> None:
        """From now on what the layers give is mixed."""
        self._hooks = [layer.register_forward_hook(self._mix) for layer in self.layers]

    def end(self) -> None:
        """No longer."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _mix(self, layer: nn.Module, _: Any, given: Tensor) -> Tensor:
        if not layer.training or float(torch.rand(())) >= self.probability:
            return given
        order = torch.randperm(len(given)).to(given.device)
        shares = torch.distributions.Beta(ALPHA, ALPHA).sample((len(given),)).to(given)
        return mixed(given, order, shares)


def mixed(features: Tensor, order: Tensor, shares: Tensor) -> Tensor:
    """Features with means and deviations between their own and those of others in the batch.

    Args:
        features: (B, C, X, Y).
        order: (B,) whose style is taken beside that of each.
        shares: (B,) of its own style, 0 to 1.

    Returns:
        (B, C, X, Y); no gradient flows through the styles.

    Example:
        >>> two = torch.tensor([[1.0, 3.0], [10.0, 30.0]]).reshape(2, 1, 1, 2)
        >>> mixed(two, torch.tensor([1, 0]), torch.tensor([0.0, 0.5])).flatten().round().tolist()
        [10.0, 30.0, 6.0, 16.0]
    """
    with torch.no_grad():
        wide = features.float()
        mean = wide.mean((2, 3), keepdim=True)
        deviation = (wide.var((2, 3), keepdim=True, correction=0) + EPSILON).sqrt()
        own = shares.float().reshape(-1, 1, 1, 1)
        new_mean = own * mean + (1 - own) * mean[order]
        new_deviation = own * deviation + (1 - own) * deviation[order]
        scale = new_deviation / deviation
    return (features * scale + (new_mean - mean * scale)).to(features.dtype)
