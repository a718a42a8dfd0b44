# SPDX-License-Identifier: Apache-2.0
"""The sliding window of MONAI by one that gives the same scores, and gives them plane by plane."""

from collections.abc import Sequence
from typing import Any

from monai.inferers import SlidingWindowInferer

from ...inferers.gated import GatedInferer
from ...inferers.precision import PrecisionInferer
from ...inferers.sliding_window import FastSlidingWindowInferer
from ...kinds import is_of
from .rule import Equal, Rule, Substitution, substitute


def sliding_window_inferer(steps: Sequence[Any]) -> Equal | None:
    """The rule for `SlidingWindowInferer`; with coordinates or buffers it is left to MONAI."""
    stock = steps[0]
    if type(stock) is not SlidingWindowInferer or stock.with_coord or stock.buffer_steps:
        return None
    why = "the same scores from full batches, stitched plane by plane"
    return Equal(1, FastSlidingWindowInferer.equal_to(stock), why)


def equal_inferer(inferer: Any, rules: Sequence[Rule]) -> tuple[Any, list[Substitution]]:
    """An inferer, or the one within it, replaced by its faster equal.

    Args:
        inferer: of a bundle; one of medvol's that holds another gets the equal of that.
        rules: for inferers.

    Returns:
        The inferer to take, and what became of each, from the outermost inwards.
    """
    if is_of(inferer, GatedInferer) or is_of(inferer, PrecisionInferer):
        itself = Substitution("inferer", (type(inferer).__name__,))
        inferer.inferer, said = equal_inferer(inferer.inferer, rules)
        return inferer, [itself, *said]
    found = substitute([inferer], rules, part="inferer")
    return found.steps[0], found.said
