# SPDX-License-Identifier: Apache-2.0
"""Images of a datalist beside their classes: answered by a bundle, and shown where it erred."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..answer import Refusal
from ..bundle.spec import Spec
from ..errors import InputError
from ..images import read_image
from ..metrics.classes.evaluation import ClassCase
from ..report.radiographs import radiograph_tile
from .task import Bundle

Attention = Callable[[Path], npt.NDArray[np.float32]]
Refused = tuple[str, InputError]  # name of the case, and why


def match_classes(bundle: Spec, names: Sequence[str]) -> tuple[int, ...]:
    """Number that each class of a datalist has in a bundle; upper and lower case are the same.

    Args:
        bundle: that names its classes.
        names: of the datalist, in the order of its labels.

    Raises:
        InputError: E_BUNDLE, the bundle does not know one of them.
    """
    own = [name.casefold() for name in bundle.classes]
    if unknown := [name for name in names if name.casefold() not in own]:
        raise InputError(
            "E_BUNDLE", bundle.folder,
            f"it tells apart {', '.join(bundle.classes)}; the data have {', '.join(unknown)}.",
            "Give data whose classes have these names.",
        )  # fmt: skip
    return tuple(own.index(name.casefold()) for name in names)


def completed(
    items: Sequence[Mapping[str, Any]], names: Sequence[str], folder: Path
) -> list[dict[str, Any]]:
    """Items with all keys: class from the label, case from the file, each case its own patient.

    Args:
        items: of `Datalist.items`, with classes.
        names: of the classes, in the order of the labels.
        folder: that cases are named from.
    """
    full = []
    for item in items:
        case = str(item.get("case") or os.path.relpath(item["image"], folder))
        patient = str(item.get("patient") or case)
        full.append({**item, "class": names[item["label"]], "case": case, "patient": patient})
    return full


def answer_images(
    bundle: Bundle,
    items: Sequence[Mapping[str, Any]],
    numbers: Sequence[int],
    *,
    progress: bool = False,
) -> tuple[list[ClassCase], list[Refused]]:
    """Run a bundle on images whose classes are known.

    Args:
        bundle: for radiographs.
        items: of `completed`.
        numbers: of `match_classes`.
        progress: show a bar on stderr.

    Returns:
        What it says of each image that can be read, and why the others cannot.
    """
    answers, refused = [], []
    found = bundle.predict_many([item["image"] for item in items])
    bar = tqdm(zip(items, found, strict=True), total=len(items), unit="image",
               disable=not progress, leave=False)  # fmt: skip
    for item, answer in bar:
        if isinstance(answer, Refusal):
            refused.append((item["case"], answer.error))
        elif answer.classes is not None:
            answers.append(
                ClassCase(
                    item["case"], answer.image.path, item["patient"], numbers[item["label"]],
                    answer.classes.probability, tuple(map(str, answer.notes)),
                )
            )  # fmt: skip
    return answers, refused


def tiles(images: Sequence[ClassCase], attention: Attention | None) -> tuple[dict[str, str], bool]:
    """Small pictures of images for a page, beside where the network looked if it can say.

    Args:
        images: that could be read before.
        attention: a map of one radiograph; None for the radiographs alone. A network that has no
            feature map says so with ValueError on the first image, and none is drawn.

    Returns:
        Case to the address of its picture, and whether attention was drawn.
    """
    found = {}
    for image in images:
        heat = None
        if attention is not None:
            try:
                heat = attention(image.path)
            except ValueError:
                attention = None
        found[image.case] = radiograph_tile(read_image(image.path, "radiograph").array, heat)
    return found, attention is not None and bool(found)
