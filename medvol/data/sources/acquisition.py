# SPDX-License-Identifier: Apache-2.0
"""Folds of radiographs that were taken alike, so that a fold holds out a way of taking pictures.

Pictures of one hospital come in groups: a machine, a crop, letters burnt in, a grey scale. Where
pictures of all groups are in training and validation, the validation part looks better than
pictures of another place will. Here pictures are grouped by their size, border and grey scale, and
each group is in one fold, so a fold holds out what the training has not seen the like of.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...errors import InputError
from ...images import read_image
from ...transforms.surroundings import surroundings
from ..datalist import Datalist, Item
from ..split import PictureFile, assign_parts
from . import Source, options_of, summary

GROUP = "acquisition"  # key of an item: number of its group
SHARES = np.linspace(0.05, 0.95, 10)  # of the pixels, whose greys are the grey scale
STARTS = 10  # of k-means, of which the best counts


def read(datalist: Path, *, groups: int = 12, folds: int = 4, seed: int = 0) -> Datalist:
    """Spread groups of radiographs that were taken alike over folds, each group in one.

    Args:
        datalist: of radiographs with classes, .json; its test part stays as it is.
        groups: how many are looked for.
        folds: how many, at most as many as groups.
        seed: gives other groups and folds.

    Returns:
        The datalist with training and validation part as one, whose items have `acquisition`, the
        number of the group, and `fold`.

    Raises:
        InputError: E_PATH, no such datalist; E_FORMAT, not one of radiographs with classes, or
            with fewer patients than groups; what `read_image` refuses.
        ValueError: fewer than two folds, or fewer groups than folds.
    """
    if not 2 <= folds <= groups:
        raise ValueError(f"groups and folds are {(groups, folds)}; give 2 folds or more, and as "
                         "many groups or more")  # fmt: skip
    given = Datalist.read(datalist)
    names = given.class_names
    items = [x for part in ("training", "validation") for x in given.parts.get(part, ())]
    patients = [str(item.get("patient", item["image"])) for item in items]
    if len(set(patients)) < groups:
        reason = f"it has {len(set(patients))} patients for {groups} groups."
        raise InputError("E_FORMAT", datalist, reason, "Give fewer --groups.")
    with ThreadPoolExecutor() as pool:
        numbers = np.stack([*pool.map(how_taken, (Path(item["image"]) for item in items))])
    group = grouped(numbers, patients, groups=groups, seed=seed)
    pictures = [
        PictureFile(Path(x["image"]), names[x["label"]], str(own))
        for x, own in zip(items, group, strict=True)
    ]
    shares = {str(fold): 1 / folds for fold in range(folds)}
    parts = [picture.part for picture in assign_parts(pictures, shares, seed=seed)]
    training: list[Item] = [
        {**item, GROUP: own, "fold": int(part)}
        for item, own, part in zip(items, group, parts, strict=True)
    ]
    test = {"test": given.parts["test"]} if "test" in given.parts else {}
    return Datalist({**given.about, "training": training, **test})


def how_taken(path: Path) -> npt.NDArray[np.float64]:
    """Numbers that say how a radiograph was taken: its size, border and grey scale, (132,).

    Args:
        path: of the picture.

    Raises:
        InputError: what `read_image` refuses.
    """
    pixels = read_image(path, "radiograph").array
    rows, columns = pixels.shape
    size = np.log([rows * columns, columns / rows])
    border = surroundings(torch.from_numpy(pixels)[None])["border"]
    return np.concatenate([size, np.quantile(pixels, SHARES), border])


def grouped(
    numbers: npt.NDArray[np.float64], patients: Sequence[str], *, groups: int, seed: int = 0
) -> list[int]:
    """Group patients whose pictures were taken alike, by k-means.

    Size, grey scale and border count the same, however many numbers each has.

    Args:
        numbers: (N, 132) of `how_taken`.
        patients: (N,) whose pictures stay together: the mean of their numbers is looked at.
        groups: at most so many, and no more than patients.
        seed: of the first centres.

    Returns:
        (N,) number of the group, 0 for that of the first picture, and so on as they appear.
    """
    from sklearn.cluster import KMeans

    parts = np.split(numbers - numbers.mean(0), [2, 2 + len(SHARES)], axis=1)
    scaled = np.concatenate([part / max(float(np.linalg.norm(part)), 1e-9) for part in parts], 1)
    names, place, count = np.unique(patients, return_inverse=True, return_counts=True)
    means = np.zeros((len(names), scaled.shape[1]))
    np.add.at(means, place, scaled)
    means /= count[:, None]
    model = KMeans(groups, n_init=STARTS, random_state=seed).fit(means, sample_weight=count)
    found = model.labels_[place].tolist()
    order: Mapping[int, int] = {own: at for at, own in enumerate(dict.fromkeys(found))}
    return [order[own] for own in found]


def make(output: Path, **given: Any) -> Datalist:
    """Write the list; the paths in it lead to the pictures of the other.

    Raises:
        InputError, ValueError: as for `read`; E_NOSPACE, it cannot be written.
    """
    read(**given).write(output)
    return Datalist.read(output)


def rows(datalist: Datalist) -> list[list[str]]:
    """Pictures of each class and patients in each group, as rows of text under a head."""
    names, training = datalist.class_names, datalist.parts["training"]
    table = [["fold", "group", *names, "patients"]]
    for fold, group in sorted({(item["fold"], item[GROUP]) for item in training}):
        own = [item for item in training if item[GROUP] == group]
        counts = Counter(names[item["label"]] for item in own)
        patients = len({item.get("patient", item["image"]) for item in own})
        numbers = [fold, group, *(counts[name] for name in names), patients]
        table.append([f"{number}" for number in numbers])
    return table


SOURCE = Source(summary(read), options_of(read), make, rows)
