# SPDX-License-Identifier: Apache-2.0
"""The U-Net on EfficientNet-Lite: the family's contract, and weights of others in its encoder."""

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import SegmentationContract, Setting, deaf, parameters, pictures
from torch import Tensor

from medvol.networks.efficientnet_lite import EfficientNetLite
from medvol.networks.efficientnet_lite_unet import EfficientNetLiteUNet
from medvol.networks.start import fit_start, start_from

ENCODER: dict[str, Any] = {"in_channels": 3, "width": 0.2, "stochastic_depth": 0.0}
SMALL = {**ENCODER, "out_channels": 2, "features": (4, 4, 8, 8, 8)}


class TestEfficientNetLiteUNet(SegmentationContract):
    make = EfficientNetLiteUNet
    settings: ClassVar = {"shallow": {**SMALL, "features": (4, 4, 8)}}

    def test_gradient_reaches_every_parameter(self, setting: Setting) -> None:
        """With fixed statistics: those of a batch take out what a bias before them adds."""
        assert deaf(self.network(setting), self.given(setting)) == []


def classifier() -> EfficientNetLite:
    """With statistics of batches that are not 0 and 1."""
    torch.manual_seed(3)
    made = EfficientNetLite(**ENCODER, out_channels=2, dropout=0.0).train()
    made(torch.rand(4, 3, 64, 64))
    return made.eval()


def features_of(network: EfficientNetLite, images: Tensor) -> list[Tensor]:
    """What each stage of a classifier's body gives."""
    body = network.body
    x = body._bn0(body._conv_stem(body._conv_stem_padding(images))).clamp(0, 6)
    found = []
    for stage in body._blocks:
        x = stage(x)
        found.append(x)
    return found


def test_the_encoder_takes_weights_in_the_layout_of_the_packages(tmp_path: Path) -> None:
    given = classifier()
    own = given.body.state_dict()
    state = {re.sub(r"^_blocks\.\d+\.", "_blocks.", name): value for name, value in own.items()}
    torch.save({**state, "_fc.weight": torch.zeros(9, 1280)}, tmp_path / "lite.pth")
    made = start_from(EfficientNetLiteUNet(**SMALL), tmp_path / "lite.pth").eval()
    images = pictures(SMALL, size=(40, 33))
    expected = features_of(given, images)
    assert [len(stage[0]) for stage in expected] == made.body.channels
    torch.testing.assert_close(made.body(images), expected)


def test_a_slab_of_equal_slices_gives_the_features_of_the_slice() -> None:
    given = classifier()
    made = EfficientNetLiteUNet(**{**SMALL, "in_channels": 9}).eval()
    made.load_body(given.state_dict())
    images = pictures(SMALL, size=(40, 33))
    slab = images.repeat_interleave(3, 1)
    torch.testing.assert_close(made.body(slab), features_of(given, images), atol=1e-4, rtol=1e-4)


def test_all_is_taken_from_its_own_weights_but_a_head_for_other_labels(tmp_path: Path) -> None:
    given = EfficientNetLiteUNet(**SMALL)
    torch.save(given.state_dict(), tmp_path / "two.pt")
    assert fit_start(EfficientNetLiteUNet(**SMALL), tmp_path / "two.pt").missing == ()
    other = EfficientNetLiteUNet(**{**SMALL, "out_channels": 3})
    found = fit_start(other, tmp_path / "two.pt")
    assert found.missing == ("head.bias", "head.weight")
    assert found.unexpected == ("head.weight", "head.bias")
    assert torch.equal(found.taken["decoder.4.narrow.weight"], given.decoder[4].narrow.weight)


def test_a_classifier_starts_from_the_encoder_and_the_other_way_round(tmp_path: Path) -> None:
    torch.save(EfficientNetLiteUNet(**SMALL).state_dict(), tmp_path / "unet.pt")
    found = fit_start(classifier(), tmp_path / "unet.pt", may_lack=["_conv_head", "_bn1"])
    assert {name.split(".")[1] for name in found.missing} == {"_conv_head", "_bn1", "1"}
    torch.save(classifier().state_dict(), tmp_path / "lite.pt")
    found = fit_start(EfficientNetLiteUNet(**SMALL), tmp_path / "lite.pt")
    assert torch.equal(found.taken["body._bn0.running_mean"], classifier().body._bn0.running_mean)
    assert {name.partition(".")[0] for name in found.missing} == {"decoder", "head"}


def test_a_frozen_encoder_stands_still_while_decoder_and_head_learn() -> None:
    network = EfficientNetLiteUNet(**SMALL).freeze_body().train()
    before = parameters(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(pictures(SMALL, size=(32, 32))).square().sum().backward()
    optimizer.step()
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {name for name in before if not name.startswith("body.")}


def test_layers_in_groups_from_the_first_to_the_head() -> None:
    network = EfficientNetLiteUNet(**SMALL)
    groups = network.layer_groups()
    assert len(groups) == 10  # stem, seven stages, decoder, head
    assert groups[0][0] is network.body._conv_stem.weight
    assert {*map(id, groups[-2])} == {*map(id, network.decoder.parameters())}
    assert [*map(id, groups[-1])] == [*map(id, network.head.parameters())]


def test_a_shallow_encoder_passes_over_the_stages_that_it_lacks(tmp_path: Path) -> None:
    torch.save(classifier().body.state_dict(), tmp_path / "lite.pth")
    made = EfficientNetLiteUNet(**{**SMALL, "features": (4, 4, 8, 8)})
    found = fit_start(made, tmp_path / "lite.pth")
    assert [len(made.body._blocks), found.unexpected] == [5, ()]
    assert {name.partition(".")[0] for name in found.missing} == {"decoder", "head"}
    start_from(made.eval(), tmp_path / "lite.pth")
    images = pictures(SMALL, size=(40, 33))
    torch.testing.assert_close(made.body(images), features_of(classifier(), images)[:5])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"variant": "b0"}, "variant is 'b0'"),
        ({"out_channels": 0}, "out_channels is 0; give at least 1"),
        ({"features": (4,) * 6}, "features has 6 levels; give 1 to 5"),
        ({"features": (4, 0)}, "features is (4, 0); give at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        EfficientNetLiteUNet(**{**SMALL, **wrong})
