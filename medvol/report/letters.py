# SPDX-License-Identifier: Apache-2.0
"""Fonts for texts in any script, and a box for every letter that none of them has."""

from functools import lru_cache

from matplotlib import font_manager

MISSING = "□"
FAMILY = "DejaVu Sans"  # ships with matplotlib
HELPERS = (  # common families with East Asian letters, used when installed
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
)


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Font families to give to matplotlib; the first that has a letter draws it."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FAMILY, *(name for name in HELPERS if name in installed))


def drawable(text: str) -> str:
    """The text on one line, with a box in place of every letter that no font here has.

    Example:
        >>> drawable("lung\\n\\ue000")
        'lung □'
    """
    line = " ".join(text.split())
    return "".join(c if ord(c) in _letters() else MISSING for c in line)


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    letters: set[int] = set()
    for family in families():
        font = font_manager.get_font(font_manager.findfont(family))
        letters.update(font.get_charmap())
    return frozenset(letters)
