# SPDX-License-Identifier: Apache-2.0
"""What was seen in a volume, as plain numbers and words for tables, reports and JSON."""

from os import fspath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..spatial import orientation, spacing_mm
from .image import Image
from .modality import SEQUENCES_OF_MR, guess_modality, sampled

RADIOGRAPH = "radiograph"
PERCENTILES = (1, 5, 50, 95, 99)


def describe(image: Image) -> dict[str, Any]:
    """The facts of a volume or radiograph, ready for `json.dumps`.

    Returns:
        `path`, `modality` (by the values; a DICOM header's own word is in `facts`), `facts`,
        `shape`, `spacing_mm`, `size_mm` (outer edges), `orientation`, `affine` (rows, to RAS mm),
        `voxels`, `values` (`min`, `max` of all voxels; `p1` ... `p99` of about 200,000 of them),
        `channels` (such values by name of the channel; only where there are channels), `notes` as
        [code, text]. Of a radiograph what speaks of a place in space is left out.
        In what is passed on, take the folders of `path` out and `Image.public_facts` for `facts`.
    """
    array, place, channels = image.array, {}, {}
    modality = RADIOGRAPH if array.ndim == 2 else image.looks_like or guess_modality(array)
    if image.channels is not None:
        modality = SEQUENCES_OF_MR
        named = zip(image.facts["channels"], image.channels, strict=True)
        channels = {"channels": {name: value_levels(channel) for name, channel in named}}
    if array.ndim == 3:
        spacing = spacing_mm(image.affine)
        place = {
            "spacing_mm": list(spacing),
            "size_mm": [n * step for n, step in zip(array.shape, spacing, strict=True)],
            "orientation": orientation(image.affine),
            "affine": image.affine.tolist(),
            "voxels": int(array.size),
        }
    return {
        "path": fspath(image.path),
        "modality": modality,
        "facts": dict(image.facts),
        "shape": list(array.shape),
        **place,
        "values": value_levels(array),
        **channels,
        "notes": [list(note) for note in image.notes],
    }


def value_levels(array: npt.NDArray[Any]) -> dict[str, float]:
    """`min` and `max` of an image (any shape), and `PERCENTILES` of about 200,000 of its values."""
    levels = np.percentile(sampled(array), PERCENTILES)
    percentiles = {f"p{p}": float(level) for p, level in zip(PERCENTILES, levels, strict=True)}
    return {"min": float(array.min()), "max": float(array.max()), **percentiles}
