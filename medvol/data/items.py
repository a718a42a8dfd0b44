# SPDX-License-Identifier: Apache-2.0
"""The items of a datalist as a bundle trains on them: their labels by name, in its own numbers."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..images import read_image
from ..images.checks import check_pair
from ..images.image import Image
from ..labels import match_names, name_key
from ..text import counted
from .datalist import Datalist, Item

Labels = Sequence[str] | Mapping[str, str | int]
NUMBERS = "label_numbers"  # key of an item: value in its label map to label, see `images.reader`
OTHERS = 256  # values below it are background where a bundle says by number what its labels are of
RENAME = "Name them in the datalist as the bundle does."
MAP = (
    'Say what corresponds: --map "name in the data=name in the bundle", or '
    '--map "name in the data=" for what the bundle does not know.'
)


def load_items(
    datalist: str | os.PathLike[str] | None,
    *,
    part: str = "training",
    fold: int | None = None,
    repeat: int = 1,
    limit: int | None = None,
    labels: Labels | None = None,
) -> list[Item]:
    """Read the items of a part or of one side of a fold; what the bundles' configs call.

    Args:
        datalist: the file; None for no items, where a config may name a further datalist or not.
        part, fold, repeat, limit: as for `Datalist.items`.
        labels: of the bundle. A list names its classes: `label` of an item becomes the place of its
            class there. Number to name are those of label maps: items get `NUMBERS`, by which
            `images.reader` reads their masks in the bundle's numbers; what the bundle does not know
            becomes background. Value to number says so itself, whatever names there are. None
            leaves the labels as they are.

    Returns:
        Items with absolute paths, in the order of the file.

    Raises:
        InputError: E_PATH, no such datalist; E_FORMAT, not JSON of this form, without classes, or
            an item without a label map; E_LABELS, its names are not those of the bundle, or none
            of the masks has foreground: of those to train on, or of the whole datalist.
        ValueError: as for `Datalist.items`.
    """
    if datalist is None:
        return []
    read = Datalist.read(datalist)
    items = read.items(part, fold=fold, repeat=repeat, limit=limit)
    if labels is None:
        return items
    if not isinstance(labels, Mapping):
        return classified(read, items, labels)
    numbers = _numbers(read, labels)
    for item in items:
        if not isinstance(item.get("label"), str):
            reason = f"{item['image']} has no label map."
            raise InputError("E_FORMAT", datalist, reason, "Give its path as `label`.")
    others = [] if part == "training" else [x for own in read.parts.values() for x in own]
    masks = [x["label"] for x in (*items, *others) if isinstance(x.get("label"), str)]
    check_foreground(read, masks, numbers)  # a fold of healthy cases may be measured
    return [{**item, NUMBERS: numbers} for item in items]


def classified(datalist: Datalist, items: Sequence[Item], classes: Sequence[str]) -> list[Item]:
    """Items whose `label` is the place of their class among those of a bundle.

    Args:
        datalist: with classes.
        items: of it.
        classes: of the bundle, in the order of its network's outputs.

    Raises:
        InputError: E_FORMAT, the datalist has no classes; E_LABELS, one that the bundle has not.
    """
    found = matched(datalist, dict(enumerate(datalist.class_names)), dict(enumerate(classes)))
    return [
        {**item, "label": number, "class": classes[number]}
        for item in items
        if (number := found[item["label"]]) is not None
    ]


def matched(
    datalist: Datalist,
    given: Mapping[int, str],
    own: Mapping[int, str],
    said: Mapping[str, str] | None = None,
    *,
    rest: bool = False,
) -> dict[int, int | None]:
    """Number in a datalist to number in a bundle, by names.

    Args:
        datalist: for messages.
        given, own, rest: as for `labels.match_names`.
        said: what the user says of names that differ; None where nothing can be said.

    Raises:
        InputError: E_LABELS, the names do not correspond.
    """
    try:
        return match_names(given, own, said or {}, rest=rest)
    except ValueError as error:
        path, remedy = datalist.path or datalist.name, RENAME if said is None else MAP
        raise InputError("E_LABELS", path, f"{error}.", remedy) from error


def label_numbers(
    datalist: Datalist, own: Mapping[int, str], said: Mapping[str, str] | None = None
) -> dict[int, int]:
    """Value in the label maps of a datalist to the bundle's label, 0 for none of them.

    A datalist that names no labels has those of the bundle. Value 0 is background, unless its name
    is that of one of the bundle's labels.

    Args:
        datalist: with label maps.
        own: number to name of the bundle's labels, without background.
        said: as for `matched`.

    Raises:
        InputError: E_LABELS, the names do not correspond.
    """
    keys = {*map(name_key, own.values())}
    names = datalist.labels.items()
    given = {value: name for value, name in names if value or name_key(name) in keys} or own
    found = matched(datalist, given, own, said, rest=True)
    return {0: 0} | {value: label or 0 for value, label in found.items()}


def check_foreground(datalist: Datalist, masks: Iterable[str], numbers: Mapping[int, int]) -> None:
    """Refuse masks none of which marks anything; they are read until one does.

    One that cannot be read is passed by; who uses it refuses it.

    Args:
        datalist: for the message.
        masks: paths, the likeliest first.
        numbers: value to label, as `label_numbers` gives them.

    Raises:
        InputError: E_LABELS, no mask has foreground.
    """
    inside = [value for value, label in numbers.items() if label]
    seen = 0
    for mask in dict.fromkeys(masks):
        with suppress(InputError):
            if np.isin(read_image(mask, "mask").array, inside).any():
                return
            seen += 1
    if seen:
        raise InputError(
            "E_LABELS", datalist.path or datalist.name,
            f"none of its {counted(seen, 'mask')} has foreground, which is the value "
            f"{', '.join(map(str, inside))}.",
            "Check the values of the masks, and whether they are the masks of these images.",
        )  # fmt: skip


def true_labels(
    mask: str | os.PathLike[str], image: Image, numbers: Mapping[int, int]
) -> npt.NDArray[np.uint16]:
    """The true label map (X, Y, Z) of an image, in a bundle's numbers.

    Args:
        mask: its path.
        image: on whose grid it must lie.
        numbers: value in the mask to label, as `label_numbers` gives them.

    Raises:
        InputError: it cannot be read; E_GEOMETRY, another grid; E_VALUES, a value without name.
    """
    truth = read_image(mask, "mask")
    check_pair(image, truth, values=tuple(sorted(numbers)))
    table = np.zeros(max(numbers) + 1, np.uint16)
    table[list(numbers)] = list(numbers.values())
    labels: npt.NDArray[np.uint16] = table[truth.array]
    return labels


def _numbers(datalist: Datalist, labels: Mapping[str, str | int]) -> dict[int, int]:
    """Of label maps, by name, or as the bundle says itself."""
    names = {int(value): x for value, x in labels.items() if isinstance(x, str)}
    if names:
        return label_numbers(datalist, names)
    known = {int(value): int(label) for value, label in labels.items()}
    return {**dict.fromkeys(range(OTHERS), 0), **known}
