# SPDX-License-Identifier: Apache-2.0
"""Brightness and contrast are drawn once a sequence, and a missing one is another's copy."""

import pytest
import torch
from torch import Tensor

from medvol.transforms.sequences import RandMissingSequenced, RandSequenceIntensityd

NOTHING = {"factor": (1, 1), "offset": (0, 0), "gamma": (1, 1)}


def slab() -> Tensor:
    """Three sequences of two slices: 0 to 4, 10 to 14, 20 to 24, the second slice 1 more."""
    first = torch.arange(4.0).reshape(1, 2, 2)
    return torch.cat([first + 10 * sequence + z for sequence in range(3) for z in range(2)])


def test_a_factor_and_an_offset_hold_for_all_slices_of_a_sequence() -> None:
    for name, change, of_none in (
        ("factor", lambda new, old: new / old, 1.0), ("offset", lambda new, old: new - old, 0.0),
    ):  # fmt: skip
        make = RandSequenceIntensityd("image", 3, 1.0, **{**NOTHING, name: (0.2, 0.4)})
        given = slab() + 1
        changed = change(make.set_random_state(0)({"image": given})["image"], given)
        found = changed.reshape(3, -1)
        assert torch.allclose(found, found[:, :1].expand(-1, 8), atol=1e-5), name
        assert len({round(float(value), 4) for value in found[:, 0]}) == 3
        assert ((found > 0.2) & (found < 0.4)).all()
        assert of_none not in found


def test_gamma_worked_out_by_hand() -> None:
    make = RandSequenceIntensityd("image", 3, 1.0, **{**NOTHING, "gamma": (2, 2)})
    changed = make({"image": slab()})["image"]
    # of 0 to 4 in both slices: (x / 4) ** 2 * 4
    assert changed[0].tolist() == [[0, 0.25], [1, 2.25]]
    assert changed[1].tolist() == [[0.25, 1], [2.25, 4]]
    torch.testing.assert_close(changed[4:], changed[:2] + 20)


def test_a_sequence_without_contrast_stays_finite() -> None:
    make = RandSequenceIntensityd("image", 1, 1.0, **{**NOTHING, "gamma": (2, 2)})
    assert make({"image": torch.full((1, 2, 2), 3.0)})["image"].unique().tolist() == [3]


def test_gamma_factor_and_offset_are_each_drawn_half_the_time() -> None:
    ranges = {"factor": (2, 2), "offset": (0.25, 0.25), "gamma": (1, 1)}
    make = RandSequenceIntensityd("image", 1, 0.5, **ranges).set_random_state(0)
    found = [float(make({"image": torch.ones(1, 1, 1)})["image"]) for _ in range(400)]
    for value in (1.0, 1.25, 2.0, 2.25):
        assert found.count(value) == pytest.approx(100, abs=35)  # 4 standard deviations


def test_flair_takes_the_place_of_each_other_sequence_by_itself() -> None:
    make = RandMissingSequenced("image", 3, 0.5).set_random_state(0)
    flair = slab()[2:4]
    seen = []
    for _ in range(400):
        found = make({"image": slab()})["image"]
        assert torch.equal(found[2:4], flair)
        missing = [torch.equal(found[start : start + 2], flair) for start in (0, 4)]
        for start, gone in zip((0, 4), missing, strict=True):
            assert gone or torch.equal(found[start : start + 2], slab()[start : start + 2])
        seen.append(tuple(missing))
    for both in ((False, False), (False, True), (True, False), (True, True)):
        assert seen.count(both) == pytest.approx(100, abs=35)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="sequences is 0; give 1 or more"):
        RandMissingSequenced("image", 0)
    with pytest.raises(ValueError, match=r"instead 3; give numbers from 0 to 2"):
        RandMissingSequenced("image", 3, instead=3)
    with pytest.raises(ValueError, match=r"gamma is \(0, 1\); give a range"):
        RandSequenceIntensityd("image", gamma=(0, 1))
    with pytest.raises(ValueError, match="image has 4 channels, not those of 3 sequences"):
        RandMissingSequenced("image", 3)({"image": torch.zeros(4, 2, 2)})
