# SPDX-License-Identifier: Apache-2.0
"""Two runs of a cohort beside each other: which cases changed, by how much, which only one has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...bundle.spec import Spec
from ...errors import InputError
from ...files import write_csv
from ...images import read_image
from ...text import digits
from .figures import PROBABILITY
from .gather import MASK, Gathered, Result

Mask = npt.NDArray[np.integer[Any]]
READERS = 2  # masks that are read at once; each takes as much memory as its image
SAME, OTHER, NO_MASK = "same", "differs", ""


@dataclass(frozen=True)
class Change:
    """A unit of both runs.

    Args:
        before, now: what is known of it in the other run and in this one.
        mask: `SAME` where both are equal byte by byte, `OTHER` where not, `NO_MASK` without two.
        dice: of each region where masks differ; None where both are empty in it.
        agreement: Dice of what is looked for, label by label, 0 to 1; 1 where masks are the same.
        remark: why masks could not be compared; or empty.
    """

    before: Result
    now: Result
    mask: str
    dice: Mapping[str, float | None] = field(default_factory=dict)
    agreement: float = 1.0
    remark: str = ""

    @property
    def differences(self) -> dict[str, float]:
        """Figures that both have and that differ: now less before, in their units."""
        pairs = {name: (self.before.values.get(name), x) for name, x in self.now.values.items()}
        return {
            name: now - before
            for name, (before, now) in pairs.items()
            if isinstance(before, float | int) and isinstance(now, float | int) and now != before
        }

    @property
    def changed(self) -> bool:
        """Whether state, answer, mask or a figure is another one."""
        return self.amount > 0

    @property
    def amount(self) -> float:
        """How much changed, 0 to 1, to sort by: 1 for another state or answer; else 1 - the Dice of
        what is looked for, or where that is the same of the region with the lowest; without masks
        the largest change of a figure, relative to its larger value unless it is a probability."""
        if self.before.state != self.now.state or self.before.answer != self.now.answer:
            return 1.0
        if self.mask == OTHER and self.dice:
            lowest = min((x for x in self.dice.values() if x is not None), default=1.0)
            return 1 - self.agreement or 1 - lowest
        return max(map(self._relative, self.differences), default=float(self.mask == OTHER))

    def _relative(self, name: str) -> float:
        by = abs(self.differences[name])
        if PROBABILITY in name:
            return by
        return min(1.0, by / max(abs(float(x.values[name] or 0)) for x in (self.before, self.now)))


class Compared(NamedTuple):
    """Two runs.

    Args:
        changes: units of both, those that changed most first.
        only_before, only_now: units that one of them has.
    """

    changes: Sequence[Change]
    only_before: Sequence[Result]
    only_now: Sequence[Result]


def compared(before: Gathered, now: Gathered) -> Iterator[Change]:
    """The units that both runs have, in the order of the plan, as they are compared.

    Masks are read only where their checksums differ.

    Args:
        before: the run that is compared with.
        now: the one that is looked at.
    """
    others = {x.unit.key: x for x in before.results}
    pairs = [(others[x.unit.key], x) for x in now.results if x.unit.key in others]

    def change(pair: tuple[Result, Result]) -> Change:
        return _change(pair, (before.folder, now.folder), now.specs[pair[1].unit.bundle])

    with ThreadPoolExecutor(READERS) as threads:
        yield from threads.map(change, pairs)


def summed_up(before: Gathered, now: Gathered, changes: Iterable[Change]) -> Compared:
    """Two runs, those units first that changed most.

    Args:
        before, now: the runs.
        changes: all of `compared`.
    """
    known = {x.unit.key for x in before.results}, {x.unit.key for x in now.results}
    return Compared(
        sorted(changes, key=lambda x: (-x.amount, x.now.unit.key)),
        [x for x in before.results if x.unit.key not in known[1]],
        [x for x in now.results if x.unit.key not in known[0]],
    )


def agreement(one: Mask, two: Mask, labels: Sequence[int]) -> float:
    """Dice of some labels together, where a voxel agrees if both masks give it the same one.

    Args:
        one, two: label maps of the same shape, (X, Y, Z).
        labels: that are looked for.

    Returns:
        0 to 1; 1 where neither mask has any of them.

    Example:
        >>> agreement(np.array([1, 1, 2, 3]), np.array([1, 2, 2, 3]), (1, 2))
        0.6666666666666666
    """
    marked = np.isin(one, labels)
    total = int(marked.sum()) + int(np.isin(two, labels).sum())
    return 2 * int((marked & (one == two)).sum()) / total if total else 1.0


def dice_of(one: Mask, two: Mask, regions: Mapping[str, Sequence[int]]) -> dict[str, float | None]:
    """Dice of each region of two masks; None where both are empty in it.

    Args:
        one, two: label maps of the same shape, (X, Y, Z).
        regions: name to labels.

    Example:
        >>> dice_of(np.array([1, 1, 2, 0]), np.array([1, 2, 2, 0]), {"a": (1,), "all": (1, 2)})
        {'a': 0.6666666666666666, 'all': 1.0}
    """
    found: dict[str, float | None] = {}
    for name, values in regions.items():
        first, second = np.isin(one, values), np.isin(two, values)
        total = int(first.sum()) + int(second.sum())
        found[name] = 2 * int((first & second).sum()) / total if total else None
    return found


def write_comparison(path: Path, found: Compared) -> None:
    """Write `comparison.csv`: a row a unit of either run, those that changed most first.

    Columns: case, bundle, state, answer and mask of both, `change` (0 to 1), Dice of each region,
    and of each figure what it was before, what it is now, and the change.

    Args:
        path: of the table.
        found: the two runs.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    regions = list(dict.fromkeys(name for x in found.changes for name in x.dice))
    figures = list(
        dict.fromkeys(name for x in found.changes for y in (x.before, x.now) for name in y.values)
    )
    heads = ["case", "bundle", "state_before", "state", "answer_before", "answer", "mask", "change",
             *(f"dice_{name}" for name in regions),
             *(f"{name}{part}" for name in figures for part in ("_before", "", "_change")),
             "remark"]  # fmt: skip
    rows = [_line(x, regions, figures) for x in found.changes]
    width = len(heads) - 4
    rows += [[x.unit.case, x.unit.bundle, x.state, "", *[""] * width] for x in found.only_before]
    rows += [[x.unit.case, x.unit.bundle, "", x.state, *[""] * width] for x in found.only_now]
    write_csv(path, heads, rows)


