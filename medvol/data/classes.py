# SPDX-License-Identifier: Apache-2.0
"""Datalists of images that have a class: their parts, names of the classes, the file.

Such a datalist is JSON: name, description, licence, reference, `labels` ({"0": "normal", ...}),
`modality`, and the parts `training`, `validation` and `test`. An item of a part is
{"image": path, "label": int, "class": name, "case": unique name, "patient": key} and may say more,
such as `source` and `view`. Cases of one patient, and pictures that are nearly the same, share it.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_json

PARTS = ("training", "validation", "test")


def load_classes(
    datalist: str | os.PathLike[str] | None,
    *,
    part: str = "training",
    repeat: int = 1,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Read one part; relative paths of images become relative to the datalist.

    Args:
        datalist: JSON as in this module's first lines; None for no cases, where a config may name
            a further datalist or not.
        part: one of `PARTS`.
        repeat: how often each case is listed, so that an epoch has a sensible length.
        limit: only the first so many of each class, for trials; None for all.

    Returns:
        A list of items, paths of images absolute, in the order of the file.

    Raises:
        InputError: E_PATH, no such datalist; E_FORMAT, no JSON of this form.
        ValueError: an unknown part, a part without cases, `repeat` or `limit` below 1.
    """
    if part not in PARTS:
        raise ValueError(f"part is {part!r}; give one of {', '.join(PARTS)}")
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}; give 1 or more")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; give 1 or more, or None for all")
    if datalist is None:
        return []
    path = Path(datalist)
    rows = read_classes(path).get(part, [])
    items = [{**row, "image": str((path.parent / row["image"]).absolute())} for row in rows]
    if not items:
        raise ValueError(f"{path} has no {part} case")
    return _first_of_each(items, limit) * repeat


def class_names(datalist: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of the classes; the first is that of label 0.

    Raises:
        InputError: as for `load_classes`.
    """
    return _names(read_classes(Path(datalist))["labels"])


def read_classes(path: Path) -> dict[str, Any]:
    """The whole datalist as it stands in its file, found to be of the form above.

    Raises:
        InputError: E_PATH, no such datalist; E_FORMAT, no JSON of this form.
    """
    try:
        datalist: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        check_classes(datalist)
    except OSError as error:
        raise InputError(
            "E_PATH", path, f"the datalist cannot be opened ({error.strerror}).",
            "Make one with `medvol data`, or name the folder that holds datalist.json.",
        ) from error  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = error if isinstance(error, ValueError) else "something is missing"
        raise InputError(
            "E_FORMAT", path, f"this is no datalist of images with classes ({what}).",
            "Make one with `medvol data folder` from folders of a class each.",
        ) from error  # fmt: skip
    return datalist


def check_classes(datalist: Mapping[str, Any]) -> None:
    """Refuse a datalist whose labels, classes and cases contradict each other.

    Raises:
        ValueError: labels that do not count from 0, an item whose label is none of them or whose
            class is not the label's, a case named twice.
        KeyError, TypeError, AttributeError: another form altogether.
    """
    names = _names(datalist["labels"])
    items = [item for part in PARTS for item in datalist.get(part, [])]
    for item in items:
        label, image = item["label"], item["image"]
        if not isinstance(image, str):
            raise TypeError("image is no path")
        if type(label) is not int or not 0 <= label < len(names):
            raise ValueError(f"label {label!r} of {image} is none of 0 to {len(names) - 1}")
        if item.get("class", names[label]) != names[label]:
            raise ValueError(f"{image} is of class {item['class']!r} but label {label}")
    cases = Counter(item["case"] for item in items if "case" in item)
    if cases and cases.most_common(1)[0][1] > 1:
        raise ValueError(f"the case {cases.most_common(1)[0][0]!r} is there twice")


def write_classes(
    path: str | os.PathLike[str],
    datalist: Mapping[str, Any],
    *,
    folder: str | os.PathLike[str] | None = None,
) -> None:
    """Write a datalist as JSON, whole or not at all.

    Paths of images inside its folder become relative to it, so that a folder that holds list and
    images can be moved; others become absolute.

    Args:
        path: of the file.
        datalist: as in this module's first lines; relative paths are relative to its folder.
        folder: where the file will be moved to; None where it stays.

    Raises:
        ValueError: as for `check_classes`.
        InputError: E_NOSPACE, it cannot be written.
    """
    check_classes(datalist)
    root = Path(folder or Path(path).parent).absolute()
    parts = {
        part: [{**item, "image": _relative(item["image"], root)} for item in datalist[part]]
        for part in PARTS
        if part in datalist
    }
    write_json(path, {**datalist, **parts}, indent=1)


def _names(labels: Mapping[str, str]) -> tuple[str, ...]:
    if [*labels] != [str(index) for index in range(len(labels))] or not labels:
        raise ValueError(f"labels are {', '.join(labels) or 'missing'}; count them from 0")
    return tuple(labels.values())


def _first_of_each(items: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    if limit is None:
        return items
    seen: Counter[int] = Counter()
    first = []
    for item in items:
        seen[item["label"]] += 1
        if seen[item["label"]] <= limit:
            first.append(item)
    return first


def _relative(file: str, root: Path) -> str:
    path = root / file
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
