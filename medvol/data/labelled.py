# SPDX-License-Identifier: Apache-2.0
"""The cases of a datalist that have truth, named so that each can have a folder of its own."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..images.naming import case_name, unused_name
from .folds import load_fold


class LabelledCase(NamedTuple):
    """An image and the truth about it.

    Args:
        case: name, different from every other case's.
        patient: what cases of the same person share; the case itself where the datalist is silent.
        fold: of the cross-validation, None where the datalist is silent.
        image: path.
        label: path of the label map.
    """

    case: str
    patient: str
    fold: int | None
    image: str
    label: str


def labelled_cases(
    datalist: str | os.PathLike[str], *, fold: int = -1
) -> tuple[list[LabelledCase], int]:
    """The cases of a datalist that name a label.

    Args:
        datalist: as for `folds.load_fold`.
        fold: only the validation part of this fold; -1 for all cases.

    Returns:
        The cases in the order of the list, and how many were left out because they have no label.

    Raises:
        InputError: E_PATH or E_FORMAT as in `load_fold`; E_PATH, a case is called what no folder
            can be called; E_EMPTY, no case has a label.
        ValueError: there is no such fold.
    """
    items = load_fold(datalist, fold=fold, part="validation")
    cases: dict[str, LabelledCase] = {}
    for item in items:
        if item.get("label") and item.get("image"):
            case = _labelled(item, Path(datalist))
            name = unused_name(case.case, cases)
            cases[name] = case._replace(case=name)
    if not cases:
        raise InputError(
            "E_EMPTY", datalist, "none of its cases has a label, so there is no truth to compare.",
            "Give each case an `image` and a `label`.",
        )  # fmt: skip
    return list(cases.values()), len(items) - len(cases)


def _labelled(item: dict[str, Any], datalist: Path) -> LabelledCase:
    name = str(item.get("case") or case_name(item["image"]))
    if name in (".", "..") or Path(name).name != name or not name.isprintable():
        raise InputError(
            "E_PATH", datalist, f"the case {name!r} is called what no folder can be called.",
            "Give it a plain name, without / in it.",
        )  # fmt: skip
    patient, fold = item.get("patient"), item.get("fold")
    return LabelledCase(
        case=name,
        patient=name if patient is None else str(patient),
        fold=fold if isinstance(fold, int) else None,
        image=item["image"],
        label=item["label"],
    )
