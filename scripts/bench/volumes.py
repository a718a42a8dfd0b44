# SPDX-License-Identifier: Apache-2.0
"""Volumes that the engine is measured on: phantoms of a chest, and real ones if at hand."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SEED = 2
REAL = ("ct_hounsfield/P002_ct.nii.gz", "ct_radiopaedia/rp4_ct.nii.gz")  # below MEDVOL_TEST_DATA


@dataclass(frozen=True)
class Phantom:
    """A phantom of a chest.

    Args:
        shape: (right-left, front-back, foot-head) voxels.
        spacing_mm: along the same.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


# 432 x 432 x 360 mm, of which a network at 1.5 mm sees 288 x 288 x 240: 5 x 5 x 4 windows of 96
# with half of each overlapping, however thick the slices are
PHANTOMS = {
    "160": Phantom((512, 512, 160), (0.84375, 0.84375, 2.25)),
    "300": Phantom((512, 512, 300), (0.84375, 0.84375, 1.2)),
    "small": Phantom((256, 256, 74), (1.35, 1.35, 4.0)),
    "same": Phantom((288, 288, 240), (1.5, 1.5, 1.5)),  # on the network's own grid
    "thin": Phantom((450, 390, 208), (0.8, 0.8, 1.5)),  # the whole chest
    "thick": Phantom((225, 195, 62), (1.6, 1.6, 5.0)),  # on the grid of medvol's own
    "tiny": Phantom((64, 64, 64), (1.5, 1.5, 1.5)),  # one window
}


def volume(name: str, folder: Path) -> Path | None:
    """The file of a volume, made when it is not there; None for a real one that is not at hand.

    Args:
        name: of `PHANTOMS`, "AxBxC" for such a phantom of the same chest, "real1" and so on, or a
            path.
        folder: where phantoms are kept.
    """
    if name.startswith("real"):
        data = os.environ.get("MEDVOL_TEST_DATA")
        path = Path(data or ".") / REAL[int(name[4:] or 1) - 1]
        return path if data and path.is_file() else None
    if name not in PHANTOMS and "x" not in name:
        return Path(name) if Path(name).is_file() else None
    path = folder / f"{name}.nii.gz"
    if not path.is_file():
        write_phantom(path, PHANTOMS.get(name) or _of_size(name))
    return path


def write_phantom(path: Path, made: Phantom) -> None:
    """Write a phantom's CT, and its truth beside it."""
    from medvol.data.phantoms.chest import chest_ct_phantom
    from medvol.images.writing import write_volume

    phantom = chest_ct_phantom(seed=SEED, spacing_mm=made.spacing_mm, shape=made.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part_{path.name}")
    write_volume(part, phantom.ct, phantom.affine)
    np.save(truth_of(path), phantom.labels)
    part.rename(path)


def truth_of(path: Path) -> Path:
    """Where the labels of a phantom are."""
    return path.with_name(path.name.replace(".nii.gz", "_truth.npy"))


def _of_size(name: str) -> Phantom:
    """A phantom "AxBxC" of the same part of the body as the others."""
    shape = tuple(int(n) for n in name.split("x"))
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"volume is {name!r}; give one of {', '.join(PHANTOMS)}, AxBxC or a file")
    x, y, z = shape
    return Phantom((x, y, z), (432 / x, 432 / y, 360 / z))
