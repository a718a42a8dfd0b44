# SPDX-License-Identifier: Apache-2.0
"""The composition of a published COVID-19 detector: 315 radiographs, children as the negatives.

Published are the sizes of its parts (153, 79 and 83 images), and that normals and pneumonias of a
second source were added. Taken here: half of each part has COVID-19, a quarter each are normals and
pneumonias of children. A network trained on it may tell children from adults instead of disease.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...errors import InputError
from ..class_set import ClassSet, Divide
from ..pictures import Picture, drawn

SIZES = {"training": 153, "validation": 79, "test": 83}


def as_published(source: ClassSet) -> ClassSet:
    """The set without negatives of its first source.

    Raises:
        InputError: E_EMPTY, the second source has no pictures with names of the Kermany data set.
    """
    keep = [at for at, picture in enumerate(source.pictures) if _group(picture)]
    if {_group(source.pictures[at]) for at in keep} != {"covid", "normal", "pneumonia"}:
        raise InputError(
            "E_EMPTY", "--second", "the published composition needs children's radiographs.",
            "Name the Kermany data set: its folder chest_xray or its archives.",
        )  # fmt: skip
    place = {at: index for index, at in enumerate(keep)}
    return replace(
        source,
        pictures=[source.pictures[at] for at in keep],
        pairs=tuple((place[a], place[b]) for a, b in source.pairs if a in place and b in place),
        notes=(*source.notes, "Negatives of the first source are left out, as published."),
    )


def by_sizes(sizes: Mapping[str, int] = SIZES, *, seed: int) -> Divide:
    """Draw parts of exactly these sizes, patients whole; what is not drawn is left out."""
    return lambda pictures: draw(pictures, sizes, seed=seed)


def draw(pictures: Sequence[Picture], sizes: Mapping[str, int], *, seed: int) -> list[Picture]:
    """Draw patients in an order of the seed until each part is exactly full.

    Raises:
        InputError: E_EMPTY, there are too few pictures of a kind.
    """
    parts: dict[str, str] = {}
    for kind, share in _SHARES.items():
        own = Counter(p.patient for p in pictures if _group(p) == kind)
        order = [patient for patient in drawn(own, seed=seed) if patient not in parts]
        for part, size in sizes.items():
            missing = share(size)
            for patient in [name for name in order if name not in parts]:
                if own[patient] <= missing:
                    parts[patient] = part
                    missing -= own[patient]
            if missing:
                raise InputError(
                    "E_EMPTY", "--as-published",
                    f"{missing} pictures of kind {kind} are missing for the {part} part.",
                    "Give all archives of both sources.",
                )  # fmt: skip
    return [replace(p, part=parts[p.patient]) for p in pictures if p.patient in parts]


_SHARES: Mapping[str, Callable[[int], int]] = {
    "covid": lambda size: size // 2,
    "normal": lambda size: (size - size // 2) // 2,
    "pneumonia": lambda size: size - size // 2 - (size - size // 2) // 2,
}


def _group(picture: Picture) -> str:
    """covid, normal or pneumonia; "" for what the published set did not have."""
    if picture.name == "covid":
        return "covid"
    kinds = {"normal": "normal", "bacteria": "pneumonia", "virus": "pneumonia"}
    second = picture.extra.get("source") == "second"
    return kinds.get(picture.extra.get("finding", ""), "") if second else ""
