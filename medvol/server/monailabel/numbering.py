# SPDX-License-Identifier: Apache-2.0
"""Values of labels as viewers count them: 1 to N in the order of the names, without background.

3D Slicer drops a name "background" and gives the k-th name that is left the voxels of value k; OHIF
counts from 1 over all names. So names are sent without background, and values follow their order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...images.checks import MAX_LABEL
from ...labels import LabelTable, name_key

BACKGROUND = "background"
MaskArray = npt.NDArray[np.integer[Any]]


def counted_names(table: LabelTable) -> dict[int, str]:
    """Value in a bundle's masks to name, of the labels that viewers get, in their order.

    Args:
        table: of the bundle.

    Example:
        >>> from medvol.labels import default_table
        >>> counted_names(default_table({4: "lesion", 2: "lung", 9: "Background"}))
        {2: 'lung', 4: 'lesion'}
    """
    return {x.value: x.name for x in table if name_key(x.name) != BACKGROUND}


def renumbered(labels: MaskArray, numbers: Mapping[int, int]) -> MaskArray:
    """A mask with other values; what is not named becomes 0.

    Args:
        labels: (X, Y, Z), 0 to 65535.
        numbers: value to new value, 0 to 65535.

    Example:
        >>> renumbered(np.array([0, 2, 4, 7]), {2: 1, 4: 2})
        array([0, 1, 2, 0], dtype=uint16)
    """
    table = np.zeros(max(int(labels.max(initial=0)), *numbers, 0) + 1, np.uint16)
    for value, new in numbers.items():
        table[value] = new
    return table[labels]


def for_viewers(labels: MaskArray, names: Mapping[int, str]) -> MaskArray:
    """A mask of a bundle as viewers count.

    Args:
        labels: (X, Y, Z) in the bundle's values.
        names: of `counted_names`.
    """
    return renumbered(labels, {value: k for k, value in enumerate(names, start=1)})


def said_names(said: Any) -> dict[int, str]:
    """Value to name of a submitted mask, from what 3D Slicer calls `label_info`.

    Args:
        said: list of `{"name": .., "idx": ..}`; other entries, and one without either, count for
            nothing, and background is left out.

    Example:
        >>> said_names([{"name": "lung", "idx": 2}, {"name": "background", "idx": 1}, {"idx": 4}])
        {2: 'lung'}
    """
    named: dict[int, str] = {}
    for row in said if isinstance(said, list) else []:
        if not isinstance(row, dict):
            continue
        name, value = row.get("name"), row.get("idx")
        if isinstance(name, str) and isinstance(value, int) and 1 <= value <= MAX_LABEL:
            named[int(value)] = name
    return {value: name for value, name in named.items() if name_key(name) != BACKGROUND}


def names_of_values(
    values: Sequence[int], said: Mapping[int, str], tables: Mapping[str, Sequence[str]]
) -> dict[int, str]:
    """What each value of a submitted mask is called.

    A viewer names its segments, or sends back the values that it got, of which it need not name
    all: then they are those of a bundle whose order agrees with what it says.

    Args:
        values: in the mask, without 0.
        said: of `said_names`.
        tables: bundle to the names that viewers get, of value 1 first.

    Raises:
        InputError: E_LABELS, values that nobody names.

    Example:
        >>> names_of_values([1, 2], {1: "lung"}, {"a": ["brain"], "b": ["lung", "lesion"]})
        {1: 'lung', 2: 'lesion'}
    """
    if all(value in said for value in values):
        return {value: said[value] for value in values}
    for names in tables.values():
        agree = all(
            value <= len(names) and name_key(names[value - 1]) == name_key(name)
            for value, name in said.items()
        )
        if agree and max(values) <= len(names):
            return {value: names[value - 1] for value in values}
    if said and max(values) <= len(said):  # some viewers skip numbers that they do not export
        in_order = [said[value] for value in sorted(said)]
        return {value: in_order[value - 1] for value in values}
    odd = [value for value in values if value not in said]
    raise InputError(
        "E_LABELS", "label", f"it holds {', '.join(map(str, odd[:5]))}, which nothing names.",
        "Name each segment in label_info, as [{name, idx}].",
    )  # fmt: skip


def own_values(names: Mapping[int, str], table: Mapping[int, str]) -> dict[int, int]:
    """Value in a submitted mask to the value that it is kept with: that of the name in a bundle.

    Args:
        names: value to name in the mask.
        table: the same of the bundle. A name that it does not know gets a number after all of its.

    Example:
        >>> own_values({1: "Lung", 2: "vessel"}, {3: "lesion", 2: "lung"})
        {1: 2, 2: 4}
    """
    known = {name_key(name): value for value, name in table.items()}
    numbers: dict[int, int] = {}
    free = max([0, *table]) + 1
    for value, name in sorted(names.items()):
        if (key := name_key(name)) not in known:
            known[key], free = free, free + 1
        numbers[value] = known[key]
    return numbers
