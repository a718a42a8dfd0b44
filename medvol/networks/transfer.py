# SPDX-License-Identifier: Apache-2.0
"""Networks of 2D images in parts: a body that takes weights of others, and what stands on it."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Self

from torch import Tensor, nn

from .fit import Fit, fit_partly


class TransferNetwork(nn.Module):
    """What networks on a body share: weights into the body, freezing it, layers in groups.

    A subclass makes the parts: the body first, then what stands on it, the head last. It says in
    `own_names` which names others give to weights of the body.

    Args:
        body: takes images (B, C, X, Y).
        stages: names within the body of its layers in order, in groups that learn at one rate.
    """

    fitting: ClassVar[str] = "the same network"  # whose weights fit, in words

    def __init__(self, body: nn.Module, stages: Iterable[Iterable[str]]) -> None:
        super().__init__()
        self.body = body
        self.stages = [list(names) for names in stages]
        self.body_is_frozen = False

    def own_names(self, given: Iterable[str]) -> dict[str, str]:
        """The names within the body of weights that a state dict names in its own way.

        Args:
            given: all names of the state dict.

        Returns:
            given name to name within the body; a name that means nothing here stays as it is.
        """
        return {name: name.removeprefix("body.") for name in given}

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """All parameters, each once, in groups from the first layers to the head."""
        stages: list[list[nn.Module]] = [
            [self.body.get_submodule(name) for name in names] for names in self.stages
        ]
        stages += [[part] for part in self.children() if part is not self.body]
        groups = [[w for part in stage for w in part.parameters()] for stage in stages]
        return [group for group in groups if group]

    def freeze_body(self, frozen: bool = True) -> Self:
        """Let only what stands on the body train, or with False everything again.

        A frozen body also keeps its batch statistics, whatever `train` says.

        Returns:
            This network.
        """
        self.body_is_frozen = frozen
        self.body.requires_grad_(not frozen)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`; a frozen body stays in evaluation mode."""
        super().train(mode)
        self.body.train(mode and not self.body_is_frozen)
        return self

    def load_body(self, state: Mapping[str, Tensor], *, may_lack: Sequence[str] = ()) -> Fit:
        """Take over what `fit_body` finds; the rest stays as it is.

        Args:
            state, may_lack: as for `fit_body`.

        Raises:
            ValueError: as for `fit_body`.
        """
        found = self.fit_body(state, may_lack=may_lack)
        self.body.load_state_dict(found.taken, strict=False)
        return found

    def fit_body(self, state: Mapping[str, Tensor], *, may_lack: Sequence[str] = ()) -> Fit:
        """The body's weights in a state dict.

        The state dict is of a network of this class ("body." before each name), of its body alone,
        or in one of the layouts that the class names. When its first convolution has another
        number of channels it is adapted, see `adapt_first_convolution`.

        Args:
            state: names to weights.
            may_lack: names within the body, or beginnings of names, that may be missing.

        Returns:
            What fits, by names within the body, and what does not match; what stands on it
            in the state dict is among the unexpected.

        Raises:
            ValueError: nothing matches, a weight is missing or has another shape, or there are
                more layers than the body has.
        """
        own = self.body.state_dict()
        names = self.own_names(state)
        if not {*names.values()} & {*own}:
            raise ValueError(
                f"the state dict has none of the body's {len(own)} weights, but {list(state)[:3]}"
                f"; give one of {self.fitting}"
            )
        first = next(name for name, value in own.items() if value.dim() == 4)
        adapted = {
            given: adapt_first_convolution(value, own[first].shape[1])
            if names[given] == first and value.dim() == 4
            else value
            for given, value in state.items()
        }
        try:
            return fit_partly(own, adapted, names=names, may_lack=may_lack)
        except ValueError as error:
            raise ValueError(f"{error}; give weights of the same depth and width") from error


