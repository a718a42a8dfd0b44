# SPDX-License-Identifier: Apache-2.0
"""Opening images of any known format: `read_image` is the one way in."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .image import Image, Kind


def read_image(
    path: str | os.PathLike[str],
    kind: "Kind" = "volume",
    *,
    series: str | None = None,
    spacing_mm: Sequence[float] | None = None,
) -> "Image":
    """Read and check one image; loads no torch, so that a refusal is quick and small.

    Args:
        path: a file, a folder of DICOM slices, a .zip of one, or a patient's folder.
        kind: "volume", 3 axes, HU for CT; "mask", a volume of whole numbers, one value everywhere
            allowed, or a picture of one slice, (columns, rows, 1) of 0 and 1; "sequences", one
            patient's MR sequences as channels; "radiograph", 2 axes, grey in [0, 1].
        series: SeriesInstanceUID, where a folder of volumes or masks holds several.
        spacing_mm: of slice pictures of sequences: columns, rows and slices; None assumes one, with
            a note.

    Returns:
        The voxels or pixels in the file's own order, with their place and what was noticed.

    Raises:
        InputError: it cannot be used; the code says why.
        ValueError: another kind, or an argument that means nothing for it.
    """
    from .image import check_kind

    check_kind(kind)
    if series is not None and kind not in ("volume", "mask"):
        raise ValueError(f"series is given for kind {kind!r}; only volumes and masks have one")
    if spacing_mm is not None and kind != "sequences":
        raise ValueError(f"spacing_mm is given for kind {kind!r}; it is for pictures of sequences")
    if kind == "sequences":
        from .sequences import load_sequences

        return load_sequences(path, spacing_mm=spacing_mm)
    if kind == "mask":
        from .mask_picture import open_mask

        return open_mask(path, series=series)
    from .formats import open_radiograph, open_volume

    if kind == "radiograph":
        return open_radiograph(path)
    return open_volume(path, series=series)
