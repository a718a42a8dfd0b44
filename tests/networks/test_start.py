# SPDX-License-Identifier: Apache-2.0
"""Weights to start from: all that fit, a head for the same classes, and no calibration."""

import hashlib
from pathlib import Path

import pytest
import torch
from refusals import refused_by

from medvol.networks.densenet_classifier import DenseNetClassifier
from medvol.networks.residual_classifier import ResidualClassifier
from medvol.networks.resunet import ResUNet
from medvol.networks.slice_classifier import SliceClassifier
from medvol.networks.start import fit_start, start_from
from medvol.networks.weights import with_record
from medvol.trained import Trained


def network(seed: int, out_channels: int = 2) -> ResidualClassifier:
    torch.manual_seed(seed)
    return ResidualClassifier(3, out_channels, width=4)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """As torchvision names them: the body's names, and a last layer of 1,000 classes."""
    state = {**network(0).body.state_dict(), "fc.weight": torch.zeros(1000, 32)}
    del state["bn1.num_batches_tracked"]
    torch.save(state, tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth"


def test_the_body_takes_them_and_what_did_not_match_is_said(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = start_from(network(1), weights)
    assert torch.equal(made.body.conv1.weight, network(0).body.conv1.weight)
    assert torch.equal(made.head[1].weight, network(1).head[1].weight)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert capsys.readouterr().out.splitlines() == [
        f"weights resnet18.pth, sha256 {digest}",
        "119 taken; not in it: head.1.bias, head.1.weight; not used: fc.weight",
    ]
    assert all(weight.requires_grad for weight in made.parameters())


def test_nothing_is_loaded_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    made = start_from(network(1))
    assert torch.equal(made.body.conv1.weight, network(1).body.conv1.weight)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("in_file", "now", "keep_head", "taken"),
    [
        (["normal", "ill"], ["Normal", "ill"], True, True),
        (["normal", "ill"], ["ill", "normal"], True, False),
        (["normal", "ill"], ["normal", "ill"], False, False),
        ([], ["normal", "ill"], True, True),
        (["normal", "ill"], [], True, True),
    ],
    ids=["same", "other order", "not wanted", "unknown in the file", "unknown now"],
)
def test_a_head_is_taken_for_the_same_classes(
    in_file: list[str], now: list[str], keep_head: bool, taken: bool, tmp_path: Path
) -> None:
    torch.save(with_record(network(0).state_dict(), Trained(tuple(in_file))), tmp_path / "w.pt")
    made = start_from(network(1), tmp_path / "w.pt", names=now, keep_head=keep_head)
    assert torch.equal(made.body.conv1.weight, network(0).body.conv1.weight)
    assert torch.equal(made.head[1].weight, network(0 if taken else 1).head[1].weight)
    assert torch.equal(made.head[1].bias, network(0 if taken else 1).head[1].bias)


def test_a_head_for_more_classes_is_not_taken(tmp_path: Path) -> None:
    torch.save(network(0, 5).state_dict(), tmp_path / "five.pt")
    found = fit_start(network(1), tmp_path / "five.pt")
    assert found.missing == ("head.1.bias", "head.1.weight")
    assert found.unexpected == ("head.1.weight", "head.1.bias")
    assert len(found.taken) == len(network(1).state_dict()) - 2


def test_a_segmenter_takes_all_but_a_head_for_other_labels(tmp_path: Path) -> None:
    torch.save(ResUNet(2, 1, 4, features=(4, 8)).state_dict(), tmp_path / "four.pt")
    found = fit_start(ResUNet(2, 1, 2, features=(4, 8)), tmp_path / "four.pt")
    assert found.missing == ("heads.0.conv.weight", "heads.0.conv.bias")


def test_a_calibration_is_never_taken(tmp_path: Path) -> None:
    """It was fitted on what the weights gave before they were trained on."""
    settings = {"features": (4, 8), "classes": 3, "finding": [1], "pixel_mm2": 2.5}
    given = SliceClassifier(3, **settings)
    given.slope.fill_(1.7)
    given.offset.fill_(-0.4)
    torch.save(given.state_dict(), tmp_path / "w.pt")
    made = start_from(SliceClassifier(3, **settings), tmp_path / "w.pt")
    assert (made.slope.item(), made.offset.item()) == (1.0, 0.0)
    heads = [net.body.heads[0].conv.weight for net in (made, given)]
    assert torch.equal(*heads)


def test_what_a_file_may_lack_is_named_by_the_user(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(weights)
    kept = {name: value for name, value in state.items() if not name.startswith("layer4.1.")}
    torch.save(kept, weights)
    reason = refused_by(lambda: start_from(network(1), weights), "E_BUNDLE").reason
    assert "10 of 120 weights are missing (layer4.1.conv1.weight, " in reason
    refused_by(lambda: start_from(network(1), weights, may_lack=["layer4.1.conv"]), "E_BUNDLE")
    made = start_from(network(1), weights, may_lack=["layer4.1"])
    assert torch.equal(made.body.conv1.weight, state["conv1.weight"])
    last = made.body.layer4[1].conv1.weight
    assert torch.equal(last, network(1).body.layer4[1].conv1.weight)
    assert "not in it: body.layer4.1.conv1.weight" in capsys.readouterr().out


def test_a_safetensors_file_of_another_library_starts_a_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = pytest.importorskip("safetensors.torch")
    small = {"layers": (1, 1, 1, 1), "growth": 4}
    torch.manual_seed(0)
    state = DenseNetClassifier(3, 2, **small).body.state_dict()
    theirs = {name.replace(".layers.", "."): value for name, value in state.items()}
    theirs["classifier.weight"] = torch.zeros(1000, 8)
    package.save_file(theirs, tmp_path / "densenet.safetensors")
    made = start_from(DenseNetClassifier(1, 2, **small), tmp_path / "densenet.safetensors")
    assert torch.equal(made.body.features.norm5.weight, state["features.norm5.weight"])
    summed = state["features.conv0.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(made.body.features.conv0.weight.detach(), summed)
    said = capsys.readouterr().out.splitlines()
    assert said[1].endswith("head.1.bias, head.1.weight; not used: classifier.weight")


def test_other_networks_are_refused(weights: Path, tmp_path: Path) -> None:
    for depth, reason in ((18, "are unexpected (layer1.2.conv1.weight"), (50, "are missing (")):
        torch.save(ResidualClassifier(3, 2, width=4, depth=34).body.state_dict(), tmp_path / "34")
        other = ResidualClassifier(3, 2, width=4, depth=depth)
        error = refused_by(lambda other=other: start_from(other, tmp_path / "34"), "E_BUNDLE")
        assert reason in error.reason
    wide = ResidualClassifier(3, 2, width=8)
    error = refused_by(lambda: start_from(wide, weights), "E_BUNDLE")
    assert error.path == str(weights)