def _change(
    pair: tuple[Result, Result], folders: tuple[Path, Path], spec: Spec
) -> Change:  # fmt: skip
    before, now = pair
    if not (before.mask and now.mask):
        return Change(before, now, NO_MASK)
    if before.mask == now.mask:
        return Change(before, now, SAME)
    try:
        one, two = (
            read_image(folder / now.unit.key / MASK, "mask").array for folder in folders
        )  # fmt: skip
        if one.shape != two.shape:
            return Change(before, now, OTHER, remark="The masks lie on different grids.")
        dice = dice_of(one, two, spec.regions)
        return Change(before, now, OTHER, dice, agreement(one, two, spec.focus))
    except InputError as error:
        return Change(before, now, OTHER, remark=f"{error.code} {error.reason}")


def _line(change: Change, regions: Sequence[str], figures: Sequence[str]) -> list[object]:
    before, now, differences = change.before, change.now, change.differences
    row: list[object] = [now.unit.case, now.unit.bundle, before.state, now.state, before.answer,
                         now.answer, change.mask, digits(change.amount)]  # fmt: skip
    row += [digits(change.dice.get(name)) for name in regions]
    for name in figures:
        row += [_text(before.values.get(name)), _text(now.values.get(name)),
                digits(differences.get(name))]  # fmt: skip
    return [*row, change.remark]


def _text(value: str | float | None) -> str | float | None:
    return digits(value) if isinstance(value, float) else value
