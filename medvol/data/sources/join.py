# SPDX-License-Identifier: Apache-2.0
"""Several datalists as one, each case in the fold that its own list says.

A number must mean the same label in all lists; one may have labels that others lack. Folds stay:
lists that were made with the same number of folds are each spread over them evenly. An item without
a `source` gets the name of its list, so that an evaluation gives figures of each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..datalist import Datalist
from . import Source, options_of, summary

ABOUT = ("name", "description", "licence", "reference")


def read(lists: Sequence[Path]) -> Datalist:
    """Join datalists into one; their files stay where they are.

    Args:
        lists: two or more datalists, .json.

    Raises:
        InputError: E_PATH, no such datalist; E_FORMAT, not a datalist, or a case is in two of the
            lists, or a patient in two parts or folds; E_LABELS, a value means two labels.
        ValueError: fewer than two lists.
    """
    if len(lists) < 2:
        raise ValueError(f"there is {len(lists)} datalist to join; give two or more")
    read_lists = {path: Datalist.read(path) for path in lists}
    contents = [datalist.content for datalist in read_lists.values()]
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for datalist in read_lists.values():
        for part, items in datalist.parts.items():
            own = ({"source": datalist.name, **item} for item in items)
            parts.setdefault(part, []).extend(own)
    _check_apart(read_lists)
    said = {word: [str(x[word]) for x in contents if x.get(word)] for word in ABOUT}
    return Datalist(
        {
            **{word: "; ".join(dict.fromkeys(texts)) for word, texts in said.items()},
            "labels": _agreed(read_lists, "labels"),
            "partly": _agreed(read_lists, "partly"),
            "modality": _agreed(read_lists, "modality"),
            "numTraining": len(parts.get("training", ())),
            **parts,
            "facts": {case: own for x in contents for case, own in x.get("facts", {}).items()},
        }
    )


def _check_apart(lists: Mapping[Path, Datalist]) -> None:
    """Refuse a case that is in two lists, and a patient who would be trained on and held out.

    Raises:
        InputError: E_FORMAT, names both lists.
    """
    cases: dict[str, Path] = {}
    patients: dict[str, tuple[str, Path]] = {}
    for path, datalist in lists.items():
        for part, item in ((name, x) for name, items in datalist.parts.items() for x in items):
            case = str(item.get("case", item["image"]))
            if case in cases:
                reason = f"the case {case} is in {cases[case]} too."
                raise InputError("E_FORMAT", path, reason, "Leave one of the lists out.")
            cases[case] = path
            fold = item.get("fold")
            place = part if fold is None else f"{part} fold {fold}"
            patient = str(item.get("patient", case))
            first, where = patients.setdefault(patient, (place, path))
            if first != place:
                reason = f"patient {patient} is in {place} here, and in {first} of {where}."
                remedy = "Give all cases of a patient one fold; or two people two names."
                raise InputError("E_FORMAT", path, reason, remedy)


def _agreed(lists: Mapping[Path, Datalist], what: str) -> dict[str, Any]:
    """Names by number, of all lists.

    Raises:
        InputError: E_LABELS, a number has two names.
    """
    known: dict[str, Any] = {}
    for path, datalist in lists.items():
        for number, name in datalist.content.get(what, {}).items():
            if known.setdefault(number, name) != name:
                reason = f"{number} is {name!r} here, and {known[number]!r} in a list before."
                raise InputError("E_LABELS", path, reason, "Join lists of the same labels.")
    return dict(sorted(known.items(), key=lambda pair: int(pair[0])))


def make(output: Path, *, lists: Sequence[Path]) -> Datalist:
    """Write the joined list; the paths in it lead to the files of the others.

    Raises:
        InputError, ValueError: as for `read`; E_NOSPACE, it cannot be written.
    """
    read(lists).write(output)
    return Datalist.read(output)


def rows(datalist: Datalist) -> list[list[str]]:
    """How many cases and patients each part and fold has, as rows of text under a head."""
    table = [["part", "fold", "cases", "patients"]]
    for part, items in datalist.parts.items():
        cases = Counter(item.get("fold") for item in items)
        for fold, number in sorted(cases.items(), key=lambda pair: (pair[0] is None, pair[0] or 0)):
            own = [item for item in items if item.get("fold") == fold]
            patients = len({item.get("patient", item["image"]) for item in own})
            table.append([part, "" if fold is None else str(fold), str(number), str(patients)])
    return table


SOURCE = Source(summary(read), options_of(read), make, rows)
