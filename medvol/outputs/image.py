# SPDX-License-Identifier: Apache-2.0
"""`image.nii.gz`: the volume that an answer is to, for a viewer that does not read its format."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..images.writing import write_volume

if TYPE_CHECKING:
    from .save import Saving


def write(path: Path, saving: "Saving") -> None:
    """Write the image of an answer; see `write_volume` for what it raises."""
    image = saving.answer.image
    write_volume(path, image.array, image.affine)
