# SPDX-License-Identifier: Apache-2.0
"""`overlay.png`, `preview.png` and `slices.png`: an image with what was found in it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engine.attention import METHODS
from ..report.overlay import Look, draw_overlay
from ..report.preview import draw_preview
from ..report.radiographs import Caption, draw_attention
from ..report.slice_profile import draw_slice_profile

if TYPE_CHECKING:
    from .save import Saving

SCALES = {"grad-cam": "share of the highest weight", "occlusion": "fall of the probability"}


def write_overlay(path: Path, saving: "Saving") -> None:
    """Draw the slices with most lesion; see `draw_overlay` for what it raises."""
    answer = saving.answer
    draw_overlay(
        path, answer.image, mask=saving.mask, table=answer.spec.labels, look=look_of(saving)
    )


def write_preview(path: Path, saving: "Saving") -> None:
    """Draw the mask in 3D; see `draw_preview` for what it raises."""
    answer, spec = saving.answer, saving.answer.spec
    draw_preview(
        path, answer.image, saving.mask, table=spec.labels, look=look_of(saving),
        organ=answer.reference,
    )  # fmt: skip


def write_profile(path: Path, saving: "Saving") -> None:
    """Draw the probability along z; see `draw_slice_profile` for what it raises."""
    answer, slices = saving.answer, saving.slices
    draw_slice_profile(
        path, answer.image, probability=slices.probability, threshold=slices.threshold,
        look=look_of(saving), mask=answer.mask,
    )  # fmt: skip


def write_attention(path: Path, saving: "Saving") -> None:
    """Draw the radiograph under its map; see `draw_attention` for what it raises."""
    answer = saving.answer
    draw_attention(path, answer.image.array, saving.attention.heat, caption=_caption(saving))


def write_attention_summary(path: Path, saving: "Saving") -> None:
    """Draw the same with the probability of every class, also without a map.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    answer, classes = saving.answer, saving.classes
    shares = zip(classes.names, classes.probability, strict=True)
    every = ", ".join(f"{name} {probability:.2f}" for name, probability in shares)
    caption, heat = Caption(f"{answer.case}: {every}", "", "", "No map was made."), None
    if classes.attention is not None:
        caption, heat = _caption(saving)._replace(title=caption.title), classes.attention.heat
    pixels = answer.image.array
    heat = np.zeros(pixels.shape, np.float32) if heat is None else heat
    draw_attention(path, pixels, heat, caption=caption)


def _caption(saving: "Saving") -> Caption:
    """The words of a map."""
    classes, method = saving.classes, saving.attention.method
    return Caption(
        title=f"{saving.answer.case}: {classes}",
        subtitle=f"What speaks for {classes.name}, by {METHODS[method]}",
        scale=SCALES[method],
        nothing=f"Nothing in the picture speaks for {classes.name}.",
    )


def look_of(saving: "Saving", *, title: str = "") -> Look:
    """What a picture or scene of an answer shows, and how.

    Args:
        saving: the answer.
        title: of the picture; empty takes the case.
    """
    spec = saving.answer.spec
    return Look(window_hu=saving.window, focus_values=spec.focus, focus_name=spec.focus_name,
                title=title or saving.answer.case, values=spec.values,
                part_shown=saving.answer.part_shown, second=spec.second_window)  # fmt: skip
