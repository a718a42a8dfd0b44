# SPDX-License-Identifier: Apache-2.0
"""From scores to labels as medvol's own bundles do it, with no copy of the scores on the way."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from copy import copy
from itertools import takewhile
from typing import Any

from monai.data.meta_tensor import MetaTensor
from monai.transforms import Activationsd, Compose
from monai.transforms.transform import MapTransform
from torch import Tensor

from ...inferers.sliding_window import gathered
from ...transforms.body import KeepInsideBodyd
from ...transforms.decide import Decision, labels_of
from ...transforms.keys import placed
from ...transforms.lungs import KeepInsideLungsd
from ...transforms.restore import PLANES, InvertLabelsd
from ...transforms.split_by_density import SplitByDensityd
from ...transforms.undecided import NoteUndecidedd
from .rule import Equal

MOST_PROBABLE = Decision("softmax", surely_background=True)
# steps that look at all probabilities before any is brought back
LOOKING = (KeepInsideBodyd, KeepInsideLungsd, SplitByDensityd, NoteUndecidedd)


def probabilities_to_labels(steps: Sequence[Any]) -> Equal | None:
    """The rule for `Activationsd(softmax=True)` and `InvertLabelsd`, and for what medvol has
    between them, all of one item."""
    looking = list(takewhile(lambda step: type(step) in LOOKING, steps[1:]))
    taken = steps[: len(looking) + 2]
    kinds = tuple(type(step) for step in taken)
    if len(kinds) < 2 or (kinds[0], kinds[-1]) != (Activationsd, InvertLabelsd):
        return None
    activate = taken[0]
    known = (
        len(activate.keys) == 1
        and all(step.keys == activate.keys and not step.allow_missing_keys for step in taken)
        and (*activate.softmax, *activate.sigmoid, *activate.other) == (True, False, None)
        and not activate.converter.kwargs
    )
    why = "no copies of the scores"
    return Equal(len(taken), MostProbabled(taken), why) if known else None


class MostProbabled(MapTransform):
    """Equal to softmax, medvol's steps on probabilities and `InvertLabelsd` of one item.

    Scores that come in parts are changed where they are. Where a step looks at all of them they are
    gathered, once; else they never are there as a whole.

    Args:
        stock: the steps whose place it takes, in their order.

    Attributes:
        gathers: the scores are gathered.
    """

    def __init__(self, stock: Sequence[Any]) -> None:
        super().__init__(stock[0].keys)
        self.stock = Compose(list(stock))
        self.looking = [_in_place(step) for step in stock[1:-1]]
        self.invert: InvertLabelsd = stock[-1]
        self.gathers = bool(self.looking)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        return dict(self.stock(dict(data)))

    def stream(self, planes: Iterable[Tensor], data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same, of scores that come in parts and belong to nobody else.

        Args:
            planes: (C, n, Y, Z), one after the other along the first axis of the network's grid.
            data: all other items.
        """
        key, name = self.keys[0], self.invert.orig_keys[0]
        image: MetaTensor = data[name]
        shape = image.shape[1:]
        found = None if self.looking else self.invert.undone(shape, name, image)
        if found is not None:
            labels = labels_of(planes, found.maps, MOST_PROBABLE)
            return {**data, key: found.placed(labels, image)}
        scores = gathered(planes, shape[0])
        for some in scores.split(PLANES, 1):
            some.copy_(some.softmax(0))
        result = {**data, key: placed(scores, image)}
        del scores
        for step in (*self.looking, self.invert):
            result = dict(step(result))
        return result


def _in_place(step: Any) -> Any:
    """A step that changes what it is given, where it changes something."""
    made = copy(step)
    made.in_place = True
    return made
