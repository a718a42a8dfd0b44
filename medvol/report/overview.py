# SPDX-License-Identifier: Apache-2.0
"""One picture of a data set: a column a case, an axial and a coronal slice, labels drawn over."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..files import replacing
from ..images import read_image
from ..images.modality import grey_window
from ..labels import LabelTable
from .views import lps_view

LUNG_WINDOW_HU = (-1350.0, 150.0)  # level -600, width 1500
COLUMN_INCHES, AXIAL_INCHES, CORONAL_INCHES = 2.6, 2.4, 2.6
BACKGROUND, TEXT = "#0c0e11", "#eceff3"
TINT = 0.45  # share of the label's colour over the CT


class Slices(NamedTuple):
    """RGB pictures (rows, columns, 3), 0 to 1, and their height over width of a pixel."""

    axial: npt.NDArray[np.float32]
    coronal: npt.NDArray[np.float32]
    axial_aspect: float
    coronal_aspect: float


def draw_overview(
    items: Sequence[Mapping[str, Any]], table: LabelTable, path: Path, *, focus: Sequence[int]
) -> None:
    """Draw the axial and the coronal slice with most of the focus labels of every case.

    Seen as radiologists do: the patient's right on the left, front or head on top.

    Args:
        items: rows of a datalist with `image`, `label` (paths that can be opened) and `case`.
        table: names and colours of the labels.
        path: of the PNG; appears whole or not at all.
        focus: label values that choose the slices; without any of them in a case all labels do.

    Raises:
        InputError: an image or label cannot be read, or the picture not be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    size = (max(COLUMN_INCHES * len(items), 6.0), AXIAL_INCHES + CORONAL_INCHES + 0.4)
    figure = Figure(figsize=size, dpi=110, facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots(2, len(items), squeeze=False)
    for column, item in enumerate(items):
        drawn = case_slices(item, table, focus)
        axes[0, column].imshow(drawn.axial, aspect=drawn.axial_aspect)
        axes[1, column].imshow(drawn.coronal, aspect=drawn.coronal_aspect)
        axes[0, column].set_title(str(item["case"]), color=TEXT)
    for panel in axes.flat:
        panel.set_axis_off()
    patches = [Patch(color=np.array(x.color) / 255, label=x.name) for x in table]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches),
                  labelcolor=TEXT, frameon=False)  # fmt: skip
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def draw_slices(
    items: Sequence[Mapping[str, Any]],
    table: LabelTable,
    path: Path,
    *,
    columns: int = 14,
    modality: str = "CT",
) -> None:
    """Draw one axial slice of many cases in a grid, labels drawn over.

    Args:
        items: see `draw_overview`.
        table: names and colours of the labels; the slice with most of them is shown.
        path: of the PNG; appears whole or not at all.
        columns: cases in a row.
        modality: "MR" reads patients' sequences and shows FLAIR.

    Raises:
        InputError: an image or label cannot be read, or the picture not be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(items) // columns)
    figure = Figure(
        figsize=(1.4 * columns, 1.4 * rows), dpi=100, facecolor=BACKGROUND, layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, item in zip(axes.flat, items, strict=False):
        drawn = case_slices(item, table, [label.value for label in table], modality=modality)
        panel.imshow(drawn.axial, aspect=drawn.axial_aspect)
        panel.set_title(str(item["case"]), color=TEXT, fontsize=7)
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def case_slices(
    item: Mapping[str, Any], table: LabelTable, focus: Sequence[int], *, modality: str = "CT"
) -> Slices:
    """Read one case and colour the two slices that hold most of the focus labels."""
    image = read_image(item["image"], "sequences" if modality == "MR" else "volume")
    labels = read_image(item["label"], kind="mask")
    window = grey_window(image.array) if modality == "MR" else LUNG_WINDOW_HU
    view = lps_view(image.array.shape, image.affine)
    volume, mask = view.of(image.array), view.of(labels.array)
    marked = np.isin(mask, focus)
    if not marked.any():
        marked = mask > 0
    top = int(marked.sum(axis=(0, 1)).argmax())
    front = int(marked.sum(axis=(0, 2)).argmax())
    right, back, up = view.spacing_mm
    return Slices(
        colored(volume[:, :, top].T, mask[:, :, top].T, table, window),
        colored(volume[:, front, ::-1].T, mask[:, front, ::-1].T, table, window),
        axial_aspect=back / right,
        coronal_aspect=up / right,
    )


def colored(
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    table: LabelTable,
    window: tuple[float, float] = LUNG_WINDOW_HU,
) -> npt.NDArray[np.float32]:
    """Grey picture with each label's colour mixed in.

    Args:
        image: (rows, columns), in HU for CT.
        labels: (rows, columns).
        table: colours.
        window: values that are black and white.

    Returns:
        (rows, columns, 3), 0 to 1.
    """
    low, high = window
    grey = np.clip((image.astype(np.float32) - low) / (high - low), 0, 1)
    picture = np.repeat(grey[..., None], 3, axis=-1)
    for label in table:
        color = np.array(label.color, dtype=np.float32) / 255
        here = labels == label.value
        picture[here] = (1 - TINT) * picture[here] + TINT * color
    return picture.astype(np.float32, copy=False)
