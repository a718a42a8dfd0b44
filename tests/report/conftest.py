# SPDX-License-Identifier: Apache-2.0
"""What was drawn: the figures behind the pictures."""

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from medvol.report import figure


class Drawn(list[Figure]):
    """Figures in the order in which they were written."""

    @property
    def texts(self) -> list[str]:
        """Every text of the last one that is not empty."""
        return [t.get_text() for t in self[-1].findobj(Text) if t.get_text()]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    kept, real = Drawn(), figure.FigureCanvasAgg
    monkeypatch.setattr(figure, "FigureCanvasAgg", lambda made: kept.append(made) or real(made))
    return kept
