# SPDX-License-Identifier: Apache-2.0
"""From the pictures of a source to a datalist without leaks: joined, divided, listed, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .datalist import Datalist
from .fingerprint import Fingerprint, same_pictures
from .leaks import LeakError, find_leaks
from .pictures import Picture, assign_parts, join_patients, list_classes


@dataclass(frozen=True)
class ClassSet:
    """What one source holds.

    Args:
        pictures: those that the datalist may list.
        names: of the classes; the first has label 0.
        about: name, description, licence, reference.
        notes: sentences on what was decided and left out.
        pairs: places in `pictures` that the source calls near duplicates.
        aside: pictures that are kept out of the parts, by the name of the folder that they go to.
    """

    pictures: Sequence[Picture]
    names: tuple[str, ...]
    about: Mapping[str, str]
    notes: tuple[str, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    aside: Mapping[str, Sequence[Path]] = field(default_factory=dict)


Divide = Callable[[Sequence[Picture]], Sequence[Picture]]


def by_shares(shares: Mapping[str, float], *, seed: int) -> Divide:
    """The usual division, see `pictures.assign_parts`."""
    return lambda pictures: assign_parts(pictures, shares, seed=seed)


def class_datalist(
    source: ClassSet, prints: Mapping[Path, Fingerprint], divide: Divide
) -> Datalist:
    """Join patients whose pictures are the same, give each picture a part, and check for leaks.

    Pictures with a part keep it and their patient; if one of them is the same as a picture of
    another part, that is a leak, not repaired.

    Args:
        source: the pictures.
        prints: fingerprint of each.
        divide: gives every picture without a part one, or leaves it out.

    Returns:
        The datalist, paths as they are; `notes` say what was decided.

    Raises:
        LeakError: a patient or a picture would stand in two parts.
        ValueError: shares that cannot be.
    """
    free = [at for at, picture in enumerate(source.pictures) if not picture.part]
    pictures = list(source.pictures)
    same = same_pictures([prints[pictures[at].path] for at in free])
    place = {at: index for index, at in enumerate(free)}
    known = [(place[a], place[b]) for a, b in source.pairs if a in place and b in place]
    pairs = [(pair.one, pair.other) for pair in same]
    joined, lost = join_patients([pictures[at] for at in free], [*known, *pairs])
    for at, picture in zip(free, joined, strict=True):
        pictures[at] = picture
    datalist = list_classes(divide(pictures), source.names, about=source.about)
    if leaks := find_leaks(datalist, prints):
        raise LeakError(leaks)
    notes = list(source.notes)
    if pairs:
        equal = sum(pair.equal for pair in same)
        notes.append(
            f"{len(pairs)} pairs of the same picture ({equal} pixel-identical) are never divided."
        )
    if lost:
        notes.append(f"{lost} patients were joined with another, since they share pictures.")
    return replace(datalist, content={**datalist.content, "notes": notes})
