# SPDX-License-Identifier: Apache-2.0
"""Reading an image for a bundle; imports no torch, so that a refusal is quick and small."""

import os
from collections.abc import Sequence

from ..bundle.description import Description
from ..errors import InputError
from ..images import read_image
from ..images.image import Image
from ..images.modality import check_ct
from ..images.slice_images import SEQUENCE_NAMES


def read_checked(
    bundle: Description,
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    strict: bool = False,
    spacing_mm: Sequence[float] | None = None,
) -> Image:
    """Read an image and check that its values are what the bundle expects.

    Args:
        bundle: whose metadata names the modality.
        path: image file, folder of DICOM slices, or a .zip of one; for a bundle of MR
            sequences what `images.sequences` reads.
        series: SeriesInstanceUID, where a folder holds several.
        spacing_mm: of slice pictures, columns, rows and slices; None assumes one, with a note.
        strict: refuse an image that is used with a note otherwise.

    Raises:
        InputError: it cannot be used; the code says why. E_BUNDLE, the bundle takes other MR
            sequences than `images.sequences` gives.
    """
    if bundle.takes_sequences:
        if bundle.channels != SEQUENCE_NAMES:
            raise InputError(
                "E_BUNDLE", bundle.folder,
                f"it takes several MR channels ({', '.join(bundle.channels)}), of which medvol "
                f"reads no others than {', '.join(SEQUENCE_NAMES)}.",
                "Run it with python -m monai.bundle run.",
            )  # fmt: skip
        image = read_image(path, "sequences", spacing_mm=spacing_mm)
    else:
        image = read_image(path, series=series)
    if bundle.modality == "CT":
        check_ct(image.array, path, modality=image.facts.get("Modality"))
    if strict and image.notes:
        raise note_refused(path, image.notes[0])
    return image


def note_refused(path: str | os.PathLike[str], note: object) -> InputError:
    """What `--strict` says of an image that is used with a note otherwise."""
    return InputError(
        "E_VALUES", path, f"it would be used with a note, {note}",
        "Mend the image, or leave out --strict.",
    )  # fmt: skip
