# SPDX-License-Identifier: Apache-2.0
"""The picture of volumes: dots, lines and edges where they belong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from medvol.metrics.intervals import leave_out
from medvol.metrics.masks.volume_agreement import volume_agreement
from medvol.report import volume_plot
from medvol.report.volume_plot import draw_volumes

NAMES = ["a", "b", "c", "d", "e"]
LEFT_OUT = leave_out(NAMES)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would be saved."""
    kept: list[Figure] = []
    monkeypatch.setattr(volume_plot, "save_figure", lambda figure, _: kept.append(figure))
    return kept


def dots(axes: Any, number: int) -> list[list[float]]:
    return np.asarray(axes.collections[number].get_offsets()).tolist()


def test_ratios_are_logarithmic_and_empty_masks_lie_at_the_edges(drawn: list[Figure]) -> None:
    true, predicted = np.array([1, 100, 4, 0, 7.0]), np.array([4, 25, 4, 2, 0.0])
    draw_volumes(Path("x"), volume_agreement(true, predicted, LEFT_OUT), NAMES, region="lesion")
    (axes,) = drawn[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert dots(axes, 0) == [[2, 4], [50, 0.25], [4, 1]]
    ((missed_x, low),), ((false_x, high),) = dots(axes, 1), dots(axes, 2)
    assert (missed_x, false_x) == (7, 2)
    assert low < 0.25 < 4 < high
    assert axes.get_ylabel() == "predicted / true volume"


def test_differences_are_in_ml_with_bias_and_limits(drawn: list[Figure]) -> None:
    true = np.array([10, 20, 30, 40, 50.0])
    agreement = volume_agreement(true, true + np.array([1, 2, -3, 4, 6]), LEFT_OUT)
    draw_volumes(Path("x"), agreement, NAMES, region="lesion")
    (axes,) = drawn[0].axes
    assert (axes.get_xscale(), axes.get_ylabel()) == ("linear", "predicted less true, ml")
    assert dots(axes, 0)[2] == [28.5, -3]
    heights = {
        line.get_ydata()[0] for line in axes.lines if line.get_ydata()[0] == line.get_ydata()[1]
    }
    assert {0.0, agreement.bias.value, agreement.low.value, agreement.high.value} <= heights


def test_a_case_beyond_the_limits_is_named(drawn: list[Figure]) -> None:
    names = [f"case {n}" for n in range(12)]
    off = np.array([0.1, -0.1] * 5 + [0, 9.0])
    true = np.full(12, 20.0)
    agreement = volume_agreement(true, true + off, leave_out(names))
    draw_volumes(Path("x"), agreement, names, region="lesion")
    assert "case 11" in {text.get_text() for text in drawn[0].axes[0].texts}
    assert not {"case 0", "case 10"} & {text.get_text() for text in drawn[0].axes[0].texts}


def test_the_picture_is_a_file(tmp_path: Path) -> None:
    true = np.array([1, 100, 4, 0, 7.0])
    agreement = volume_agreement(true, true[::-1].copy(), LEFT_OUT)
    draw_volumes(tmp_path / "volumes.png", agreement, NAMES, region="Läsion")
    with Image.open(tmp_path / "volumes.png") as picture:
        assert picture.size == (900, 500)
