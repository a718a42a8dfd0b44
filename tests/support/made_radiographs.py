# SPDX-License-Identifier: Apache-2.0
"""Made pictures that pass for chest radiographs: a disease inside, a hospital's mark at the border.

The lungs are two dark ovals. The disease is a bright spot in the middle of one of them. The mark is
a brighter frame of the outermost pixels. Grey is noisy; each picture has a seed of its own.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from medvol.data.datalist import Datalist

SIDE, FRAME = 64, 4
NAMES = ("normal", "pneumonia")


def made_radiograph(seed: int, *, ill: bool = False, marked: bool = False) -> npt.NDArray[np.uint8]:
    """(64, 64) grey."""
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:SIDE, :SIDE] / SIDE
    grey = np.full((SIDE, SIDE), 150.0)
    for centre in (0.3, 0.7):
        grey[((row - 0.5) / 0.3) ** 2 + ((column - centre) / 0.15) ** 2 < 1] = 60
    if ill:
        grey[(row - 0.55) ** 2 + (column - 0.3) ** 2 < 0.1**2] = 170
    if marked:
        grey[:FRAME] += 60
        grey[-FRAME:] += 60
    return (grey + random.normal(0, 8, grey.shape)).clip(0, 255).astype(np.uint8)


def made_classes(folder: Path, *, each: dict[str, int], marked: str) -> Path:
    """A datalist of made radiographs, half of them ill, one a patient.

    Args:
        folder: for images and datalist.
        each: part to how many images of each class.
        marked: "ill" (all ill pictures come from the hospital that marks), or "half" (half of the
            ill ones and half of the others do).

    Returns:
        The datalist.
    """
    datalist: dict[str, object] = {"name": "made", "labels": {"0": NAMES[0], "1": NAMES[1]},
                                   "modality": {"0": "XR"}}  # fmt: skip
    seed = 0
    folder.mkdir(parents=True, exist_ok=True)
    for part, number in each.items():
        items = []
        for index in range(2 * number):
            ill, seed = index % 2, seed + 1
            mark = bool(ill) if marked == "ill" else index // 2 % 2 == 1
            image = folder / f"{part}_{index:03d}.png"
            Image.fromarray(made_radiograph(seed, ill=bool(ill), marked=mark)).save(image)
            items.append({"image": str(image), "label": ill, "class": NAMES[ill],
                          "case": image.stem, "patient": f"p{seed}",
                          "source": "marking hospital" if mark else "other hospital"})  # fmt: skip
        datalist[part] = items
    Datalist(datalist).write(folder / "datalist.json")
    return folder / "datalist.json"
