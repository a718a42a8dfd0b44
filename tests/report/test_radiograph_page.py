# SPDX-License-Identifier: Apache-2.0
"""The page of a classified radiograph: its parts, its words, and nothing that loads or leaks."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from medvol.errors import InputError
from medvol.report.radiograph_page import (
    RadiographPage,
    render_radiograph_page,
    write_radiograph_page,
)

PAGE = RadiographPage(
    case="a/chest <1>",
    probability={"normal": 0.125, "pneumonia": 0.875},
    picture=b"\x89PNG",
    reading="The colours are by Grad-CAM.",
    notes=["N_EXIF it was turned upright as its file asks."],
    facts={"File": "chest <1>.png", "Rows × columns": "90 × 60"},
    bundle={"Bundle": "chest_xray_pneumonia", "Weights SHA-256": "0123abcd"},
    settings={"Device": "cpu"},
    intended_use="Frontal chest radiographs of children.",
)
USE = "Research use only. Not a medical device."


def test_the_parts_of_the_page() -> None:
    page = render_radiograph_page(PAGE)
    assert "<strong>Pneumonia</strong>" in page
    assert "probability <strong>0.88</strong>" in page
    assert page.count(USE) == 2
    for words in ("a/chest &lt;1&gt;", "chest &lt;1&gt;.png", "90 × 60", "0123abcd", "cpu",
                  "N_EXIF it was turned", "by Grad-CAM", "radiographs of children",
                  "data:image/png;base64,iVBORw=="):  # fmt: skip
        assert words in page, words
    assert "<1>" not in page


def test_bars_are_as_long_as_the_probabilities() -> None:
    page = render_radiograph_page(PAGE)
    rows = re.findall(r'<th scope="row">(\w+)</th>.*?>([\d.]+)</td>.*?width: ([\d.]+)%', page, re.S)
    assert rows == [("normal", "0.1250", "12.5"), ("pneumonia", "0.8750", "87.5")]


def test_of_equal_classes_the_first_is_the_answer() -> None:
    assert replace(PAGE, probability={"b": 0.5, "a": 0.5}).answer == "b"


def test_parts_that_are_empty_are_left_out() -> None:
    page = render_radiograph_page(
        RadiographPage(case="x", probability={"a": 1.0, "b": 0.0}, picture=b"")
    )
    for title in ("Notes", "Input", "Settings", "Intended use"):
        assert f"<h2>{title}</h2>" not in page
    assert "<h2>Probabilities</h2>" in page


def test_the_page_loads_nothing() -> None:
    page = render_radiograph_page(PAGE)
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|<script|<link", page)


def test_writing(tmp_path: Path) -> None:
    write_radiograph_page(tmp_path / "out" / "report.html", PAGE)
    assert (tmp_path / "out" / "report.html").read_text("utf-8") == render_radiograph_page(PAGE)
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        write_radiograph_page(tmp_path / "file" / "report.html", PAGE)
    assert caught.value.code == "E_NOSPACE"
