# SPDX-License-Identifier: Apache-2.0
"""Two kinds of lesion by density: which probabilities change places, and which stay."""

from typing import Any

import pytest
import torch
from monai.data import MetaTensor

from medvol.transforms.split_by_density import SplitByDensityd

DENSE, THIN = 1250 / 1500, 650 / 1500  # -100 and -700 HU in the lung window
FAR_MM = 50.0  # so that each voxel is alone


def split(scores: list[list[float]], image: list[float], **settings: Any) -> list[list[float]]:
    """Of scores (classes, voxels) along x, with an image of as many voxels."""
    pred = torch.tensor(scores)[:, :, None, None]
    affine = torch.diag(torch.tensor([FAR_MM, 1.0, 1.0, 1.0]))
    picture = MetaTensor(torch.tensor(image)[None, :, None, None], affine=affine)
    step = SplitByDensityd("pred", **{"from_hu": -350.0, **settings})
    found = step({"pred": pred.clone(), "image": picture})["pred"]
    assert torch.equal(found.sum(0), pred.sum(0))
    rows: list[list[float]] = found[:, :, 0, 0].tolist()
    return rows


SCORES = torch.tensor([
    # background, ground-glass, consolidation, lung
    [0.1, 0.6, 0.2, 0.1],  # thin by score, dense by HU
    [0.1, 0.2, 0.6, 0.1],  # dense by score, thin by HU
    [0.1, 0.6, 0.2, 0.1],  # thin by both
    [0.1, 0.2, 0.6, 0.1],  # dense by both
    [0.1, 0.2, 0.3, 0.4],  # lung, whatever its HU
]).T.tolist()  # fmt: skip
IMAGE = [DENSE, THIN, THIN, DENSE, THIN]


def test_the_higher_one_goes_to_the_kind_that_the_hu_speak_for() -> None:
    thin, dense = split(SCORES, IMAGE)[1:3]
    assert thin == pytest.approx([0.2, 0.6, 0.6, 0.2, 0.2])
    assert dense == pytest.approx([0.6, 0.2, 0.2, 0.6, 0.3])


def test_what_is_lesion_stays_and_other_classes_too() -> None:
    found = torch.tensor(split(SCORES, IMAGE))
    given = torch.tensor(SCORES)
    assert torch.equal(found[[0, 3]], given[[0, 3]])
    lesion = [torch.isin(x.argmax(0), torch.tensor([1, 2])).tolist() for x in (given, found)]
    assert lesion[0] == lesion[1] == [True] * 4 + [False]


def test_without_a_threshold_and_without_lesion_nothing_changes() -> None:
    assert split(SCORES, IMAGE, from_hu=None) == torch.tensor(SCORES).tolist()
    healthy = torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 5).T.tolist()
    assert split(healthy, IMAGE) == torch.tensor(healthy).tolist()


def test_the_threshold_and_the_kinds_are_as_asked() -> None:
    """From -800 HU both voxels are dense; and the kinds may stand the other way round."""
    assert split(SCORES, IMAGE, from_hu=-800.0)[2][:4] == pytest.approx([0.6] * 4)
    assert split(SCORES, IMAGE, kinds=(2, 1))[1][:4] == pytest.approx([0.6, 0.2, 0.2, 0.6])


@pytest.mark.parametrize("from_hu", [-1350.0, 150.0, 400.0])
def test_a_threshold_that_the_window_hides_is_refused(from_hu: float) -> None:
    with pytest.raises(ValueError, match=f"from_hu is {from_hu:g}; give HU within -1350 to 150"):
        SplitByDensityd("pred", from_hu=from_hu)
