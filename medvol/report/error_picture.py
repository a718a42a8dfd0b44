# SPDX-License-Identifier: Apache-2.0
"""The picture of a case's errors: a column a slice; truth, prediction, both together, missed."""

import os
from dataclasses import replace

from ..images.image import Image
from ..labels import LabelTable
from ..metrics.masks.comparison import CORRECT, ERRORS, FALSE, MISSED, error_map
from ..metrics.measurements import Counts, Mask, count_voxels, voxels_per_slice
from ..spatial import voxel_volume_ml
from ..text import ml_text
from .figure import GAP, GUTTER, LINE, LegendLine, Page
from .overlay import Look, window_text
from .planes import FEET_HEAD, RADIOLOGICAL, Paint, body_cutter, draw_plane
from .views import choose_slices

COLUMNS = 5
FEW_SLICES = 2  # as many are a row each, or their panels would be tiny
MOST_LABELS = 9  # in the legend
LEGEND_COLUMNS = 3
ERROR_ALPHA = 0.55
HATCHES = {MISSED: "....", FALSE: "////"}  # so that a print in grey can be read too
CM2_PER_MM2 = 0.01


def draw_errors(
    path: str | os.PathLike[str],
    image: Image,
    true: Mask,
    predicted: Mask,
    *,
    table: LabelTable,
    look: Look,
) -> None:
    """Draw where a region was missed and falsely marked into a PNG 1600 pixels wide.

    Five axial slices, from head to feet: the one with most of the true region, and those with most
    error; of one or two slices, a row a slice. Seen as radiologists do, as in
    `overlay.draw_overlay`. Missed is magenta and dotted, false
    blue and hatched, correct pale green: no colours of lesions. Amounts are volumes of the whole
    case.

    Args:
        path: of the PNG; appears whole or not at all.
        image: on whose grid the masks lie.
        true: (X, Y, Z) integers, 0 for background.
        predicted: (X, Y, Z), the same of the prediction.
        table: names and colours.
        look: window, title, and the region: its labels are `focus_values`.

    Raises:
        ValueError: shapes differ.
        InputError: E_NOSPACE, the file cannot be written.
    """
    if not true.shape == predicted.shape == image.array.shape:
        raise ValueError(
            f"the masks have shapes {true.shape} and {predicted.shape}, the image "
            f"{image.array.shape}; give masks on the image's grid"
        )
    focus = look.focus_values or tuple(label.value for label in table)
    errors = error_map(predicted, true, focus)
    cutter = body_cutter(image, errors, values=(MISSED, FALSE, CORRECT), window_hu=look.window_hu)
    view = cutter.view
    wrong = view.along(voxels_per_slice(errors, (MISSED, FALSE)))[FEET_HEAD]
    lesion = view.along(voxels_per_slice(true, focus))[FEET_HEAD]
    chosen = pick_slices(wrong, lesion, COLUMNS)

    own = Paint({value: table[value].color for value in focus}, focus)
    colors = {kind.value: kind.color for kind in ERRORS}
    three = Paint(colors, tuple(colors), ERROR_ALPHA, HATCHES)
    missed = three._replace(colors={MISSED: ERRORS[MISSED].color})
    views = {
        "truth": (replace(cutter, labels=view.of(true)), own),
        "prediction": (replace(cutter, labels=view.of(predicted)), own),
        "both": (cutter, three),
        "missed": (cutter, missed),
    }
    legends = _legends(errors, table, focus, one_ml=voxel_volume_ml(image.affine))
    lines = sum(max(1, -(-len(entries) // LEGEND_COLUMNS)) for entries in legends.values())
    few = len(chosen) <= FEW_SLICES
    rows, columns = (len(chosen), len(views)) if few else (len(views), COLUMNS)
    height = cutter.plane(FEET_HEAD, chosen[0]).height
    page = Page([height] * rows, columns, left=GUTTER, below=GAP + lines * LINE)
    page.title(look.title, window_text(look, image.affine))
    for at_slice, k in enumerate(reversed(chosen)):
        for at_view, (title, (cuts, paint)) in enumerate(views.items()):
            row, column = (at_slice, at_view) if few else (at_view, at_slice)
            plane = cuts.plane(FEET_HEAD, k)
            if column == 0:
                page.row_title(row, "  ".join(plane.captions) if few else title)
            area = _area(title, plane.labels, plane.pixel_mm)
            if few:
                plane = plane._replace(captions=(title, area))
            elif row > 0:
                plane = plane._replace(captions=(area, ""))
            draw_plane(page.panel(row, column), plane, paint=paint, bar=row == column == 0)
    _, top, _, tall = page.place(-1, 0)
    at = top + tall + GAP
    for title, entries in legends.items():
        at = page.legend(entries, at, columns=LEGEND_COLUMNS, title=title)
    page.save(path, remark=RADIOLOGICAL)


def pick_slices(wrong: Counts, lesion: Counts, number: int) -> list[int]:
    """The slice with most of the true region, and those with most error that lie well apart.

    Args:
        wrong: voxels missed or false in each slice, (N,).
        lesion: voxels of the true region in each slice, (N,).
        number: how many slices are wanted.

    Returns:
        Ascending slice numbers, `number` of them or all N.

    Example:
        >>> import numpy as np
        >>> pick_slices(np.array([0, 5, 0, 0, 4, 0, 1]), np.array([0, 0, 9, 0, 0, 0, 0]), 3)
        [1, 2, 4]
    """
    if not wrong.any():
        return choose_slices(lesion, number)
    chosen, fullest = choose_slices(wrong, number), int(lesion.argmax())
    if lesion.any() and fullest not in chosen:
        chosen.remove(min(chosen, key=lambda k: wrong[k]))
        chosen = sorted([*chosen, fullest])
    return chosen


def _area(title: str, errors: Mask, pixel_mm: tuple[float, float]) -> str:
    """What was falsely marked in this slice, or missed; nothing in the views of masks."""
    if title not in ("both", "missed"):
        return ""
    value, name = (FALSE, "false") if title == "both" else (MISSED, "missed")
    area = int((errors == value).sum()) * pixel_mm[0] * pixel_mm[1] * CM2_PER_MM2
    return f"{name} {area:.1f} cm²" if area else ""


def _legends(
    errors: Mask, table: LabelTable, focus: tuple[int, ...], *, one_ml: float
) -> dict[str, list[LegendLine]]:
    """The three kinds of voxels with their volumes, and the region's own labels."""
    voxels = count_voxels(errors, top=CORRECT)
    kinds = [
        LegendLine(
            kind.color,
            kind.name,
            f"{ml_text(int(voxels[kind.value]) * one_ml)} ml",
            HATCHES.get(kind.value),
        )
        for kind in ERRORS
    ]
    labels = [LegendLine(table[v].color, table[v].name) for v in focus[:MOST_LABELS]]
    return {"both, missed": kinds, "truth, prediction": labels}
