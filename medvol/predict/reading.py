# SPDX-License-Identifier: Apache-2.0
"""Reading an image for a bundle; imports no torch, so that a refusal is quick and small."""

import os

from ..bundle.description import Description
from ..errors import InputError
from ..io.image import Image
from ..io.modality import check_ct
from ..io.volume import load_image


def read_checked(
    bundle: Description,
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    strict: bool = False,
) -> Image:
    """Read an image and check that its values are what the bundle expects.

    Args:
        bundle: whose metadata names the modality.
        path: image file, folder of DICOM slices, or a .zip of one.
        series: SeriesInstanceUID, where a folder holds several.
        strict: refuse an image that is used with a note otherwise.

    Raises:
        InputError: it cannot be used; the code says why.
    """
    image = load_image(path, series=series)
    if bundle.modality == "CT":
        check_ct(image.array, path, modality=image.facts.get("Modality"))
    if strict and image.notes:
        note = image.notes[0]
        raise InputError(
            "E_VALUES", path, f"it would be used with a note, {note}",
            "Mend the image, or leave out --strict.",
        )  # fmt: skip
    return image
