# SPDX-License-Identifier: Apache-2.0
"""ResUNet: the family's contract, and what is its own: pooling, deep supervision, refusals."""

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import SegmentationContract, pictures

from medvol.networks.resunet import ResUNet
from medvol.networks.weights import load_weights, with_record
from medvol.trained import Trained

IN_OUT = {"in_channels": 2, "out_channels": 3}
FLAT = [[2, 2, 1], [2, 2, 2]]
SETTINGS: dict[str, dict[str, Any]] = {
    "2D": {"spatial_dims": 2, **IN_OUT, "features": (4, 6, 8)},
    "2D batch": {"spatial_dims": 2, **IN_OUT, "features": (4, 6, 8), "norm": "batch"},
    "3D": {"spatial_dims": 3, **IN_OUT, "features": (4, 6, 8)},
    "3D flat batch": {
        "spatial_dims": 3, **IN_OUT, "features": (4, 6, 8), "pooling": FLAT, "norm": "batch",
    },
    "2D deep": {"spatial_dims": 2, **IN_OUT, "features": (4, 6, 8, 8), "deep_supervision": 2},
}  # fmt: skip


class TestResUNet(SegmentationContract):
    make = ResUNet
    settings: ClassVar = SETTINGS


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_number_of_weights_worked_out_by_hand() -> None:
    """Levels of 4 and 8 channels, 2D, one input channel, two classes."""
    stem = 1 * 4 * 9 + 2 * 4  # 3x3 without bias, norm
    bottleneck = 4 * 8 * 9 + 8 * 8 * 9 + 4 * 8 * 1 + 3 * 2 * 8  # two 3x3, 1x1 beside, three norms
    up = 8 * 4 * 4 + 4  # 2x2 with bias
    decoder = 8 * 4 * 9 + 4 * 4 * 9 + 8 * 4 * 1 + 3 * 2 * 4
    head = 4 * 2 + 2
    network = ResUNet(2, 1, 2, features=(4, 8))
    assert parameters(network) == stem + bottleneck + up + decoder + head == 1618


def test_an_axis_that_is_not_pooled_has_kernels_of_one() -> None:
    network = ResUNet(3, 1, 2, features=(4, 6, 8), pooling=FLAT)
    sizes = [tuple(w.shape[2:]) for n, w in network.named_parameters() if n.startswith("encoder")]
    assert sizes[0] == (3, 3, 1)
    assert sizes.count((3, 3, 3)) == 2  # the two convolutions of the second level
    assert network.multiple == [4, 4, 2]


def test_thick_slices_are_not_mixed_before_the_second_level() -> None:
    """All poolings (2, 2, 1): a change in one slice stays in that slice."""
    torch.manual_seed(0)
    network = ResUNet(3, 1, 2, features=(4, 6), pooling=[[2, 2, 1]], norm="batch").eval()
    network.bottleneck = torch.nn.Conv3d(4, 6, 1)  # the bottleneck alone has full kernels
    given = torch.rand(1, 1, 8, 8, 5)
    other = given.clone()
    other[..., 2] += 1
    changed = (network(given) - network(other)).abs().amax((0, 1, 2, 3)) > 0
    assert changed.tolist() == [False, False, True, False, False]


def test_one_factor_stands_for_all_axes() -> None:
    made = [ResUNet(3, 1, 2, features=(4, 6, 8), pooling=p) for p in ([2, 2], [[2] * 3] * 2, None)]
    assert {parameters(network) for network in made} == {parameters(made[0])}
    assert [network.multiple for network in made] == [[4, 4, 4]] * 3


def test_deep_supervision_gives_all_levels_while_training_only() -> None:
    setting = SETTINGS["2D deep"]
    network = ResUNet(**setting)
    given = pictures(setting, size=(17, 13))
    assert network.train()(given).shape == (2, 3, 3, 17, 13)  # full level and two lower ones
    assert network.eval()(given).shape == (2, 3, 17, 13)


def test_lower_heads_lie_in_no_file_of_weights_and_none_is_missed(tmp_path: Path) -> None:
    """A file of a deeply supervised network is one of the network without, and the other way."""
    setting = {**SETTINGS["2D deep"], "norm": "batch"}
    deep, plain = ResUNet(**setting), ResUNet(**{**setting, "deep_supervision": 0})
    extra = {*deep.state_dict()} - {*plain.state_dict()}
    assert sorted(extra) == [
        f"supervision.{n}.conv.{x}" for n in (0, 1) for x in ("bias", "weight")
    ]
    kept = with_record(deep.state_dict(), Trained())
    assert [*kept] == [*plain.state_dict()]
    for path, state in {"all.pt": deep.state_dict(), "kept.pt": kept}.items():
        torch.save(state, tmp_path / path)
        for network in (ResUNet(**setting), ResUNet(**{**setting, "deep_supervision": 0})):
            load_weights(tmp_path / path, network)
            given = pictures(setting, size=(16, 16))
            assert torch.equal(network.eval()(given), deep.eval()(given))
    lower = ResUNet(**setting)
    load_weights(tmp_path / "kept.pt", lower)
    assert not torch.equal(lower.supervision[0].conv.weight, deep.supervision[0].conv.weight)


def test_lower_levels_stand_in_blocks_and_the_full_level_first() -> None:
    setting = {**SETTINGS["2D deep"], "norm": "batch"}
    torch.manual_seed(0)
    network = ResUNet(**setting)
    levels = network(pictures(setting, size=(16, 16)))[0]  # (level, class, 16, 16)
    for level, block in enumerate((1, 2, 4)):
        corners = levels[level, :, ::block, ::block]
        spread = corners.repeat_interleave(block, 1).repeat_interleave(block, 2)
        assert torch.equal(levels[level], spread)
    assert not torch.equal(levels[0, :, ::2, ::2], levels[0, :, 1::2, 1::2])


def test_what_is_missing_to_a_multiple_is_the_last_voxel_repeated() -> None:
    torch.manual_seed(0)
    network = ResUNet(2, 1, 2, features=(4, 6, 8)).eval()
    given = torch.rand(1, 1, 13, 10)
    padded = given[:, :, [*range(13), 12, 12, 12]][..., [*range(10), 9, 9]]  # to 16 x 12
    torch.testing.assert_close(network(given), network(padded)[:, :, :13, :10])


def test_dropout_acts_while_training_only() -> None:
    network = ResUNet(2, 1, 2, features=(4, 8), dropout=0.5)
    given = torch.rand(1, 1, 16, 16)
    assert not torch.equal(network(given), network(given))
    network.eval()
    assert torch.equal(network(given), network(given))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"spatial_dims": 1}, "spatial_dims is 1; give 2 or 3"),
        ({"features": (8,)}, "features has 1 levels; give at least 2"),
        ({"norm": "layer"}, "norm is 'layer'; give one of batch, instance"),
        ({"pooling": [2, 2]}, "pooling has 2 steps but features 2 levels; give one step between"),
        ({"pooling": [[2, 2, 1]]}, "needs 2 factors of at least 1"),
        ({"pooling": [0]}, "needs 2 factors of at least 1"),
        ({"deep_supervision": 1}, "deep_supervision is 1; with 2 levels give 0 to 0"),
        ({"deep_supervision": -1}, "deep_supervision is -1; with 2 levels give 0 to 0"),
    ],
)
def test_bad_arguments_are_refused_with_the_way_out(changed: dict[str, Any], words: str) -> None:
    good = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "features": (4, 8)}
    with pytest.raises(ValueError, match=re.escape(words)):
        ResUNet(**{**good, **changed})
