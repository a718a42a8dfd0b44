# SPDX-License-Identifier: Apache-2.0
"""The leak check: no patient and no picture on two sides of a split."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from .datalist import Datalist, Item
from .fingerprint import Fingerprint, same_pictures

SHOWN = 20  # pairs in the message


class Leak(NamedTuple):
    """Two cases of different parts that must not be apart: "part/case" of each, and why."""

    why: str
    one: str
    other: str

    def __str__(self) -> str:
        return f"{self.why}: {self.one} and {self.other}"


class LeakError(Exception):
    """A split that puts a patient or a picture on two sides; `leaks` lists all pairs.

    Example:
        >>> print(LeakError([Leak("same patient p1", "training/a", "test/b")]))
        1 leak between the parts:
          same patient p1: training/a and test/b
    """

    def __init__(self, leaks: Sequence[Leak]) -> None:
        self.leaks = tuple(leaks)
        hidden = len(leaks) - SHOWN
        count = f"{len(leaks)} leak{'s' if len(leaks) > 1 else ''} between the parts:"
        more = [f"  and {hidden} more"] if hidden > 0 else []
        super().__init__("\n".join([count, *(f"  {leak}" for leak in leaks[:SHOWN]), *more]))


def find_leaks(datalist: Datalist, prints: Mapping[Path, Fingerprint]) -> list[Leak]:
    """Pairs across parts: pixel-identical, nearly the same picture, or of the same patient.

    Args:
        datalist: paths as in `prints`.
        prints: fingerprint of each image.

    Returns:
        Every pair of equal pictures; of each patient in two parts one pair, unless listed already.
    """
    rows = [(part, item) for part, items in datalist.parts.items() for item in items]
    parts = [part for part, _ in rows]
    items = [item for _, item in rows]
    names = [f"{part}/{item['case']}" for part, item in rows]
    leaks: list[Leak] = []
    known: set[tuple[str, str, str]] = set()
    for pair in same_pictures([prints[Path(item["image"])] for item in items]):
        if parts[pair.one] != parts[pair.other]:
            near = f"nearly the same picture ({pair.correlation:.3f})"
            why = "same pixels" if pair.equal else near
            leaks.append(Leak(why, names[pair.one], names[pair.other]))
            known.update(
                (items[at]["patient"], parts[pair.one], parts[pair.other])
                for at in (pair.one, pair.other)
            )
    for patient, one, other in _divided(items, parts):
        if (patient, parts[one], parts[other]) not in known:
            leaks.append(Leak(f"same patient {patient}", names[one], names[other]))
    return leaks


def _divided(items: Sequence[Item], parts: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Patients in two parts, with the first case in each."""
    first: dict[str, dict[str, int]] = {}
    for index, (item, part) in enumerate(zip(items, parts, strict=True)):
        first.setdefault(item["patient"], {}).setdefault(part, index)
    for patient, places in first.items():
        for one, other in combinations(places.values(), 2):
            yield patient, one, other
