# SPDX-License-Identifier: Apache-2.0
"""What a training gave, as the two pages of the bundle that it ends with: for people, for GitHub.

Neither shows an image of a case, for a bundle is given away.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..files import write_text
from ..metrics.classes.confusion import confusion_rates
from ..text import NOTICE, decimals
from .html import page_environment

HEADLINES = ("accuracy", "AUC", "Dice")  # how figures begin that stand at the top
MOST_HEADLINES = 3
PLACES = 3  # decimals of a figure


@dataclass(frozen=True)
class Confusion:
    """Images of each true class (row) that were taken for each class (column).

    Args:
        names: of the classes.
        matrix: counts, as many rows and columns.
    """

    names: Sequence[str]
    matrix: Sequence[Sequence[int]]

    @property
    def rates(self) -> list[list[float]]:
        """Share of the images of the true class, 0 to 1; NaN for a class without images."""
        rates: list[list[float]] = confusion_rates(np.asarray(self.matrix)).tolist()
        return rates


@dataclass(frozen=True)
class TrainingPage:
    """What the pages say.

    Args:
        name: of the bundle.
        base: name of the bundle that it was made from.
        channels: value of the network's output to what it means.
        data: facts of the data, name to text.
        counts: table of the data, its heads first.
        figures: what was measured on to name and value of each figure.
        confusion: what was measured on to its matrix.
        settings: id to value, of what the user set.
        remarks: what a reader must know before the figures, one sentence each.
        example: input of `medvol predict` in an example.
    """

    name: str
    base: str
    channels: Mapping[str, str]
    data: Mapping[str, str]
    counts: Sequence[Sequence[str]]
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    confusion: Mapping[str, Confusion] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    example: str = "scan.nii.gz"

    @property
    def headlines(self) -> dict[str, str]:
        """The figures at the top, of what was measured last: the test part where there is one."""
        own = next(reversed([*self.figures.values()]), {})
        chosen = [name for name in own if name.startswith(HEADLINES)]
        return {name: figure_text(own[name]) for name in chosen[:MOST_HEADLINES]}

    @property
    def rows(self) -> list[list[str]]:
        """Name of each figure, and its value on all that was measured; "" where it is not known."""
        names = dict.fromkeys(name for own in self.figures.values() for name in own)
        return [
            [
                name,
                *(figure_text(own[name]) if name in own else "" for own in self.figures.values()),
            ]
            for name in names
        ]


def figure_text(value: float) -> str:
    """A figure as it is written: counts as whole numbers.

    Args:
        value: a share from 0 to 1, a count, a loss, or NaN.

    Example:
        >>> figure_text(0.91236), figure_text(24), figure_text(float("nan"))
        ('0.912', '24', 'not defined')
    """
    return str(value) if isinstance(value, int) else decimals(value, PLACES, missing="not defined")


def write_training_page(
    path: str | os.PathLike[str], page: TrainingPage, curves: Path | None = None
) -> None:
    """Write the page for people, whole or not at all; it holds all that it shows.

    Args:
        path: of the HTML.
        page: what it says.
        curves: PNG of losses, figures and rates over the epochs; None for none.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    template = page_environment().get_template("training.html.j2")
    values = {"title": page.name, "kind": "medvol training", "page": page, "curves": curves}
    write_text(path, template.render(values))


def training_readme(page: TrainingPage, *, curves: str = "") -> str:
    """The same as Markdown, for the bundle's `docs/README.md`.

    Args:
        page: what it says.
        curves: name of the picture of the curves beside it; "" for none.
    """
    blocks = [
        f"# {page.name}",
        f"Made from `{page.base}` and trained on other data. **{NOTICE}**",
        _table([("value", "meaning"), *page.channels.items()]),
        "## How to run",
        f"```bash\nmedvol predict {page.example} --bundle {page.name} --output results\n```",
        "## Data and training",
        _table([("", ""), *page.data.items()]),
        _table(page.counts),
    ]
    if page.settings:
        blocks += ["Settings that differ from the other bundle:"]
        blocks += [_table([("setting", "value"), *page.settings.items()])]
    if curves:
        blocks += [f"![Loss, figures and learning rate by epoch]({curves})"]
    blocks += ["## Figures", *page.remarks]
    if page.figures:
        blocks += ["Measured by `medvol train` on cases that it did not train on."]
        blocks += [_table([("", *page.figures), *page.rows])]
    return "\n\n".join(blocks) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(cells[0]), *lines[1:]])
