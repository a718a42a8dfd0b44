# SPDX-License-Identifier: Apache-2.0
"""Several networks as one, and a network that also looks at mirror images: the mean of them."""

from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from typing import Any

import torch
from torch import Tensor, nn

LEAST = 1e-30  # of a probability; its logarithm is finite in float32


class AveragedNetwork(nn.Module):
    """The mean probability of several networks, each of an image and of its mirror images.

    It stands in the place of one network, so that windows, slabs, a gate and whatever runs networks
    know of no more than one. One network computes after the other: it takes as many times as long
    as there are passes, and the memory of one, of the weights of all, and of two times the scores.
    Probabilities are averaged, not scores, of which a network that is sure without reason has more.

    Args:
        members: networks of one kind of input and output. The weights of several are named "0.",
            "1." and so on, each before the names of a member; those of one have its own names.
        mirror: spatial axes along which an input is mirrored, from 0; all combinations count, so n
            axes are 2 ** n passes of each member. An axis along which left and right are different
            labels must not be among them.

    Returns (forward): logarithms of the mean probability, as the scores of one network:
        (B, classes, *spatial), or (B, classes), of which softmax gives the mean probability.

    Raises:
        ValueError: no member, or an axis twice or below 0.

    Example:
        >>> sure, unsure = (nn.Conv2d(1, 2, 1) for _ in range(2))
        >>> for network, score in ((sure, 99.0), (unsure, 0.0)):
        ...     _ = network.weight.data.zero_(), network.bias.data.copy_(torch.tensor([0, score]))
        >>> both = AveragedNetwork([sure, unsure])
        >>> mean = both(torch.zeros(1, 1, 1, 1)).softmax(1).flatten()
        >>> [round(share, 4) for share in mean.tolist()]
        [0.25, 0.75]
    """

    def __init__(self, members: Sequence[nn.Module], *, mirror: Sequence[int] = ()) -> None:
        super().__init__()
        if not members:
            raise ValueError("there are no members; give at least one network")
        if len({*mirror}) != len(mirror) or min(mirror, default=0) < 0:
            raise ValueError(f"mirror is {list(mirror)}; give each axis once, the first is 0")
        self.members = nn.ModuleList(members)
        self.mirror = list(mirror)
        sizes = range(len(self.mirror) + 1)
        flips = chain.from_iterable(combinations([2 + axis for axis in mirror], n) for n in sizes)
        self.flips = [list(axes) for axes in flips]  # of a batch, the first is none

    @property
    def passes(self) -> int:
        """How often a network computes for one input."""
        return len(self.members) * len(self.flips)

    @property
    def settings(self) -> dict[str, Any]:
        """What a record names: how many networks, where several, and axes that are mirrored."""
        only = self.members[0]
        found: dict[str, Any] = only.settings if isinstance(only, AveragedNetwork) else {}
        several = {"networks": len(self.members)} if len(self.members) > 1 else found
        return {**several, **({"mirror": self.mirror} if self.mirror else {})}

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(())
        for number, member in enumerate(self.members):
            for axes in self.flips:
                scores = member(x.flip(axes) if axes else x)
                probability = scores.float().softmax(1)
                if axes and scores.dim() == x.dim():  # not those of the whole image
                    probability = probability.flip(axes)
                total = total + probability if number or axes else probability
        return (total / self.passes).clamp(min=LEAST).log()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The weights of the only member, or those of all members."""
        state: dict[str, Any] = self._named.state_dict(*args, **kwargs)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take over the weights of the only member, or those of all members.

        Args:
            state_dict, strict, assign: as of torch.
        """
        return self._named.load_state_dict(state_dict, strict=strict, assign=assign)

    @property
    def _named(self) -> nn.Module:
        return self.members[0] if len(self.members) == 1 else self.members


def averaged(network: nn.Module, mirror: Sequence[int] = ()) -> nn.Module:
    """The mean over an image and its mirror images; the network itself where there are none.

    Args:
        network: of any kind.
        mirror: axes, as for `AveragedNetwork`.
    """
    return AveragedNetwork([network], mirror=mirror) if mirror else network
