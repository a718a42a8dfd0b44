# SPDX-License-Identifier: Apache-2.0
"""Pasting lesions: densities worked out by hand, what stays, and the random transform."""

import re

import pytest
import torch
from monai.data import MetaTensor

from medvol.transforms.paste_lesion import (
    Drawn,
    RandPasteLesiond,
    donor_block,
    lesion_donors,
    paste_lesion,
)

GGO, LUNG = 1, 3


def block(lung: float) -> tuple[torch.Tensor, torch.Tensor]:
    """12 x 12 x 3, all lung but the first row of voxels, which is background at 0.9."""
    image, label = torch.full((12, 12, 3), lung), torch.full((12, 12, 3), LUNG)
    image[0], label[0] = 0.9, 0
    return image, label


def sick(lung: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The block with a lesion of 4 x 4 x 2 voxels, 0.3 denser than its lung."""
    image, label = block(lung)
    image[4:8, 4:8, :2] += 0.3
    label[4:8, 4:8, :2] = GGO
    return image, label


def donor() -> tuple[torch.Tensor, torch.Tensor]:
    """The sick block as a donor: 0 in its lung, 0.3 in its lesion."""
    ((excess, label, _),) = donors()
    return excess.float(), label


def donors() -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    return lesion_donors(
        [{"image": "a"}], lambda _: channels(sick(0.4), False), lesion=[GGO], lung=LUNG
    )


def test_the_density_above_the_donors_own_lung_is_pasted_on_the_hosts() -> None:
    """Host lung 0.2, gain 2: 0.3 * 0.2 + 0.7 * (0.2 + 2 * 0.3) = 0.62 inside the lesion."""
    image, label = paste_lesion(*block(0.2), donor(), lesion=[GGO], lung=LUNG, gain=2.0)
    assert image[5:7, 5:7, :2].flatten().tolist() == pytest.approx([0.62] * 8, abs=1e-3)
    # at a corner 4 of the 9 voxels around are lesion: 4/9 of the way from 0.2 to 0.62
    assert float(image[4, 4, 0]) == pytest.approx(0.2 + 0.42 * 4 / 9, abs=1e-3)
    assert torch.equal(label, sick(0.2)[1])
    outside = label != GGO
    assert torch.equal(image[outside], block(0.2)[0][outside])


def test_nothing_becomes_lighter() -> None:
    host, label = block(0.2)
    host[5, 5, 0] = 0.8  # a vessel
    image, _ = paste_lesion(host, label, donor(), lesion=[GGO], lung=LUNG)
    assert image[5, 5, 0] == pytest.approx(0.8)
    assert bool((image >= host - 1e-6).all())


def test_a_lesion_goes_on_healthy_lung_only() -> None:
    host, label = block(0.2)
    label[:, 6:] = 2  # consolidation
    _, pasted = paste_lesion(host, label, donor(), lesion=[GGO], lung=LUNG)
    assert (pasted == GGO).sum() == 4 * 2 * 2
    assert torch.equal(pasted[:, 6:], label[:, 6:])


@pytest.mark.parametrize(("voxels", "enough"), [(99, False), (100, True)])
def test_without_enough_lung_nothing_is_pasted(voxels: int, enough: bool) -> None:
    image, label = block(0.2)[0], torch.zeros(12, 12, 3, dtype=torch.int64)
    label[4:8, 4:8] = label[1] = LUNG  # 48 voxels where the lesion comes, and 36 elsewhere
    label[2].view(-1)[: voxels - 48 - 36] = LUNG
    assert (label == LUNG).sum() == voxels
    pasted = paste_lesion(image, label, donor(), lesion=[GGO], lung=LUNG)
    assert torch.equal(pasted[0], image) == (not enough)
    assert (pasted[1] == GGO).sum() == (32 if enough else 0)


def channels(pair: tuple[torch.Tensor, torch.Tensor], slab: bool) -> dict[str, torch.Tensor]:
    shaped = [x.movedim(-1, 0) if slab else x[None] for x in pair]
    return dict(zip(("image", "label"), map(MetaTensor, shaped), strict=True))


@pytest.mark.parametrize("slab", [False, True], ids=["volume", "slab"])
def test_the_transform_brings_a_lesion_onto_lung_wherever_the_donor_lies(slab: bool) -> None:
    paste = RandPasteLesiond(donors(), lesion=[GGO], lung=LUNG, prob=1.0).set_random_state(0)
    given = channels(block(0.2), slab)
    for _ in range(10):
        out = paste(given)
        assert out["image"].shape == given["image"].shape
        added = out["label"] == GGO
        assert 0 < added.sum() <= 32
        assert not (added & (given["label"] == 0)).any()
        assert bool((out["image"][added] > 0.2).all())
        assert torch.equal(out["image"][~added], given["image"][~added])
    assert torch.equal(given["label"], channels(block(0.2), slab)["label"])


def test_a_voxel_of_lesion_meets_the_lung_it_was_drawn_for_mirrored_or_not() -> None:
    """All lung lies at the left; a lesion that landed anywhere else would not be pasted."""
    image, label = torch.full((13, 8, 4), 0.2), torch.zeros(13, 8, 4, dtype=torch.int64)
    label[:4] = LUNG
    excess, lesion = torch.full((9, 8, 4), 0.5), torch.zeros(9, 8, 4, dtype=torch.int64)
    lesion[7, 2, 1] = GGO
    single = (excess, lesion, lesion.nonzero())
    paste = RandPasteLesiond([single], lesion=[GGO], lung=LUNG, prob=1.0).set_random_state(0)
    seen = set()
    for _ in range(30):
        out = paste(channels((image, label), False))["label"][0]
        drawn = paste.drawn
        assert drawn is not None
        assert (out == GGO).nonzero().tolist() == [drawn.onto.tolist()]
        seen.add(drawn.mirrored)
    assert seen == {True, False}


def test_a_mirrored_donor_is_read_from_right_to_left() -> None:
    """A lesion of voxels 1 and 2 along x: mirrored, its neighbour lies on the other side."""
    label = torch.zeros(5, 1, 1, dtype=torch.int64)
    label[1:3] = torch.tensor([1, 2])[:, None, None]
    donor = (label.half() / 4, label, label.nonzero())
    place, onto = torch.tensor([1, 0, 0]), torch.tensor([3, 0, 0])
    for flip, expected in [(False, [0, 0, 0, 1, 2, 0]), (True, [0, 0, 2, 1, 0, 0])]:
        excess, found = donor_block(Drawn(donor, flip, onto, place, 1.0), (6, 1, 1))
        assert found.flatten().tolist() == expected
        assert excess.flatten().tolist() == [value / 4 for value in expected]
        assert excess.dtype == torch.float32


def test_seed_and_probability() -> None:
    made = [
        RandPasteLesiond(donors(), lesion=[GGO], lung=LUNG, prob=1.0).set_random_state(seed)(
            channels(block(0.2), False)
        )["label"]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    never = RandPasteLesiond(donors(), lesion=[GGO], lung=LUNG, prob=0.0)
    assert torch.equal(never(channels(block(0.2), False))["label"][0], block(0.2)[1])


def test_unless_asked_for_half_of_the_cases_get_a_lesion() -> None:
    paste = RandPasteLesiond(donors(), lesion=[GGO], lung=LUNG).set_random_state(0)
    given = channels(block(0.2), False)
    pasted = sum(bool((paste(given)["label"] == GGO).any()) for _ in range(100))
    assert pasted == pytest.approx(50, abs=20)  # 4 standard deviations


def test_the_gain_that_is_drawn_is_the_one_that_is_used() -> None:
    """As worked out above: 0.62 well inside the lesion, wherever it comes to lie."""
    paste = RandPasteLesiond(donors(), lesion=[GGO], lung=LUNG, prob=1.0, gain=(2.0, 2.0))
    paste.set_random_state(0)
    given = channels(block(0.2), False)
    densest = max(
        float(out["image"][out["label"] == GGO].max()) for out in map(paste, [given] * 20)
    )
    assert densest == pytest.approx(0.62, abs=1e-3)


def test_a_host_without_lung_stays_as_it_is() -> None:
    image, label = block(0.2)
    paste = RandPasteLesiond(donors(), lesion=[GGO], lung=LUNG, prob=1.0)
    assert torch.equal(paste(channels((image, 0 * label), False))["image"][0], image)
    assert paste.drawn is None


def test_each_image_is_a_donor_once() -> None:
    cases = {"a": channels(sick(0.4), False), "b": channels(sick(0.5), False)}
    given = [{"image": name} for name in ("a", "b", "a")]
    found = lesion_donors(given, lambda item: cases[item["image"]], lesion=[GGO], lung=LUNG)
    assert len(found) == 2
    assert [label.dtype for _, label, _ in found] == [torch.uint8] * 2


def test_cases_without_a_lesion_are_no_donors_and_none_changes_nothing() -> None:
    well = channels(block(0.2), False)
    assert lesion_donors([{"image": "a"}], lambda _: well, lesion=[GGO], lung=LUNG) == []
    paste = RandPasteLesiond([], lesion=[GGO], lung=LUNG, prob=1.0)
    assert torch.equal(paste(channels(block(0.2), False))["image"][0], block(0.2)[0])


def test_a_bad_range_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("gain is (0.0, 1.0); give a range")):
        RandPasteLesiond([], lesion=[GGO], lung=LUNG, gain=(0.0, 1.0))
