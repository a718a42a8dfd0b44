# SPDX-License-Identifier: Apache-2.0
"""What a bundle's chains call their images and their answer, and medvol's names for them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged, SaveImaged

from .steps import IMAGE, PRED, Data


class Items(NamedTuple):
    """The keys of a bundle's data.

    Args:
        loaded: of the images that the chain loads, in their order.
        answer: of what the postprocessing ends with.
    """

    loaded: tuple[str, ...] = (IMAGE,)
    answer: str = PRED

    def given(self, image: Any) -> Data:
        """What the chain is given: the image, or each of its channels under a key of its own.

        Args:
            image: a path, or (*spatial) or (C, *spatial) where there are channels.

        Raises:
            ValueError: another number of channels than of keys.
        """
        if len(self.loaded) == 1:
            return {self.loaded[0]: image}
        if not isinstance(image, MetaTensor) or image.ndim != 4 or len(image) != len(self.loaded):
            keys = ", ".join(self.loaded)
            raise ValueError(f"the chain loads {keys}; give an image of as many channels")
        meta = {**image.meta, "original_channel_dim": "no_channel"}
        return {
            key: MetaTensor(channel, affine=image.affine, meta={**meta})
            for key, channel in zip(self.loaded, image.as_tensor(), strict=True)
        }

    def prepared(self, data: Data) -> Data:
        """The same with the network's input as "image", where the chain calls it otherwise."""
        return data if IMAGE in data else {**data, IMAGE: data[self.loaded[0]]}

    def answered(self, data: Data, prepared: Data) -> Data:
        """The same with the answer as "pred", and the image where the chain has deleted it.

        Args:
            data: that the postprocessing gave.
            prepared: that the network was given.
        """
        named = {PRED: data[self.answer]} if self.answer in data else {}
        return {IMAGE: prepared[IMAGE], **data, **named}


def items_of(preprocessing: Compose, postprocessing: Sequence[Any]) -> Items:
    """What a bundle's chains call their images and their answer.

    Args:
        preprocessing: its chain.
        postprocessing: its steps after the network.
    """
    loaders = [x for x in preprocessing.flatten().transforms if isinstance(x, LoadImaged)]
    keys = [str(key) for step in loaders for key in step.keys]
    saved = [str(key) for x in postprocessing if isinstance(x, SaveImaged) for key in x.keys]
    answer = PRED if PRED in saved or not saved else saved[0]
    return Items(tuple(dict.fromkeys(keys)) or (IMAGE,), answer)
