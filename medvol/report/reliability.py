# SPDX-License-Identifier: Apache-2.0
"""The picture of calibration: how often a finding is there, against the probability given."""

import os
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..files import replacing
from ..metrics.classes.calibration import Bin

DOT = 300.0  # square points of a dot that stands for every case


def draw_reliability(
    path: str | os.PathLike[str],
    groups: Mapping[str, Sequence[Bin]],
    *,
    title: str = "",
    cases: str = "slices",
    share: str = "share with a finding",
) -> None:
    """Draw share of positives over mean probability, bin by bin; the diagonal is perfect.

    The area of a dot tells how many cases its bin has.

    Args:
        path: of the PNG; appears whole or not at all.
        groups: name of a data set to its bins, see `metrics.classes.calibration.reliability`.
        title: of the picture.
        cases: what is counted, in the plural.
        share: what the height is.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(5, 5), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    for index, (name, bins) in enumerate(groups.items()):
        color = f"C{index}"
        x, y = [b.probability for b in bins], [b.positive_share for b in bins]
        number = sum(b.cases for b in bins)
        axes.plot(x, y, color=color, linewidth=1, label=f"{name} ({number} {cases})")
        axes.scatter(x, y, s=[DOT * b.cases / number for b in bins], color=color, alpha=0.6)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), title=title, aspect="equal",
             xlabel="probability given", ylabel=share)  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))
