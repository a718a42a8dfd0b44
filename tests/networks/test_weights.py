# SPDX-License-Identifier: Apache-2.0
"""Weights from a file: taken as they are, or refused with the file's name and the reason."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused_by
from torch import Tensor

from medvol.networks.weights import (
    load_weights,
    read_state,
    record_in,
    unwrapped,
    with_record,
)
from medvol.trained import Trained


def linear(seed: int, outputs: int = 3) -> torch.nn.Linear:
    torch.manual_seed(seed)
    return torch.nn.Linear(2, outputs)


def behind(wrapper: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {wrapper + name: value for name, value in state.items()}


STATE = dict(linear(0).state_dict())


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"model": STATE, "best": 0.5},
        {"network": STATE, "optimizer": {"lr": 0.1}, "epoch": 3},
        {"model_state_dict": STATE, "optimizer_state_dict": {"lr": 0.1}},
        {"state_dict": behind("network._orig_mod.module.", STATE)},
        {"state_dict": behind("model.", STATE), "epoch": 3},
        {"model": behind("module.", STATE)},
        behind("_orig_mod.", STATE),
        behind("_orig_mod.module.", STATE),
    ],
    ids=[
        "state dict", "under model", "medvol's checkpoint", "under model_state_dict",
        "three wrappers under state_dict", "Lightning", "several processes",
        "compiled", "compiled in several processes",
    ],
)  # fmt: skip
def test_weights_are_taken(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "gate.pt")
    made = linear(1)
    load_weights(tmp_path / "gate.pt", made)
    assert torch.equal(made.weight, STATE["weight"])


def test_a_record_goes_with_a_plain_state_dict(tmp_path: Path) -> None:
    network, path = torch.nn.Linear(2, 3), tmp_path / "model.pt"
    trained = Trained(("a", "b", "c"), "0123456789abcdef", "radiographs")
    torch.save(with_record(network.state_dict(), trained), path)
    assert record_in(path) == trained
    plain = torch.load(path, weights_only=True)
    assert list(plain) == ["weight", "bias"]
    torch.nn.Linear(2, 3).load_state_dict(plain)
    torch.save(with_record(read_state(path), record_in(path)), path)
    load_weights(path, network, names=["A", "b", "C"])
    refused_by(lambda: load_weights(path, network, names=["b", "a", "c"]), "E_LABELS")
    state = {"network": network.state_dict(), "names": ["x", "y", "z"], "chain_fingerprint": "12"}
    torch.save(state, path)
    assert record_in(path) == Trained(("x", "y", "z"), "12")
    torch.save(network.state_dict(), path)
    assert record_in(path) == Trained()
    load_weights(path, network, names=["b", "a", "c"])
    path.write_bytes(b"PK")
    assert record_in(path) == record_in(tmp_path / "none.pt") == Trained()


def test_names_alone_are_what_older_trainings_left(tmp_path: Path) -> None:
    older = OrderedDict(STATE)
    older._metadata = {"medvol.names": {"medvol.names": ["a", "b", "c"]}}  # type: ignore[attr-defined]
    torch.save(older, tmp_path / "model.pt")
    assert record_in(tmp_path / "model.pt") == Trained(("a", "b", "c"))


def test_names_that_the_network_has_itself_stay() -> None:
    own = ["model.0.weight", "model.0.bias"]
    assert [*unwrapped(dict.fromkeys(own, Tensor()), own)] == own
    assert [*unwrapped(behind("model.", dict.fromkeys(own, Tensor())), own)] == own
    mixed = {"module.a": Tensor(), "b": Tensor()}
    assert [*unwrapped(mixed)] == ["module.a", "b"]
    assert unwrapped({}) == {}


def test_safetensors_are_read_where_the_package_is(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.torch")
    package.save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors")
    assert read_state(tmp_path / "w.safetensors")["a"].tolist() == [1, 1]
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-4])
    refused_by(lambda: read_state(tmp_path / "cut.safetensors"), "E_BUNDLE")


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("none.pt", "cannot be read (No such file", "Copy models/none.pt into the bundle"),
        ("none.safetensors", "cannot be read (No such file", "Copy models/none.safetensors"),
        ("text.pt", "not a state dict", "git lfs pull"),
        ("cut.pt", "not a state dict", "git lfs pull"),
        ("settings.pt", "something else than names with tensors", "torch.save"),
        (
            "wide.pt",
            "2 differ (weight has shape (4, 2), the network (3, 2), bias has shape (4,), the "
            "network (3,)).",
            "same version",
        ),
        ("short.pt", "1 of 2 weights is missing (bias).", "same version"),
        ("long.pt", "1 is unexpected (scale).", "same version"),
        (
            "other.pt",
            "2 of 2 weights are missing (weight, bias), 5 are unexpected (0, 1, 2 and 2 more).",
            "same version",
        ),
        ("nan.pt", "the weights hold NaN in bias.", "Train again"),
        ("inf.pt", "the weights hold infinite numbers in weight.", "Train again"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(
    tmp_path: Path, name: str, reason: str, remedy: str
) -> None:
    torch.save({"epoch": 3}, tmp_path / "settings.pt")
    torch.save(linear(0, outputs=4).state_dict(), tmp_path / "wide.pt")
    torch.save({"weight": STATE["weight"]}, tmp_path / "short.pt")
    torch.save({**STATE, "scale": torch.ones(1)}, tmp_path / "long.pt")
    torch.save({str(n): torch.ones(1) for n in range(5)}, tmp_path / "other.pt")
    torch.save({**STATE, "bias": torch.tensor([0.0, torch.nan, torch.inf])}, tmp_path / "nan.pt")
    torch.save({**STATE, "weight": STATE["weight"] / 0}, tmp_path / "inf.pt")
    (tmp_path / "text.pt").write_text("version https://git-lfs.github.com/spec/v1")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "long.pt").read_bytes()[:-1])
    made, before = linear(1), linear(1).state_dict()
    error = refused_by(lambda: load_weights(tmp_path / name, made), "E_BUNDLE")
    assert error.path == str(tmp_path / name)
    assert reason in error.reason
    assert remedy in error.remedy
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code ran",)


def test_a_file_is_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    refused_by(lambda: read_state(tmp_path / "evil.pt"), "E_BUNDLE")
    assert "code ran" not in capsys.readouterr().out
