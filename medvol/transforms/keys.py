# SPDX-License-Identifier: Apache-2.0
"""What dict transforms do alike: walk their keys, work on plain tensors, keep the metadata."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform
from torch import Tensor

from ..errors import Note
from ..kinds import is_of

NOTES = "notes"  # item of the data: what transforms remark on the image, a tuple of notes


def plain(item: Tensor) -> Tensor:
    """The item without metadata, which indexing would carry along slowly; of any shape."""
    return item.as_tensor() if isinstance(item, MetaTensor) else item


def placed(values: Tensor, like: Tensor) -> Tensor:
    """The values with the metadata of an item, when it has some.

    Args:
        values: any shape.
        like: any shape; where its voxels lie is where those of `values` lie.

    Returns:
        The same shape as `values`.
    """
    return MetaTensor(values).copy_meta_from(like) if isinstance(like, MetaTensor) else values


def noted(data: Mapping[Any, Any], *notes: Note) -> dict[Hashable, Any]:
    """The data with more notes on the image: a transform's way to the answer, page and record.

    For postprocessing, and for what prepares one image at a time: a `DataLoader` makes no batch of
    notes.

    Args:
        data: all items of one image.
        notes: to add, after those that are there.

    Example:
        >>> from medvol.errors import Note
        >>> notes_of(noted({"pred": 1}, Note("N_OUTSIDE", "3 ml of lesion lay outside the lungs.")))
        (Note(code='N_OUTSIDE', text='3 ml of lesion lay outside the lungs.'),)
    """
    return {**data, NOTES: (*notes_of(data), *notes)} if notes else dict(data)


def notes_of(data: Mapping[Any, Any]) -> tuple[Note, ...]:
    """The notes that transforms made on an image; what another package put there is none."""
    notes = data.get(NOTES)
    return tuple(Note(*x) for x in notes if is_of(x, Note)) if isinstance(notes, tuple) else ()


class ItemTransform(MapTransform):
    """A dict transform that changes each of its items by itself; a subclass says how in `change`.

    Attributes:
        keeps_place: the result lies where the item lay, and gets its metadata.
        made: name of the item that the result becomes, such as "{key}_slices".

    Args:
        keys: items to change.
        allow_missing_keys: pass over an item that is not there.
    """

    keeps_place: ClassVar[bool] = True
    made: ClassVar[str] = "{key}"

    @abstractmethod
    def change(self, item: Tensor, key: Hashable, data: Mapping[Hashable, Any], /) -> Tensor:
        """What becomes of one item.

        Args:
            item: any shape, without metadata.
            key: its name.
            data: all items; `data[key]` is this one with its metadata.

        Returns:
            A tensor of any shape; not the item itself, changed in place.
        """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            given = result[key]
            values = self.change(plain(given), key, result)
            name = key if self.made == "{key}" else self.made.format(key=key)
            result[name] = placed(values, given) if self.keeps_place else values
        return result
