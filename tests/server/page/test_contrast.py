# SPDX-License-Identifier: Apache-2.0
"""Colours of the page, in both themes, by the contrast that WCAG 2.2 AA asks for."""

import re

import pytest

from medvol.server.page.files import STATIC

TEXT, EDGE = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
PAIRS = [
    ("text", "ground", TEXT), ("text", "raised", TEXT), ("quiet", "ground", TEXT),
    ("quiet", "raised", TEXT), ("accent", "ground", TEXT), ("accent", "raised", TEXT),
    ("on-accent", "accent", TEXT), ("danger", "ground", TEXT), ("warn-text", "warn-ground", TEXT),
    ("text", "bad-ground", TEXT), ("line", "ground", EDGE), ("line", "raised", EDGE),
    ("danger", "bad-ground", EDGE),
]  # fmt: skip
BASE = (STATIC / "css" / "base.css").read_text(encoding="utf-8")
THEMES = [
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.+?)\}", BASE, flags=re.S)
]


def luminance(color: str) -> float:
    """Relative luminance of a colour such as "#0b5a73", by WCAG 2.2."""
    shares = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_colours_can_be_told_apart(
    theme: dict[str, str], front: str, back: str, least: float
) -> None:
    assert contrast(theme[front], theme[back]) >= least


def test_no_colour_stands_elsewhere() -> None:
    assert len(THEMES) == 2
    assert set(THEMES[0]) == set(THEMES[1])
    for path in (STATIC / "css").glob("*.css"):
        text = re.sub(r":root \{.+?\}", "", path.read_text(encoding="utf-8"), flags=re.S)
        assert set(re.findall(r"#[0-9a-f]{3,8}\b", text)) <= {"#000"}  # behind the viewer
