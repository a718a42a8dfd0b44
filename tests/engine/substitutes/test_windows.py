# SPDX-License-Identifier: Apache-2.0
"""MONAI's sliding window has an equal, wherever it stands; what is not just that is left alone."""

from typing import Any

import pytest
from monai.inferers import SimpleInferer, SlidingWindowInferer

from medvol.engine.substitutes.registry import INFERERS
from medvol.engine.substitutes.windows import equal_inferer, sliding_window_inferer
from medvol.inferers.gated import GatedInferer
from medvol.inferers.precision import PrecisionInferer
from medvol.inferers.sliding_window import FastSlidingWindowInferer

OPTIONS: dict[str, Any] = {
    "roi_size": (8, -1, 8), "sw_batch_size": 4, "overlap": 0.5, "mode": "gaussian",
    "sigma_scale": 0.2, "padding_mode": "reflect", "cval": 2.0, "device": "cpu",
}  # fmt: skip


def test_it_has_the_arguments_of_what_it_stands_for() -> None:
    found = sliding_window_inferer([SlidingWindowInferer(**OPTIONS)])
    assert found is not None
    assert found.taken == 1
    assert type(found.step) is FastSlidingWindowInferer
    assert {name: getattr(found.step, name) for name in OPTIONS} == OPTIONS


class Sub(SlidingWindowInferer):
    """Somebody else's, which may do anything."""


@pytest.mark.parametrize(
    "inferer",
    [
        SimpleInferer(),
        Sub(8),
        SlidingWindowInferer(8, with_coord=True),
        SlidingWindowInferer(8, buffer_steps=2),
    ],
)
def test_others_are_left_alone(inferer: Any) -> None:
    assert sliding_window_inferer([inferer]) is None
    found, said = equal_inferer(inferer, INFERERS)
    assert found is inferer
    assert [x.by for x in said] == [""]


class Gate:
    threshold = None


def test_the_one_within_others_is_replaced() -> None:
    gate: Any = Gate()
    outer = PrecisionInferer(GatedInferer(SlidingWindowInferer(8), gate, classes=2))
    found, said = equal_inferer(outer, INFERERS)
    assert found is outer
    assert type(found.inferer.inferer) is FastSlidingWindowInferer
    assert [(x.replaced, x.by) for x in said] == [
        (("PrecisionInferer",), ""),
        (("GatedInferer",), ""),
        (("SlidingWindowInferer",), "FastSlidingWindowInferer"),
    ]
