# SPDX-License-Identifier: Apache-2.0
"""Patient-grouped splits: folds of labelled volumes, parts of pictures with classes.

Shipped figures rest on these folds and parts. scikit-learn's `StratifiedGroupKFold` is not used: it
balances counts of classes, where volumes are spread by ml of lesion and pictures by shares.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple


class Group(NamedTuple):
    """Volumes that must share a fold, as those of one patient: name, how many, lesion in ml."""

    name: str
    volumes: int
    lesion_ml: float


def assign_folds(groups: Iterable[Group], n_folds: int) -> dict[str, int]:
    """Spread groups over cross-validation folds, evenly in volumes and then in lesion.

    The groups are taken by falling lesion volume (then by name); each goes into the fold that has
    the fewest volumes so far, among these the one with the least lesion, then the lowest number.

    Returns:
        Fold, 0 to `n_folds` - 1, by name of the group.

    Raises:
        ValueError: fewer groups than folds, which would leave a fold empty.

    Example:
        >>> assign_folds([Group("a", 1, 9.0), Group("b", 1, 5.0), Group("c", 2, 1.0)], 2)
        {'a': 0, 'b': 1, 'c': 1}
    """
    ordered = sorted(groups, key=lambda group: (-group.lesion_ml, group.name))
    if not 1 <= n_folds <= len(ordered):
        raise ValueError(
            f"n_folds is {n_folds} but there are {len(ordered)} patients; "
            f"give a number from 1 to {len(ordered)}"
        )
    volumes, lesion = [0] * n_folds, [0.0] * n_folds
    folds = {}
    for group in ordered:
        fold = min(range(n_folds), key=lambda f: (volumes[f], lesion[f], f))
        volumes[fold] += group.volumes
        lesion[fold] += group.lesion_ml
        folds[group.name] = fold
    return folds


@dataclass(frozen=True)
class PictureFile:
    """One picture of a data set.

    Args:
        path: its file.
        name: of its class.
        patient: what pictures of one person share, and no other person's.
        part: one of `datalist.PARTS` where the data set has decided, "" where it has not.
        kind: finer than the class, such as the germ or the source; the parts get equal shares.
        extra: further keys of the datalist's item.
    """

    path: Path
    name: str
    patient: str
    part: str = ""
    kind: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def join_patients(
    pictures: Sequence[PictureFile], pairs: Iterable[tuple[int, int]]
) -> tuple[list[PictureFile], int]:
    """Give pictures that belong together one patient, the first of their names.

    Args:
        pictures: of any parts.
        pairs: places in `pictures` that hold the same picture or are known as near duplicates.

    Returns:
        The pictures in the given order, and how many patients lost their name to another.

    Example:
        >>> a, b = (PictureFile(Path(p), "normal", p) for p in "ab")
        >>> joined, lost = join_patients([b, a], [(0, 1)])
        >>> [picture.patient for picture in joined], lost
        (['a', 'a'], 1)
    """
    leader = {picture.patient: picture.patient for picture in pictures}

    def find(patient: str) -> str:
        while leader[patient] != patient:
            leader[patient] = patient = leader[leader[patient]]
        return patient

    for one, other in pairs:
        first, second = sorted((find(pictures[one].patient), find(pictures[other].patient)))
        leader[second] = first
    joined = [replace(picture, patient=find(picture.patient)) for picture in pictures]
    return joined, sum(find(patient) != patient for patient in leader)


def assign_parts(
    pictures: Sequence[PictureFile], shares: Mapping[str, float], *, seed: int = 0
) -> list[PictureFile]:
    """Spread patients over parts so that every class and kind is divided by the shares.

    Patients are taken by falling number of pictures, equals in an order drawn by the seed; each
    goes where the squared distances to the wanted numbers, over these numbers, sum to least.

    Args:
        pictures: those without a part are divided; others stay as they are.
        shares: of the parts, summing to 1; a share of 0 leaves a part empty.
        seed: for another division.

    Raises:
        ValueError: shares that are negative or do not sum to 1.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise ValueError(f"shares are {dict(shares)}; give positive ones that sum to 1")
    sizes: dict[str, Counter[tuple[str, str]]] = {}
    for picture in pictures:
        if not picture.part:
            sizes.setdefault(picture.patient, Counter())[picture.name, picture.kind] += 1
    wanted = sum(sizes.values(), Counter())
    has = {part: Counter[tuple[str, str]]() for part, share in shares.items() if share > 0}

    def cost(part: str, own: Counter[tuple[str, str]]) -> float:
        """How much the distances of a part grow, were these pictures added."""
        goals = {kind: shares[part] * wanted[kind] for kind in own}
        return sum(n * (2 * (has[part][k] - goals[k]) + n) / goals[k] for k, n in own.items())

    chosen: dict[str, str] = {}
    for patient in sorted(drawn(sizes, seed=seed), key=lambda p: -sizes[p].total()):
        chosen[patient] = min(has, key=lambda part: cost(part, sizes[patient]))
        has[chosen[patient]] += sizes[patient]
    return [p if p.part else replace(p, part=chosen[p.patient]) for p in pictures]


def drawn(names: Collection[str], *, seed: int) -> list[str]:
    """Names in an order that depends on the seed, the same on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
