# SPDX-License-Identifier: Apache-2.0
"""One part of a datalist: the training or the validation cases of a fold."""

import json
import os
from pathlib import Path
from typing import Any

from ..errors import InputError

PARTS = ("train", "validation")


def load_fold(
    datalist: str | os.PathLike[str] | None,
    *,
    fold: int = -1,
    part: str = "train",
    repeat: int = 1,
) -> list[dict[str, Any]]:
    """Read the cases of one part of a fold; relative paths become relative to the datalist.

    Args:
        datalist: JSON with "training", a list of {"image", "label", "fold", ...}; None for no
            cases, where a config may name a further datalist or not.
        fold: the fold that is held out. -1 holds out none: every case trains, and the validation
            part is every case again (its figures then describe the training data).
        part: "train" or "validation".
        repeat: how often each case is listed, so that an epoch has a sensible length.

    Returns:
        A list of items, paths absolute.

    Raises:
        InputError: E_PATH, no such datalist; E_FORMAT, no JSON of this form.
        ValueError: an unknown part, a fold that leaves the part empty, `repeat` below 1.
    """
    if part not in PARTS:
        raise ValueError(f"part is {part!r}; give one of {', '.join(PARTS)}")
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}; give 1 or more")
    if datalist is None:
        return []
    path = Path(datalist)
    rows = read_datalist(path)["training"]
    items = [{**row, **_absolute(row, path.parent)} for row in rows]
    if fold >= 0:
        items = [item for item in items if (item.get("fold") == fold) == (part == "validation")]
    if not items:
        folds = sorted({row.get("fold") for row in rows})
        raise ValueError(f"fold {fold} leaves no {part} case in {path}; folds are {folds}")
    return items * repeat


def read_datalist(path: Path) -> dict[str, Any]:
    """The whole datalist as it stands in its file.

    Raises:
        InputError: E_PATH, no such datalist; E_FORMAT, no JSON of this form.
    """
    try:
        datalist: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = [{**row, **_absolute(row, path.parent)} for row in datalist["training"]]
    except OSError as error:
        raise InputError(
            "E_PATH", path, f"the datalist cannot be opened ({error.strerror}).",
            "Make one with `medvol data`, or name the folder that holds datalist.json.",
        ) from error  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "E_FORMAT", path, "this is no datalist (JSON with a list `training` of images).",
            "Make one with `medvol data`.",
        ) from error  # fmt: skip
    return datalist


def _absolute(row: dict[str, Any], root: Path) -> dict[str, str]:
    paths = {key: row[key] for key in ("image", "label") if key in row}
    return {
        key: str((root / path).absolute())
        for key, path in paths.items()
        if key == "image" or not isinstance(path, int)  # a label may be the number of a class
    }
