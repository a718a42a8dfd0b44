# SPDX-License-Identifier: Apache-2.0
"""Text on pictures in any script: installed fonts that help, and a box for what none can draw."""

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
    """Font families to give to matplotlib, the first that has a letter draws it."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FAMILY, *(name for name in HELPERS if name in installed))


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    letters: set[int] = set()
    for family in families():
        font = font_manager.get_font(font_manager.findfont(family))
        letters.update(font.get_charmap())
    return frozenset(letters)


def drawable(text: str) -> str:
    """The text on one line, with a box in place of every letter that no font here has.

    Example:
        >>> drawable("lung\\n\\ue000")
        'lung □'
    """
    line = " ".join(text.split())
    return "".join(c if ord(c) in _letters() else MISSING for c in line)
