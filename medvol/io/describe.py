# SPDX-License-Identifier: Apache-2.0
"""What was seen in a volume, as plain numbers and words for tables, reports and JSON."""

from os import fspath
from typing import Any

import numpy as np

from ..spatial import orientation, spacing_mm
from .image import Image
from .modality import guess_modality, sampled

PERCENTILES = (1, 5, 50, 95, 99)
# facts by which a hospital's archive finds the patient: shown to who has the image, but not to be
# written into a file that is passed on
IDENTIFYING_FACTS = ("SeriesInstanceUID",)


def describe(image: Image) -> dict[str, Any]:
    """The facts of a volume, ready for `json.dumps`.

    Returns:
        `path`, `modality` (by the values; a DICOM header's own word is in `facts`), `facts` (with
        `IDENTIFYING_FACTS`; take them out of what is passed on, and the folders of `path`),
        `shape`, `spacing_mm`, `size_mm` (outer edges), `orientation`, `affine` (rows, to RAS mm),
        `voxels`, `values` (`min`, `max` of all voxels; `p1` ... `p99` of about 200,000 of them),
        `notes` as [code, text].
    """
    shape, spacing = image.array.shape, spacing_mm(image.affine)
    values = {"min": float(image.array.min()), "max": float(image.array.max())}
    levels = np.percentile(sampled(image.array), PERCENTILES)
    values |= {f"p{p}": float(level) for p, level in zip(PERCENTILES, levels, strict=True)}
    return {
        "path": fspath(image.path),
        "modality": guess_modality(image.array),
        "facts": dict(image.facts),
        "shape": list(shape),
        "spacing_mm": list(spacing),
        "size_mm": [n * step for n, step in zip(shape, spacing, strict=True)],
        "orientation": orientation(image.affine),
        "affine": image.affine.tolist(),
        "voxels": int(image.array.size),
        "values": values,
        "notes": [list(note) for note in image.notes],
    }
