# SPDX-License-Identifier: Apache-2.0
"""Objects of medvol's classes, also where a bundle brings its own medvol."""

import pytest

from medvol.errors import Note
from medvol.kinds import is_of


def made(module: str, name: str = "Note", *, above: tuple[type, ...] = ()) -> object:
    """An object of a class that says it is of a module."""
    return type(name, above, {"__module__": module})()


@pytest.mark.parametrize(
    "module",
    ["medvol.errors", "scripts.medvol.errors", "scripts.medvol.v0_1_0_12345678.errors",
     "medvol.v0_2_0_abcdef01.errors"],
)  # fmt: skip
def test_a_class_of_another_medvol_counts(module: str) -> None:
    assert is_of(made(module), Note)
    assert is_of(made("mine", "Special", above=(type(made(module)),)), Note)


@pytest.mark.parametrize(
    "module",
    ["errors", "other.medvol.errors", "scripts.medvolx.errors", "medvol.errors.more",
     "scripts.medvol.w0_1_0.errors"],
)  # fmt: skip
def test_a_class_of_the_same_name_elsewhere_does_not(module: str) -> None:
    assert not is_of(made(module), Note)


def test_another_class_of_the_module_does_not() -> None:
    assert not is_of(made("scripts.medvol.errors", "Notes"), Note)
