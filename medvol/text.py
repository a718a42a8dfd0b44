# SPDX-License-Identifier: Apache-2.0
"""Numbers, tables and the notice as a reader wants to see them."""

import math
import re
from collections.abc import Collection, Sequence

NOTICE = "Research use only. Not a medical device."
SIGNIFICANT_DIGITS = 6  # in files for programs: a voxel of a micro-CT is 1e-9 ml
NONE = "–"
_SIZE = re.compile(r"(\d+\.?\d*) ?([kmgt]?)(b|ib|)", re.IGNORECASE)


def digits(number: float | None) -> str:
    """A number for a table that programs read: six significant digits, in the unit it has,
    empty when there is none.

    Example:
        >>> digits(33.33333333), digits(1e-9), digits(None)
        ('33.3333', '1e-09', '')
    """
    return "" if number is None else f"{number:.{SIGNIFICANT_DIGITS}g}"


def figure_text(number: float) -> str:
    """A figure of any unit with three significant digits, of large ones all before the point.

    Example:
        >>> [figure_text(x) for x in (0.12345, 4271.4, -3.0)]
        ['0.123', '4,271', '−3']
    """
    return minus(f"{number:.3g}" if abs(number) < 1000 else f"{number:,.0f}")


def ml_text(volume_ml: float) -> str:
    """Millilitres with as many decimals as help a reader; a dash for NaN.

    Example:
        >>> [ml_text(ml) for ml in (1234.4, 56.71, 0.426, 0.004, 0.0)]
        ['1,234', '56.7', '0.43', '< 0.01', '0.00']
    """
    if math.isnan(volume_ml):
        return NONE
    if 0 < volume_ml < 0.01:
        return "< 0.01"
    decimals = 0 if volume_ml >= 1000 else 1 if volume_ml >= 10 else 2
    return f"{volume_ml:,.{decimals}f}"


def signed_ml_text(volume_ml: float) -> str:
    """Millilitres with a sign; a dash where they are not defined.

    Example:
        >>> [signed_ml_text(ml) for ml in (117.2, -0.43, 0.0)]
        ['+117.2', '−0.43', '0.00']
    """
    sign = "+" if volume_ml > 0 else "−" if volume_ml < 0 else ""
    return sign + ml_text(abs(volume_ml))


def decimals(number: float, places: int, *, unit: str = "", missing: str = NONE) -> str:
    """A number with so many decimals.

    Args:
        number: of any unit, or NaN.
        places: decimals, 0 or more.
        unit: written behind the number.
        missing: what is written for NaN.

    Example:
        >>> decimals(0.726, 2), decimals(75.0, 0, unit=" %"), decimals(float("nan"), 1)
        ('0.73', '75 %', '–')
    """
    return missing if math.isnan(number) else f"{number:.{places}f}{unit}"


def hu_text(value_hu: float | None) -> str:
    """Whole HU with a true minus sign; a dash when there is none.

    Example:
        >>> hu_text(-569.6), hu_text(None)
        ('−570', '–')
    """
    return NONE if value_hu is None else minus(f"{round(value_hu):d}")


def percent_text(percent: float | None) -> str:
    """Percent with one decimal, "< 0.1" for a trace; a dash when there is none.

    Example:
        >>> percent_text(12.37), percent_text(0.04), percent_text(None)
        ('12.4', '< 0.1', '–')
    """
    if percent is None:
        return NONE
    return "< 0.1" if 0 < percent < 0.1 else f"{percent:.1f}"


def bytes_of(text: str) -> int:
    """A size in bytes, as people write it.

    Args:
        text: a number, and perhaps kB, MB, GB, TB (thousands) or KiB, MiB, GiB, TiB (of 1,024 each)
            after it, in any case; K, M, G and T alone count by 1,024.

    Raises:
        ValueError: it is something else, or not above 0.

    Example:
        >>> [bytes_of(text) for text in ("4GiB", "1.5 gb", "512M", "1000")]
        [4294967296, 1500000000, 536870912, 1000]
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0
    if found:
        number, letter, kind = found[1], found[2].upper(), found[3].lower()
        step = 1000 if kind == "b" and letter else 1024
        size = int(float(number) * step ** " KMGT".index(letter or " "))
    if size < 1:
        raise ValueError(f"{text!r} is not a size; give one such as 4GiB or 500MB")
    return size


def counted(number: int, what: str) -> str:
    """How many in words.

    Example:
        >>> counted(1, "case"), counted(3, "case")
        ('1 case', '3 cases')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def pace_text(number: int, seconds: float, *, unit: str = "image") -> str:
    """How long a number of things took, and how fast they went: the quick by the second, the slow
    by the thing.

    Args:
        number: of things, above 0.
        seconds: that they took together, above 0.
        unit: what a thing is called.

    Example:
        >>> pace_text(50, 4.0), pace_text(2, 5.0, unit="case")
        ('4.0 s, 12.5 images/s', '5.0 s, 2.5 s a case')
    """
    pace = f"{number / seconds:.1f} {unit}s/s"
    if number < seconds:
        article = "an" if unit[0] in "aeiou" else "a"
        pace = f"{seconds / number:.1f} s {article} {unit}"
    return f"{seconds:.1f} s, {pace}"


def minus(text: str) -> str:
    """The text with true minus signs in place of hyphens; only for texts of numbers."""
    return text.replace("-", "−")


def aligned(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Rows of text as lines with columns below each other.

    Args:
        rows: texts, as many in each row.
        right: columns that end, rather than begin, below each other.

    Example:
        >>> print(aligned([("fold", "cases"), ("0", "12"), ("all", "120")], right=[1]))
        fold  cases
        0        12
        all     120
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
