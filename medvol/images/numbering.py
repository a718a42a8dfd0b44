# SPDX-License-Identifier: Apache-2.0
"""What the names of one patient's files must say: one patient, and no slice missing or doubled."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

from ..errors import InputError

FEW = 4  # of the things that a message names
OWN_FOLDER = "Put the files of each patient into a folder of their own"
# words before a number that is of a series, not of a patient
OF_SERIES = ("s", "se", "ser", "series", "scan", "im", "img", "image", "run", "acq", "mr", "mri",
             "ax", "axial", "sag", "sagittal", "cor", "coronal")  # fmt: skip


def check_numbers(folder: Path, pictures: Sequence[Path]) -> None:
    """Refuse slices whose names do not number one stack without gaps, from any number on.

    Args:
        folder: for the message.
        pictures: of slices, called alike but for one number.

    Raises:
        InputError: E_SERIES, two pictures of one slice, names that disagree in more than one
            number, or numbers that miss.
    """
    split = {path: re.split(r"(\d+)", path.stem) for path in pictures}
    texts = {tuple(parts[::2]) for parts in split.values()}
    rows = [tuple(map(int, parts[1::2])) for parts in split.values()]
    _check_doubles(folder, split)
    if len(pictures) < 2:
        return
    varying = [at for at, column in enumerate(zip(*rows, strict=False)) if len({*column}) > 1]
    if len(texts) > 1 or len(varying) > 1:
        raise _of_several(folder, pictures, varying[-1] if len(texts) == 1 else -1)
    numbers = sorted(row[varying[0]] for row in rows)
    gaps = [_run(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
    if gaps:
        raise InputError(
            "E_SERIES", folder,
            f"by the numbers in the names, from {numbers[0]} to {numbers[-1]}, these slices are "
            f"missing: {_few(gaps)}.",
            "Add them; or number the pictures without gaps, if they are all there are.",
        )  # fmt: skip


def _check_doubles(folder: Path, split: dict[Path, list[str]]) -> None:
    seen: dict[tuple[str | int, ...], Path] = {}
    for path, parts in split.items():
        name = tuple(int(part) if at % 2 else part for at, part in enumerate(parts))
        if (other := seen.setdefault(name, path)) != path:
            reason = f"{other.name} and {path.name} both look like one slice."
            raise InputError("E_SERIES", folder, reason, "Keep one picture a slice.")


def _of_several(folder: Path, pictures: Sequence[Path], at: int) -> InputError:
    """The refusal of names that differ before their number, the `at`-th in them."""
    groups: Counter[str] = Counter()
    for path in pictures:
        numbers = list(re.finditer(r"\d+", path.stem))
        groups[path.stem[: numbers[at].start()] if numbers else path.stem] += 1
    found = [f"{name}... ({number})" for name, number in groups.items()]
    return InputError(
        "E_SERIES", folder,
        "the names of its pictures disagree in more than the number of the slice, so they may be "
        f"of several patients: {_few(found)}.",
        f"{OWN_FOLDER}, called such as case_1, case_2, case_3.",
    )  # fmt: skip


def check_one_patient(folder: Path, words: Mapping[str, Sequence[str]]) -> None:
    """Refuse files that name different patients: the same word, then another number.

    Args:
        folder: for the message.
        words: of each file's name, in small letters, before those of its sequence.

    Raises:
        InputError: E_SERIES, such as `sub-01` beside `sub-02`.
    """
    for (name, ours), (other, theirs) in combinations(words.items(), 2):
        if _are_of_two(ours, theirs):
            reason = f"{name} and {other} name two patients."
            raise InputError("E_SERIES", folder, reason, f"{OWN_FOLDER}.")


def _are_of_two(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether the first words that differ are one word of a patient with two numbers."""
    for before, one, two in zip(["", *ours], ours, theirs, strict=False):
        if one != two:
            letters, others = (word.rstrip("0123456789") for word in (one, two))
            word = letters or before
            return letters == others and word.isalpha() and word not in OF_SERIES
    return False


def _run(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - FEW} more" if len(words) > FEW else ""
    return ", ".join(words[:FEW]) + more
