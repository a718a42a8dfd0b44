# SPDX-License-Identifier: Apache-2.0
"""`overlay.png`, `preview.png` and `slices.png`: an image with what was found in it."""

from pathlib import Path
from typing import TYPE_CHECKING

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
    answer, classes = saving.answer, saving.classes
    method, heat = saving.attention.method, saving.attention.heat
    caption = Caption(
        title=f"{answer.case}: {classes}",
        subtitle=f"What speaks for {classes.name}, by {METHODS[method]}",
        scale=SCALES[method],
        nothing=f"Nothing in the picture speaks for {classes.name}.",
    )
    draw_attention(path, answer.image.array, heat, caption=caption)


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
