# SPDX-License-Identifier: Apache-2.0
"""`thumbnail.jpg`: an answer as a small picture, for tables of many cases.

Short, since the drawing is `report.thumbnail`'s.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer
from ..files import replacing
from ..report.thumbnail import Marks, small_radiograph, small_slice
from .save import display_window

if TYPE_CHECKING:
    from .save import Saving


def write(path: Path, saving: "Saving") -> None:
    """Write the picture, whole or not at all.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(thumbnail_of(saving.answer))


def thumbnail_of(answer: Answer) -> bytes:
    """The picture as a JPEG: of a volume the axial slice with most of what is looked for."""
    image, spec = answer.image, answer.spec
    if image.array.ndim == 2:
        heat = answer.classes.attention if answer.classes else None
        return small_radiograph(image.array, heat.heat if heat else None)
    focus = spec.focus or tuple(label.value for label in spec.labels)
    marks = Marks(answer.mask, spec.labels, focus) if answer.mask is not None else None
    likely = answer.slices.probability if answer.slices is not None else None
    return small_slice(image, display_window(spec, image), marks=marks, likely=likely)
