# SPDX-License-Identifier: Apache-2.0
"""What was drawn: the figures behind the pictures, and the texts on pages."""

from typing import Any, NamedTuple

import pytest
from matplotlib.figure import Figure

from medvol.report import figure
from medvol.report.canvas import Canvas
from medvol.report.letters import drawable


class Written(NamedTuple):
    """A text on a page, as it can be drawn, and where it is."""

    text: str
    x: float
    y: float


class Drawn(list[Figure]):
    """Figures in the order in which they were written, and what was written on the last page."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Written] = []

    @property
    def texts(self) -> list[str]:
        """Every text of the last page that is not empty."""
        return [x.text for x in self.written if x.text]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    kept, real, begin, write = Drawn(), figure.FigureCanvasAgg, Canvas.__init__, Canvas.text

    def begun(canvas: Canvas, width: int, height: int) -> None:
        kept.written.clear()
        begin(canvas, width, height)

    def written(canvas: Canvas, x: float, y: float, text: str, **style: Any) -> None:
        kept.written.append(Written(drawable(text), x, y))
        write(canvas, x, y, text, **style)

    monkeypatch.setattr(figure, "FigureCanvasAgg", lambda made: kept.append(made) or real(made))
    monkeypatch.setattr(Canvas, "__init__", begun)
    monkeypatch.setattr(Canvas, "text", written)
    return kept
