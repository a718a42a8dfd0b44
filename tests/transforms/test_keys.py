# SPDX-License-Identifier: Apache-2.0
"""Notes that transforms hand on with the data of an image."""

from monai.transforms import Compose

from medvol.errors import Note
from medvol.transforms.keys import noted, notes_of

FIRST, SECOND = Note("N_SHIFT", "50 HU too high."), Note("N_OUTSIDE", "3 ml lay outside.")


def test_notes_of_several_transforms_in_their_order() -> None:
    chain = Compose([lambda data: noted(data, FIRST), lambda data: noted(data, SECOND)])
    assert notes_of(chain({"pred": 1})) == (FIRST, SECOND)


def test_the_given_data_stay_as_they_are() -> None:
    given = {"pred": 1}
    assert noted(given, FIRST) == {"pred": 1, "notes": (FIRST,)}
    assert given == {"pred": 1}


def test_without_a_note_nothing_is_added() -> None:
    assert noted({"pred": 1}) == {"pred": 1}
    assert notes_of({"pred": 1}) == ()


def test_what_another_package_calls_notes_is_passed_over() -> None:
    assert notes_of({"notes": "looked at by hand"}) == ()
    assert notes_of({"notes": ("by hand", FIRST)}) == (FIRST,)
