# SPDX-License-Identifier: Apache-2.0
"""The leak check finds what stands on two sides of a split, and says each thing once."""

from pathlib import Path

import numpy as np
import pytest
from class_phantoms import noise

from medvol.data.datalist import Datalist
from medvol.data.fingerprint import fingerprint
from medvol.data.leaks import SHOWN, Leak, LeakError, find_leaks

PICTURES = {name: noise(seed).astype(np.float32) / 255 for seed, name in enumerate("abcdefgh")}
PICTURES |= {"a copy": PICTURES["a"], "a darker": PICTURES["a"] * 0.9}
PRINTS = {Path(name): fingerprint(pixels) for name, pixels in PICTURES.items()}


def datalist(**parts: dict[str, str]) -> Datalist:
    """Parts as {picture: patient}."""
    items = {
        part: [{"image": name, "case": name, "patient": patient} for name, patient in own.items()]
        for part, own in parts.items()
    }
    return Datalist({"training": [], **items})


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"training": {"a": "1", "b": "1"}, "test": {"c": "2"}}, []),
        ({"training": {"a": "1", "a copy": "2", "a darker": "3"}, "test": {"c": "4"}}, []),
        (
            {"training": {"a": "1"}, "test": {"a copy": "2"}},
            [("same pixels", "training/a", "test/a copy")],
        ),
        (
            {"training": {"a": "1"}, "validation": {"a darker": "1"}},
            [("nearly the same picture (1.000)", "training/a", "validation/a darker")],
        ),
        (
            {"training": {"a": "1", "b": "1"}, "test": {"c": "1", "d": "1"}},
            [("same patient 1", "training/a", "test/c")],
        ),
        (
            {"training": {"a": "1"}, "validation": {"b": "1"}, "test": {"c": "1"}},
            [
                ("same patient 1", "training/a", "validation/b"),
                ("same patient 1", "training/a", "test/c"),
                ("same patient 1", "validation/b", "test/c"),
            ],
        ),
        ({}, []),
    ],
    ids=["none", "inside", "pixels", "near", "patient", "three", "empty"],
)
def test_pairs_across_parts(parts, found):
    assert find_leaks(datalist(**parts), PRINTS) == [Leak(*leak) for leak in found]


def test_long_lists_are_cut():
    leaks = [Leak("same pixels", f"training/{k}", f"test/{k}") for k in range(SHOWN + 2)]
    lines = str(LeakError(leaks)).splitlines()
    assert lines[0] == "22 leaks between the parts:"
    assert lines[-1] == "  and 2 more"
    assert len(lines) == SHOWN + 2
    assert LeakError(leaks).leaks == tuple(leaks)
