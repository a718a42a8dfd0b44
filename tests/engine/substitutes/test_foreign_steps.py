# SPDX-License-Identifier: Apache-2.0
"""Steps that nobody knows may be anything that can be called: no rule asks them for more."""

from typing import Any

import pytest

from medvol.engine.substitutes.registry import POSTPROCESSING, PREPROCESSING
from medvol.engine.substitutes.rule import substitute


class Own:
    def __call__(self, data: Any) -> Any:
        return data


@pytest.mark.parametrize("rules", [PREPROCESSING, POSTPROCESSING], ids=["before", "after"])
def test_what_is_not_monai_s_stays(rules: Any) -> None:
    steps = [Own(), len, Own()]
    assert substitute(steps, rules, part="p").steps == steps
