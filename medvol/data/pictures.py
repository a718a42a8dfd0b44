# SPDX-License-Identifier: Apache-2.0
"""Pictures of a data set and what is known of each; patients joined, parts assigned, listed."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..images.find import unused_name
from .datalist import PARTS, Datalist


@dataclass(frozen=True)
class Picture:
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
    pictures: Sequence[Picture], pairs: Iterable[tuple[int, int]]
) -> tuple[list[Picture], int]:
    """Give pictures that belong together one patient, the first of their names.

    Args:
        pictures: of any parts.
        pairs: places in `pictures` that hold the same picture or are known as near duplicates.

    Returns:
        The pictures in the given order, and how many patients lost their name to another.

    Example:
        >>> a, b = (Picture(Path(p), "normal", p) for p in "ab")
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
    pictures: Sequence[Picture], shares: Mapping[str, float], *, seed: int = 0
) -> list[Picture]:
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


def list_classes(
    pictures: Sequence[Picture], names: Sequence[str], *, about: Mapping[str, Any]
) -> Datalist:
    """The datalist of pictures that all have a part, in the order given.

    Args:
        pictures: any order.
        names: of the classes; the first has label 0.
        about: name, description, licence, reference, and what else stands at the top.

    Raises:
        ValueError: a class that is not in `names`.
    """
    parts: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    taken: set[str] = set()
    for picture in pictures:
        case = unused_name(picture.path.stem, taken)
        taken.add(case)
        item = {
            "image": str(picture.path),
            "label": names.index(picture.name),
            "class": picture.name,
            "case": case,
            "patient": picture.patient,
        }
        parts[picture.part].append({**item, **picture.extra})
    labels = {str(label): name for label, name in enumerate(names)}
    return Datalist({**about, "labels": labels, "modality": {"0": "XR"}, **parts})


def count_rows(datalist: Datalist) -> list[list[str]]:
    """Pictures of each class and patients in each part, as rows of text under a head."""
    names = datalist.class_names
    rows = [["part", *names, "all", "patients"]]
    everything = [item for items in datalist.parts.values() for item in items]
    for title, items in [*datalist.parts.items(), ("all", everything)]:
        counts = Counter(item["class"] for item in items)
        patients = len({item["patient"] for item in items})
        numbers = [*(counts[name] for name in names), len(items), patients]
        rows.append([title, *(f"{number}" for number in numbers)])
    return rows
