# SPDX-License-Identifier: Apache-2.0
"""When a network is said to be unsure: each border from both sides."""

import pytest
import torch

from medvol.transforms.undecided import NoteUndecidedd, undecided_share


def scores(*of_lesion: float) -> torch.Tensor:
    """(3, N): the rest, and two labels that share the score of lesion alike."""
    lesion = torch.tensor(of_lesion)
    return torch.stack([1 - lesion, lesion * 0.5, lesion * 0.5])


@pytest.mark.parametrize(
    ("of_lesion", "share"),
    [
        ((0.9, 0.9), 0.0),
        ((0.9, 0.2), 0.0),  # the second is not marked
        ((0.9, 0.68), 0.0),
        ((0.9, 0.66, 0.649, 0.9), 0.0),
        ((0.1, 0.2), 0.0),  # nothing is marked
    ],
)
def test_scores_that_are_sure_or_of_voxels_that_are_not_marked(
    of_lesion: tuple[float, ...], share: float
) -> None:
    # of two equal labels, 0.649 for both is 0.3245 for each, less than 0.351 for the rest
    assert undecided_share(scores(*of_lesion), [1, 2]) == share


def test_the_borders_of_undecided() -> None:
    one = torch.tensor([[0.36, 0.34, 0.5, 0.1], [0.64, 0.66, 0.5, 0.9], [0.0, 0.0, 0.0, 0.0]])
    # at 0.5 the smaller label wins, so three are marked, of which 0.64 is undecided
    assert undecided_share(one, [1, 2]) == pytest.approx(1 / 3)
    low = torch.tensor([[0.33, 0.31], [0.36, 0.34], [0.31, 0.35]])
    assert undecided_share(low, [1]) == 1.0  # 0.36 is marked and undecided; 0.34 is not marked
    assert undecided_share(low, [1, 2]) == 0.0  # 0.67 and 0.69 together


def test_noted_above_the_limit_only() -> None:
    data = {"pred": torch.tensor([[0.4, 0.4, 0.1, 0.1], [0.6, 0.6, 0.9, 0.9]])}
    below = NoteUndecidedd("pred", [1], limit=0.5)(data)
    assert "notes" not in below
    assert below["undecided_share"] == 0.5
    result = NoteUndecidedd("pred", [1], limit=0.49, name="tumour")(data)
    (note,) = result["notes"]
    assert note == (
        "N_UNDECIDED",
        "the network is not sure: 50 % of what it marks as tumour has a score between 0.35 and "
        "0.65 (more than 49 %).",
    )
    assert result["pred"] is data["pred"]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="focus names no label"):
        NoteUndecidedd("pred", [], limit=0.4)
    for limit in (-0.1, 1.0):
        with pytest.raises(ValueError, match="limit is"):
            NoteUndecidedd("pred", [1], limit=limit)
