# SPDX-License-Identifier: Apache-2.0
"""The picture of calibration: what is on the diagonal, and what is not."""

from pathlib import Path

import matplotlib.figure
import pytest
from matplotlib import image as pictures

from medvol.metrics.classes.calibration import Bin
from medvol.report.reliability import draw_reliability


def test_each_group_is_a_curve_with_a_dot_a_bin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[matplotlib.figure.Figure] = []
    real = matplotlib.figure.Figure.subplots
    monkeypatch.setattr(
        "matplotlib.figure.Figure.subplots",
        lambda self, *a, **k: drawn.append(self) or real(self, *a, **k),
    )
    groups = {
        "held-out": [Bin(30, 0.1, 0.2), Bin(10, 0.9, 1.0)],
        "true HU": [Bin(5, 0.5, 0.4)],
    }
    draw_reliability(tmp_path / "r.png", groups, title="a bundle")
    (axes,) = drawn[0].axes
    diagonal, *curves = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert [c.get_xydata().tolist() for c in curves] == [[[0.1, 0.2], [0.9, 1.0]], [[0.5, 0.4]]]
    assert [c.get_label() for c in curves] == ["held-out (40 slices)", "true HU (5 slices)"]
    sizes = axes.collections[0].get_sizes().tolist()
    assert sizes[0] == 3 * sizes[1]
    assert pictures.imread(tmp_path / "r.png").shape[0] > 300


def test_words_are_those_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[matplotlib.figure.Figure] = []
    real = matplotlib.figure.Figure.subplots
    monkeypatch.setattr(
        "matplotlib.figure.Figure.subplots",
        lambda self, *a, **k: drawn.append(self) or real(self, *a, **k),
    )
    groups = {"as given": [Bin(3, 0.9, 1.0)]}
    draw_reliability(tmp_path / "r.png", groups, cases="images", share="share that is right")
    (axes,) = drawn[0].axes
    assert axes.lines[1].get_label() == "as given (3 images)"
    assert axes.get_ylabel() == "share that is right"