class TransferClassifier(TransferNetwork):
    """A classifier: a body and a head of dense layers.

    The head is, per entry of `hidden`, dropout, a dense layer and ReLU; then dropout and a dense
    layer to the scores.

    Args:
        body: images (B, C, X, Y) to features (B, n).
        stages: names within the body of its layers in order, in groups that learn at one rate.
        features: numbers that the body gives, n.
        out_channels: classes; 1 for a single score per image.
        hidden: sizes of dense layers before the last.
        dropout: probability of zeroing a feature before each dense layer of the head.

    Attributes:
        smallest: pixels that an image needs along each axis; 1 unless a subclass needs more.

    Returns (forward):
        scores (B, out_channels) of images (B, C, X, Y), before softmax or sigmoid.

    Raises:
        ValueError: an argument out of range; from forward, an image that is too small.
    """

    def __init__(
        self,
        body: nn.Module,
        stages: Iterable[Iterable[str]],
        *,
        features: int,
        out_channels: int,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
        check_at_least_one(out_channels=out_channels, hidden=hidden)
        check_dropout(dropout)
        super().__init__(body, stages)
        layers: list[nn.Module] = []
        sizes: list[int] = [features, *hidden]
        for size, following in pairwise(sizes):
            layers += [nn.Dropout(dropout), nn.Linear(size, following), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(sizes[-1], out_channels))
        self.smallest = 1

    def forward(self, x: Tensor) -> Tensor:
        self.check_size(x.shape[2], x.shape[3])
        scores: Tensor = self.head(self.body(x))
        return scores

    def check_size(self, rows: int, columns: int) -> None:
        """Refuse images that the network cannot take.

        Raises:
            ValueError: fewer pixels than `smallest`.
        """
        if min(rows, columns) < self.smallest:
            raise ValueError(
                f"the images have {rows} x {columns} pixels; "
                f"give at least {self.smallest} x {self.smallest}"
            )


def adapt_first_convolution(weight: Tensor, channels: int) -> Tensor:
    """Kernels for another number of input channels, scaled to the same sum.

    For n times as many channels, as slabs of n slices have, there is an nth of each kernel n times:
    a slab whose slices are alike gives what the slice gave. For any other number it is the mean
    kernel: an image whose channels are all alike gives what a grey image gave.

    Args:
        weight: (out, in, X, Y).
        channels: of the new input.

    Returns:
        (out, channels, X, Y); `weight` itself when it has `channels` already.

    Example:
        >>> import torch
        >>> adapt_first_convolution(torch.tensor([[[[1.0]], [[2.0]], [[6.0]]]]), 1).tolist()
        [[[[9.0]]]]
    """
    given = weight.shape[1]
    if given == channels:
        return weight
    if channels % given == 0:
        return weight.repeat_interleave(channels // given, 1) * (given / channels)
    return weight.mean(1, keepdim=True).repeat(1, channels, 1, 1) * (given / channels)


def check_at_least_one(**sizes: int | Sequence[int]) -> None:
    """Refuse channels, widths and numbers of layers below 1.

    Raises:
        ValueError: one is, with its name.
    """
    for name, given in sizes.items():
        if min([given] if isinstance(given, int) else given, default=1) < 1:
            raise ValueError(f"{name} is {given}; give at least 1")


def check_number(name: str, given: Sequence[int], wanted: int, *, of: str) -> None:
    """Refuse another number of entries than the network has parts.

    Args:
        name: of the argument.
        given: its entries.
        wanted: how many there must be.
        of: the parts, such as "blocks".

    Raises:
        ValueError: there are more or fewer.
    """
    if len(given) != wanted:
        raise ValueError(f"{name} has {len(given)} entries; give one for each of {wanted} {of}")


def check_dropout(dropout: float) -> None:
    """Refuse what is not a probability, or leaves nothing: allowed is 0 or more, below 1.

    Raises:
        ValueError: it is outside 0 to 1, or 1.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; give 0 or more and less than 1")
