# SPDX-License-Identifier: Apache-2.0
"""From the network's scores to labels on the input's own grid, block by block, in one step."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from monai.config import USE_META_DICT
from monai.data.meta_tensor import MetaTensor
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    DeleteItemsd,
    FillHolesd,
    Invertd,
    KeepLargestConnectedComponentd,
    LabelFilterd,
    RemoveSmallObjectsd,
)
from monai.transforms.inverse import InvertibleTransform
from monai.transforms.transform import MapTransform
from monai.transforms.utils import convert_applied_interp_mode
from torch import Tensor

from ...inferers.sliding_window import gathered
from ...transforms.decide import Decision, labels_of
from ...transforms.keys import plain
from ...transforms.traced import Undone, undone
from .rule import Equal

PLANES = 8  # of scores at once, where all are given
# steps that give the same labels of bytes as of MONAI's float32
OF_LABELS = (
    KeepLargestConnectedComponentd, FillHolesd, RemoveSmallObjectsd, LabelFilterd, DeleteItemsd,
)  # fmt: skip


def scores_to_labels(steps: Sequence[Any]) -> Equal | None:
    """The rule for `Activationsd`, `Invertd` and `AsDiscreted` of one item, one after the other.

    Known are the best class of all, as labels or one-hot, and a threshold above 0 for each class;
    before `Invertd` these only where it takes the nearest voxel. The activation may be missing.
    """
    names = tuple(type(step) for step in steps[:3])
    if names == (Activationsd, Invertd, AsDiscreted):
        return _equal(steps, 3, *steps[:3])
    if names == (Activationsd, AsDiscreted, Invertd):
        return _equal(steps, 3, steps[0], steps[2], steps[1], nearest=True)
    if names[:2] == (Invertd, AsDiscreted):
        return _equal(steps, 2, None, *steps[:2])
    if names[:2] == (AsDiscreted, Invertd):
        return _equal(steps, 2, None, steps[1], steps[0], nearest=True)
    return None


def _equal(
    steps: Sequence[Any],
    taken: int,
    activate: Activationsd | None,
    invert: Invertd,
    discrete: AsDiscreted,
    *,
    nearest: bool = False,
) -> Equal | None:
    """The step for all three; `nearest` where it must take the nearest voxel."""
    keys = {step.keys for step in steps[:taken]}
    decision = _decision(activate, discrete)
    known = (
        decision is not None
        and len(keys) == 1
        and len(invert.keys) == 1
        and invert.post_func == (None,)
        and not any(step.allow_missing_keys for step in steps[:taken])
        and (not nearest or (invert.nearest_interp == (True,) and discrete.to_onehot == [None]))
    )
    if not known or decision is None:
        return None
    small = all(type(step) in OF_LABELS for step in steps[taken:])
    step = ScoresToLabelsd(steps[:taken], invert, decision, discrete.to_onehot[0], as_bytes=small)
    return Equal(taken, step, "only where several classes can win, and in memory for labels alone")


def _decision(activate: Activationsd | None, discrete: AsDiscreted) -> Decision | None:
    """What the two do; None where it is not known."""
    for step in filter(None, (activate, discrete)):
        if set(step.converter.kwargs.items()) - {("dim", 0), ("keepdim", True)}:
            return None
    if len(discrete.argmax) != 1 or discrete.rounding != (None,):
        return None
    (best,), (threshold,) = discrete.argmax, discrete.threshold
    if bool(best) == (threshold is not None) or (threshold is not None and threshold <= 0):
        return None
    if threshold is not None and discrete.to_onehot != [None]:
        return None
    if activate is None:
        return Decision("none", threshold)
    flags = (*activate.softmax, *activate.sigmoid)
    if activate.other != (None,) or flags == (True, True):
        return None
    name = {(True, False): "softmax", (False, True): "sigmoid", (False, False): "none"}[flags]
    return Decision(name, threshold)


class ScoresToLabelsd(MapTransform):
    """Equal to the activation, inverse and decision of MONAI, in memory for the labels alone.

    Where the network's input was turned otherwise than along its axes, or was changed by steps that
    this does not know, MONAI's own steps run.

    Args:
        stock: the steps whose place it takes, in their order.
        invert: the one of them that undoes the chain.
        decision: how scores become labels.
        one_hot: classes of which each becomes a channel of its own; None for labels.
        as_bytes: labels are bytes; else float32, as MONAI has them.
    """

    def __init__(
        self,
        stock: Sequence[Any],
        invert: Invertd,
        decision: Decision,
        one_hot: int | None = None,
        *,
        as_bytes: bool = True,
    ) -> None:
        super().__init__(invert.keys)
        self.stock = Compose(list(stock))
        self.invert, self.decision, self.one_hot = invert, decision, one_hot
        self.activates = any(type(step) is Activationsd for step in stock)
        self.as_bytes = as_bytes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        scores = data[self.keys[0]]
        found = self._undone(data)
        known = isinstance(scores, MetaTensor) or (self.activates and self._first_activates())
        if found is None or not known or scores.shape[1:] != self._image(data).shape[1:]:
            return dict(self.stock(dict(data)))
        return self._made(plain(scores).detach().split(PLANES, 1), found, data)

    def stream(self, planes: Iterable[Tensor], data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same, of scores that come in parts and are never there as a whole.

        Args:
            planes: (C, n, Y, Z), one after the other along the first axis of the network's grid.
            data: all other items.
        """
        found = self._undone(data)
        if found is None:
            scores = MetaTensor(gathered(planes, self._image(data).shape[1]))
            return dict(self.stock({**data, self.keys[0]: scores}))
        return self._made(planes, found, data)

    def _first_activates(self) -> bool:
        """Whether a plain tensor has become one with metadata before it is brought back."""
        return type(self.stock.transforms[0]) is Activationsd

    def _image(self, data: Mapping[Hashable, Any]) -> Any:
        return data.get(self.invert.orig_keys[0])

    def _undone(self, data: Mapping[Hashable, Any]) -> Undone | None:
        """What the inverse does to the grid; None where that is MONAI's own affair."""
        invert, image = self.invert, self._image(data)
        name = invert.orig_keys[0]
        beside = (invert.orig_meta_keys[0] or f"{name}_{invert.meta_key_postfix[0]}",
                  InvertibleTransform.trace_key(name))  # fmt: skip
        if USE_META_DICT or not isinstance(image, MetaTensor) or any(key in data for key in beside):
            return None
        trace = image.applied_operations
        if invert.nearest_interp[0]:
            trace = convert_applied_interp_mode(trace, mode="nearest", align_corners=None)
        found = undone(invert.transform, name, image.shape[1:], image.meta, trace)
        on_labels = type(self.stock.transforms[-1]) is Invertd
        return None if found is None or (on_labels and not found.maps.picks) else found

    def _made(
        self, planes: Iterable[Tensor], found: Undone, data: Mapping[Hashable, Any]
    ) -> dict[Hashable, Any]:
        planes = iter(planes)
        first = next(planes)
        labels = labels_of(chain([first], planes), found.maps, self.decision)
        if self.one_hot is not None:
            each = torch.arange(self.one_hot)[:, None, None, None]
            labels = (labels == each).to(torch.uint8)
        values = labels  # on the CPU, where all works that takes bytes
        if not self.as_bytes:
            values = labels.to(self.invert.device[0] or first.device).float()
        return {**data, self.keys[0]: found.placed(values, self._image(data))}
