# SPDX-License-Identifier: Apache-2.0
"""A new bundle made from another: the same network, chain and training, other labels or data."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import appearing, read_json, write_json, write_text
from ..labels import names_a_side
from ..metadata import read_metadata
from ..owned import checksums, claim
from ..text import NOTICE
from .build import (
    SOURCE,
    Source,
    assemble,
    build,
    build_bundle,
    merge,
    parts_for,
    read_source,
)
from .claim import CLAIM, blank_claim
from .find import find_bundle, user_folder
from .label_set import BACKGROUND
from .permission import permit, record_own
from .shared import with_settings

FIRST_VERSION = "0.0.1"
SEE = "docs/adding_a_bundle.md shows how labels and classes are written."
KEPT = ("extends", "labels", "parameters", "inference", "train")  # of the other bundle's source
OF_THE_OTHER = {  # in its metadata, and not true of the new bundle
    "chain_fingerprint", "version", "changelog", "name", "task", "description", "data_source",
    "label_classes", "intended_use", "references", "copyright", "authors", "eval_metrics",
    "human_reference", "weights_record",
}  # fmt: skip
OF_THE_WEIGHTS = ("temperature", "threshold")  # parameters
# of training, where a label is of one side
UNMIRRORED: Source = {"train": {"train": {"augmentation": {"flip": []}}}}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LICENSE = """\
This bundle has parts under different terms.

1. Code and text: everything in configs/ and docs/

   Apache License, Version 2.0. The full text is at
   https://www.apache.org/licenses/LICENSE-2.0

2. Weights: everything in models/

   The terms of the data that they were trained on: docs/data_license.txt.

Research use only. Not a medical device.
"""
_DATA_LICENSE = """\
Data that the weights of this bundle were trained on
====================================================

No image or mask is part of this bundle. Its weights come from data of whoever trained it. Name the
data here, and its terms, before the bundle is given away.
"""
_README = """\
# {name}

A bundle of its own labels. **{notice}**

| value | label |
| --- | --- |
{rows}

## How to run

```bash
medvol predict scan.nii.gz --bundle {name} --output results
```

## Data and training

Made from `{other}` with `medvol bundle new`. `configs/train.json` has the settings.

## Figures

