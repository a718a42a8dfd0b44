# SPDX-License-Identifier: Apache-2.0
"""Starting from a file of weights: what is taken, said, frozen, and what is refused."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from refusals import refused_by

from medvol.networks.densenet_classifier import DenseNetClassifier
from medvol.networks.residual_classifier import ResidualClassifier
from medvol.training.pretrained import read_state, start_from


def network(seed: int, out_channels: int = 2) -> ResidualClassifier:
    torch.manual_seed(seed)
    return ResidualClassifier(3, out_channels, width=4)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """As torchvision names them: the body's names, and a last layer of 1,000 classes."""
    state = {**network(0).body.state_dict(), "fc.weight": torch.zeros(1000, 32)}
    del state["bn1.bias"]
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
        f"weights resnet18.pth, sha256 {digest}", "missing: bn1.bias", "unexpected: fc.weight",
    ]  # fmt: skip
    assert all(weight.requires_grad for weight in made.parameters())


def test_nothing_is_loaded_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    made = start_from(network(1), freeze_body=True)
    assert torch.equal(made.body.conv1.weight, network(1).body.conv1.weight)
    assert not made.body.conv1.weight.requires_grad
    assert made.head[1].weight.requires_grad
    assert capsys.readouterr().out == ""


def test_head_and_body_of_an_earlier_stage(tmp_path: Path) -> None:
    torch.save(network(0).state_dict(), tmp_path / "w.pt")
    made = start_from(network(1), tmp_path / "w.pt", keep_head=True)
    assert torch.equal(made.head[1].weight, network(0).head[1].weight)


def test_safetensors_are_read_where_the_package_is(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.torch")
    package.save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors")
    assert read_state(tmp_path / "w.safetensors")["a"].tolist() == [1, 1]
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-4])
    refused_by(lambda: read_state(tmp_path / "cut.safetensors"), "E_FORMAT")


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"state_dict": {"a": torch.ones(2)}, "epoch": 3},
        {"model": {"a": torch.ones(2)}, "best": 0.5},
        {"model": {"module.a": torch.ones(2)}},
        {"module.a": torch.ones(2)},
    ],
    ids=["state_dict", "model", "model of several processes", "several processes"],
)
def test_checkpoints_are_opened(checkpoint: dict[str, object], tmp_path: Path) -> None:
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    state = read_state(tmp_path / "checkpoint.pt")
    assert {name: value.tolist() for name, value in state.items()} == {"a": [1, 1]}


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
    assert said[1:] == ["missing: none", "unexpected: classifier.weight"]


def test_other_networks_are_refused(weights: Path, tmp_path: Path) -> None:
    torch.save(network(0, out_channels=5).state_dict(), tmp_path / "five.pt")
    refused_by(lambda: start_from(network(1), tmp_path / "five.pt", keep_head=True), "E_BUNDLE")
    wide = ResidualClassifier(3, 2, width=8)
    error = refused_by(lambda: start_from(wide, weights), "E_BUNDLE")
    assert error.path == str(weights)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code ran",)


def test_a_file_is_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    refused_by(lambda: read_state(tmp_path / "evil.pt"), "E_FORMAT")
    assert "code ran" not in capsys.readouterr().out


def test_no_file_and_no_state_dict(tmp_path: Path) -> None:
    refused_by(lambda: read_state(tmp_path / "none.pt"), "E_PATH")
    refused_by(lambda: read_state(tmp_path / "none.safetensors"), "E_PATH")
    torch.save({"epoch": 3}, tmp_path / "other.pt")
    refused_by(lambda: read_state(tmp_path / "other.pt"), "E_FORMAT")
