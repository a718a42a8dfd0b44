# SPDX-License-Identifier: Apache-2.0
"""Pictures of a training: what the network sees, and the images that it is most wrong about."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.transforms.transform import Randomizable

from ..bundle.config import literal
from ..bundle.spec import read_spec
from ..data.items import classified
from ..errors import InputError
from ..files import read_csv
from ..images import read_image
from ..labels import LabelTable
from ..owned import filling
from ..report.batch import Tile, draw_batch
from ..report.radiographs import small
from ..slices import evenly
from .run import ALL, HELD_OUT, PARTS, Run
from .training import CACHE, CACHE_DIR, DATA

SAMPLES, TOP_LOSSES = "samples.png", "top_losses.png"
PREPROCESSING = "train#preprocessing"
SHOWN = 12  # pictures of a page: three rows
SIDE = 360  # pixels of the longer side of an image on the page
LEAST = 1e-7  # a probability of 0 counts as this, so that its loss is a number
OVER = "Contrast is stretched to the values of each picture."
WHERE = "Loss is -ln of the probability of the true class; 0.69 is a coin toss between two."


def draw_samples(run: Run, *, count: int = SHOWN) -> Path:
    """Draw images, or patches, as the network gets them in training: prepared and augmented.

    Args:
        run: whose final training it is.
        count: how many, 1 or more.

    Returns:
        `samples.png` in the run's folder.

    Raises:
        InputError: an image cannot be read, the bundle cannot be built, or as for `draw_batch`.
    """
    training = run.trainings[run.final[-1]]
    config = training.config()
    for key, value in training.settings.items():
        config.parser[key] = literal(value)
    if CACHE_DIR in config:
        config.parser[CACHE_DIR] = str(run.folder / CACHE)
    items, prepare = config.build(DATA), config.build(PREPROCESSING)
    if isinstance(prepare, Randomizable):
        prepare.set_random_state(seed=0)
    chosen = evenly(sorted(items, key=lambda item: str(item["label"])), count)
    patches = [_of_list(prepare(dict(item))) for item in chosen]
    spec = read_spec(run.order.bundle)
    names = run.class_names(run.final[-1]) if spec.task == "radiographs" else ()
    tiles = [
        _tile(patch, names[int(item["label"])] if names else _case(item))
        for item, patch in zip(chosen, patches, strict=True)
    ]
    title = f"{run.order.bundle.name}: what the network is trained on"
    return _drawn(run, SAMPLES, tiles, title, "", table=spec.labels, remark=OVER)


def draw_top_losses(run: Run, *, count: int = SHOWN) -> Path:
    """Draw the images of the held-out cases with the highest losses, and what they are taken for.

    Args:
        run: to its end, of images with a class.
        count: how many, 1 or more.

    Returns:
        `top_losses.png` in the run's folder.

    Raises:
        InputError: E_EMPTY, nothing was held out, or the classes are not of whole images; or an
            image cannot be read.
    """
    name = run.final[-1]
    names = run.class_names(name) if read_spec(run.order.bundle).task == "radiographs" else []
    part, rows = held_out_rows(run, name)
    if not names or not rows:
        raise InputError(
            "E_EMPTY", run.folder, "no images with a class were held out.",
            "Give a datalist with a validation part; `medvol evaluate --report` shows masks.",
        )  # fmt: skip
    every = [item for own in run.datalist.parts.values() for item in own]
    true = {item["image"]: item["label"] for item in classified(run.datalist, every, names)}
    columns = ["_".join(["probability", *name.split()]) for name in names]
    tiles = []
    losses = {row["image"]: _loss(row, columns[true[row["image"]]]) for row in rows}
    worst = sorted(rows, key=lambda row: -losses[row["image"]])[:count]
    for row in worst:
        label, taken = true[row["image"]], int(row["index"])
        words = f"{names[label]}, taken for {names[taken]} {float(row[columns[taken]]):.2f}"
        caption = f"{words}, loss {losses[row['image']]:.2f}"
        pixels = small(read_image(row["image"], "radiograph").array, SIDE)
        tiles.append(Tile(pixels, caption, wrong=label != taken))
    wrong = sum(true[row["image"]] != int(row["index"]) for row in rows)
    subtitle = f"{part}: {wrong} of {len(rows)} images are taken for another class"
    return _drawn(run, TOP_LOSSES, tiles, f"{run.order.bundle.name}: highest losses", subtitle,
                  remark=WHERE)  # fmt: skip


def held_out_rows(run: Run, name: str) -> tuple[str, list[dict[str, str]]]:
    """What was predicted for the test part, else the validation part, else for what folds held out.

    Args:
        run: to its end.
        name: of the training.

    Returns:
        What was held out, in words, and the rows of `predictions.csv`; none where nothing was.
    """
    for part in reversed(PARTS):
        if (table := run.folder_of(ALL, name) / part / "predictions.csv").is_file():
            return f"{part} part", read_csv(table)
    tables = [run.folder_of(fold, name) / HELD_OUT / "predictions.csv" for fold in run.order.folds]
    return "all folds", [row for table in tables if table.is_file() for row in read_csv(table)]


def _loss(row: Mapping[str, str], column: str) -> float:
    return -math.log(max(float(row[column]), LEAST))


def _of_list(prepared: Any) -> Mapping[str, Any]:
    """The first patch of an image of which several are cut."""
    first: Mapping[str, Any] = prepared[0] if isinstance(prepared, list) else prepared
    return first


def _case(item: Mapping[str, Any]) -> str:
    return str(item.get("case") or Path(str(item["image"])).name)


def _tile(patch: Mapping[str, Any], caption: str) -> Tile:
    """The middle channel of a prepared image; of a volume its axial slice with most labels."""
    image = _array(patch["image"])
    values = image[len(image) // 2]
    label = patch.get("label")
    labels = None
    if isinstance(label, torch.Tensor | np.ndarray) and np.ndim(label) == image.ndim:
        labels = _array(label)[0].astype(np.int64)
    if labels is not None and labels.shape != values.shape:
        labels = None
    if values.ndim == 3:
        most = int((labels > 0).sum((0, 1)).argmax()) if labels is not None else -1
        middle = values.shape[2] // 2
        place = most if labels is not None and labels[..., most].any() else middle
        values, labels = values[..., place], None if labels is None else labels[..., place]
    if labels is not None:  # (right-left, front-back) as radiologists look at it
        values, labels = values[::-1, ::-1].T, labels[::-1, ::-1].T
    return Tile(values, caption, labels)


def _array(value: Any) -> npt.NDArray[Any]:
    return np.asarray(torch.as_tensor(value).numpy())


def _drawn(
    run: Run, name: str, tiles: list[Tile], title: str, subtitle: str, *,
    table: LabelTable | None = None, remark: str,
) -> Path:  # fmt: skip
    colors = {label.value: (label.name, label.color) for label in table or ()}
    with filling(run.folder) as scratch:
        draw_batch(scratch / name, tiles, title, subtitle=subtitle, colors=colors, remark=remark)
    return run.folder / name