None are measured yet.
"""


def new_bundle(
    name_or_folder: str | os.PathLike[str],
    *,
    like: str | os.PathLike[str],
    labels: Path | None = None,
) -> Path:
    """Make a bundle without weights: its source, the configs built from it, its texts.

    Args:
        name_or_folder: of the new bundle; a name lies in the folder of the user's own bundles.
        like: name or folder of the bundle whose network, chain and training it takes over.
        labels: JSON file of other labels or classes, see `new_source`.

    Returns:
        The new bundle's folder.

    Raises:
        InputError: E_PATH, the folder is there already; E_BUNDLE, the name is not a bundle's name;
            or as for `new_source`, and for `permission.permit` of the other bundle.
    """
    folder, other = new_folder(name_or_folder), find_bundle(like)
    allowed = permit(other)
    named = None if labels is None else read_json(labels, what="set of labels", remedy=SEE)
    source = new_source(other, folder, labels=named, said_in=labels)
    write_bundle(folder, source, other.name)
    record_own(folder, level=allowed.level)
    return folder


def new_source(
    other: Path,
    folder: Path,
    *,
    labels: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    said_in: Path | None = None,
) -> Source:
    """The source of a bundle that is made from another; nothing is written.

    Args:
        other: folder of the bundle whose network, chain and training it takes over.
        folder: of the new bundle.
        labels: other labels or classes (see `label_set.label_parameters`); what belongs to the
            other bundle's labels alone, such as its own loss or its gate, is left out. None keeps
            those of the other. Images are not mirrored in training where a name says left or
            right.
        settings: ids of train.json to values that the new bundle is trained with; those that its
            use must share go into the source, see `shared.with_settings`.
        said_in: file with the labels, for messages.

    Raises:
        InputError: E_BUNDLE, the other bundle has no source, or the labels contradict themselves
            or are of another kind than its own.
    """
    if not (other / SOURCE).is_file():
        raise InputError(
            "E_BUNDLE", other, f"it has no {SOURCE}, so no other can be made of it.",
            "Take a bundle that came with medvol or was made by `medvol bundle new`.",
        )  # fmt: skip
    lower = read_source(other / SOURCE)
    source = {key: lower[key] for key in KEPT if key in lower}
    if labels is not None:
        source["labels"] = dict(labels)
        _refuse_another_kind(said_in or other, source["labels"], labels_of(other))
    own = {key: x for key, x in lower.get("metadata", {}).items() if key not in OF_THE_OTHER}
    source["metadata"] = own
    if "parameters" in source:
        named = source["parameters"].items()
        source["parameters"] = {key: x for key, x in named if key not in OF_THE_WEIGHTS}
    try:  # before anything is written
        find = parts_for(folder)
        if _is_of_one_side(source["labels"], find):
            source = merge(source, UNMIRRORED)
        source = with_settings(source, settings or {}, find).source
        metadata = build(source, find)["metadata"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("E_BUNDLE", said_in or other, f"{error}.", SEE) from error
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    names = [name for name in channels.values() if name != BACKGROUND]
    source["metadata"] = {**own, **_said_of(folder.name, other.name, names)}
    source["train"] = source.pop("train", {})  # last, below what a reader looks for
    return source


def _is_of_one_side(labels: Any, find: Callable[[str], Source]) -> bool:
    """Whether a name of a label of voxels says left or right."""
    rows = assemble({"labels": labels}, find)["labels"].get("label_table", ())
    return any(names_a_side(row["name"]) for row in rows)


def labels_of(bundle: Path) -> dict[str, Any]:
    """The labels or classes of a bundle as its source and the parts name them.

    Raises:
        InputError: E_BUNDLE, E_PATH, E_FORMAT, its source or a part cannot be read.
    """
    labels: dict[str, Any] = assemble(read_source(bundle / SOURCE), parts_for(bundle))["labels"]
    return labels


def write_bundle(folder: Path, source: Source, other: str) -> None:
    """Write a new bundle, whole or not at all.

    Args:
        folder: of the bundle; nothing lies there.
        source: of `new_source`.
        other: name of the bundle that it is made from.

    Raises:
        InputError: as for `build.build_files`; E_NOSPACE, it cannot be written.
    """
    with appearing(folder) as scratch:
        build_bundle(scratch, source)
        _write_texts(scratch, folder.name, other)
        claim(scratch, checksums(scratch))


def new_folder(name_or_folder: str | os.PathLike[str]) -> Path:
    """Where a new bundle goes; nothing lies there yet.

    Args:
        name_or_folder: of the bundle; a name lies in the folder of the user's own bundles.

    Raises:
        InputError: E_PATH, it is there already; E_BUNDLE, the name is not a bundle's name.
    """
    folder = own_folder(name_or_folder)
    if folder.exists():
        raise InputError("E_PATH", folder, "it is there already.", "Choose another name.")
    return folder


def own_folder(name_or_folder: str | os.PathLike[str]) -> Path:
    """Where a bundle of the user's own lies, or will.

    Args:
        name_or_folder: as for `new_folder`.

    Raises:
        InputError: E_BUNDLE, the name is not a bundle's name.
    """
    given = Path(name_or_folder)
    folder = given.absolute() if len(given.parts) > 1 else user_folder() / given
    if not _NAME.fullmatch(folder.name):
        raise InputError(
            "E_BUNDLE", folder, f"{folder.name!r} is not a name for a bundle.",
            "Write it in small letters, digits and underscores, such as lung_ct.",
        )  # fmt: skip
    return folder


def _refuse_another_kind(path: Path, own: dict[str, Any], wanted: dict[str, Any]) -> None:
    kind = "classes" if "classes" in wanted else "label_table"
    if kind not in own:
        raise InputError("E_BUNDLE", path, f"it has no `{kind}`, as the other bundle has.", SEE)


def _said_of(name: str, other: str, names: list[str]) -> dict[str, Any]:
    """The metadata of a new bundle that no other bundle has."""
    return {
        "version": FIRST_VERSION,
        "changelog": {FIRST_VERSION: f"made from {other}"},
        "name": name.replace("_", " "),
        "task": ", ".join(names),
        "description": f"Made from {other}, with {', '.join(names)}. {NOTICE}",
        "authors": f"the authors of {name}",
        "copyright": f"Copyright (c) the authors of {name}",
        "data_source": "see docs/data_license.txt",
        "intended_use": NOTICE,
        "references": [],
    }


def _write_texts(folder: Path, name: str, other: str) -> None:
    metadata = read_metadata(folder)
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    rows = "\n".join(f"| {value} | {label} |" for value, label in channels.items())
    readme = _README.format(name=name, notice=NOTICE, rows=rows, other=other)
    write_text(folder / "docs" / "README.md", readme)
    write_text(folder / "docs" / "data_license.txt", _DATA_LICENSE)
    write_json(folder / CLAIM, blank_claim(), indent=1)
    write_text(folder / "LICENSE", _LICENSE)
