# SPDX-License-Identifier: Apache-2.0
"""Weights before the first epoch: of a training all but the head, of an evaluation all."""

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from refusals import refused_by
from tiny_bundle import tiny_network, tiny_radiograph_bundle
from torch import nn

from medvol.networks.resunet import ResUNet
from medvol.networks.weights import with_record
from medvol.trained import Trained
from medvol.training.start import StartFrom, WeightsCheckpointLoader


def network(seed: int, classes: int = 2, features: tuple[int, ...] = (4, 8)) -> ResUNet:
    torch.manual_seed(seed)
    return ResUNet(2, 1, classes, features=features)


def started(handler: StartFrom | WeightsCheckpointLoader, *, epoch: int = 0) -> None:
    engine = Engine(lambda *_: None)
    engine.add_event_handler(Events.STARTED, lambda: setattr(engine.state, "epoch", epoch))
    handler.attach(engine)
    engine.run([0], max_epochs=epoch + 1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save({"network": network(0).state_dict(), "epoch": 3}, tmp_path / "last.pt")
    return tmp_path / "last.pt"


def equal(one: nn.Module, other: nn.Module, part: str) -> bool:
    states = [{n: x for n, x in m.state_dict().items() if n.startswith(part)} for m in (one, other)]
    return all(torch.equal(states[0][n], states[1][n]) for n in states[0])


def test_a_head_for_other_classes_keeps_its_own(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = network(1, classes=5)
    started(StartFrom(made, saved))
    assert equal(made, network(0), "encoder")
    assert equal(made, network(1, classes=5), "heads")
    taken = len(made.state_dict()) - 2
    left = "not in it: heads.0.conv.weight, heads.0.conv.bias; not used: none"
    assert capsys.readouterr().out.splitlines()[1] == f"{taken} taken; {left}"
    same = network(1)
    started(StartFrom(same, saved))
    assert equal(same, network(0), "")


def test_a_head_for_classes_of_other_names_keeps_its_own(saved: Path) -> None:
    torch.save({"network": network(0).state_dict(), "names": ["normal", "pneumonia"]}, saved)
    for names, own_head in ((["no covid", "covid"], True), (["Normal", "pneumonia"], False),
                            (["pneumonia", "normal"], True), ([], False)):  # fmt: skip
        made = network(1)
        started(StartFrom(made, saved, names=names))
        assert equal(made, network(0), "encoder")
        assert equal(made, network(1 if own_head else 0), "heads")


def test_an_evaluation_with_weights_of_other_names_is_refused(saved: Path) -> None:
    torch.save({"network": network(0).state_dict(), "names": ["normal", "pneumonia"]}, saved)
    started(WeightsCheckpointLoader(network(1), saved, names=["normal", "Pneumonia"]))
    wrong = WeightsCheckpointLoader(network(1), saved, names=["pneumonia", "normal"])
    error = refused_by(lambda: started(wrong), "E_LABELS")
    assert (error.path, error.reason) == (
        str(saved), "these weights were trained for normal, pneumonia, not for pneumonia, normal."
    )  # fmt: skip


def test_a_training_that_was_begun_keeps_its_weights(saved: Path) -> None:
    made = network(1)
    started(StartFrom(made, saved), epoch=1)
    assert equal(made, network(1), "")


def test_a_part_of_a_network_is_refused_unless_it_is_named(saved: Path) -> None:
    whole = network(0).state_dict()
    torch.save({n: x for n, x in whole.items() if n.startswith("encoder")}, saved)
    made = network(1)
    error = refused_by(lambda: started(StartFrom(made, saved)), "E_BUNDLE")
    assert "weights are missing (" in error.reason
    assert error.path == str(saved)
    assert "may_lack" in error.remedy
    assert equal(made, network(1), "")
    rest = sorted({name.partition(".")[0] for name in whole} - {"encoder"})
    started(StartFrom(made, saved, may_lack=rest))
    assert equal(made, network(0), "encoder")


def test_a_deeper_network_is_refused(saved: Path) -> None:
    deeper = network(0, features=(4, 8, 16))
    error = refused_by(lambda: started(StartFrom(deeper, saved)), "E_BUNDLE")
    assert "weights are missing" in error.reason
    torch.save(deeper.state_dict(), saved)
    error = refused_by(lambda: started(StartFrom(network(1), saved)), "E_BUNDLE")
    assert "unexpected" in error.reason or "differ" in error.reason


def test_an_evaluation_takes_every_form_of_file_and_all_or_nothing(saved: Path) -> None:
    made = network(1)
    started(WeightsCheckpointLoader(made, saved, device="cpu"))
    assert equal(made, network(0), "")
    refused_by(lambda: started(WeightsCheckpointLoader(network(1, classes=5), saved)), "E_BUNDLE")
    torch.save({"module." + n: x for n, x in network(2).state_dict().items()}, saved)
    started(WeightsCheckpointLoader(made, saved))
    assert equal(made, network(2), "")


def test_weights_of_a_bundle_are_compared_with_its_metadata(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `monai.bundle run` does with plain weights, and with those of another training."""
    made = tiny_radiograph_bundle(tmp_path / "tiny", metadata={"weights_record": None})
    weights, state = made / "models" / "model.pt", tiny_network().state_dict()
    started(WeightsCheckpointLoader(tiny_network(1), weights, names=["normal", "pneumonia"]))
    assert capsys.readouterr().out == ""
    torch.save(state, weights)
    started(WeightsCheckpointLoader(tiny_network(1), weights, names=["normal", "pneumonia"]))
    assert capsys.readouterr().out.startswith("N_WEIGHTS nothing says that the bundle's weights")
    for trained, code in (
        (Trained(("healthy", "tb")), "E_LABELS"),
        (Trained(task="volumes"), "E_BUNDLE"),
    ):
        torch.save(with_record(state, trained), weights)
        refused_by(lambda: started(WeightsCheckpointLoader(tiny_network(1), weights)), code)
    elsewhere = tmp_path / "run" / "model.pt"
    elsewhere.parent.mkdir()
    torch.save(state, elsewhere)
    started(WeightsCheckpointLoader(tiny_network(1), elsewhere))
    assert capsys.readouterr().out == ""
