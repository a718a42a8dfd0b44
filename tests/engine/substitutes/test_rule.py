# SPDX-License-Identifier: Apache-2.0
"""The first rule that fits takes its steps; all others stay, in their order."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from medvol.engine.substitutes.rule import Equal, name_of, substitute


def ab(steps: Sequence[Any]) -> Equal | None:
    return Equal(2, "ab", "two at once") if list(steps[:2]) == ["a", "b"] else None


def a(steps: Sequence[Any]) -> Equal | None:
    return Equal(1, "A", "one") if steps[0] == "a" else None


def test_the_first_rule_that_fits_takes_its_steps() -> None:
    assert substitute("xaba", [ab, a], part="p").steps == ["x", "ab", "A"]
    assert substitute("xaba", [a, ab], part="p").steps == ["x", "A", "b", "A"]
    assert substitute("", [a], part="p").steps == []


def test_what_became_of_each_step_is_said() -> None:
    assert [str(x) for x in substitute([len, "a"], [a], part="inferer").said] == [
        "inferer: len as it stands",
        "inferer: str -> str (one)",
    ]


def test_a_function_with_arguments_has_its_name() -> None:
    assert name_of(partial(partial(sorted, key=len), reverse=True)) == "sorted"
