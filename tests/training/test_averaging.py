# SPDX-License-Identifier: Apache-2.0
"""The average of the weights: its value step by step, kept as the model, and after a stop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from small_training import StopAt, make_training, toy_network
from torch import nn

from medvol.networks.weights import read_state
from medvol.training.averaging import WeightAveraging, share_at

BETTER = {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}.get


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Drawing takes longer than training; `test_curves` looks at the picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvol.training.curves.draw_curves", lambda _: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of four epochs, each better than the one before."""
    folder = tmp_path_factory.mktemp("whole")
    make_training(folder, ema=0.2, score=BETTER).run()
    return folder


def weights_after_each_step(share: float | None) -> list[tuple[float, float]]:
    """A weight and a mean of batch normalisation, averaged, when all are 1, 3, 0 in three steps."""
    network = nn.BatchNorm1d(1)
    averaging = WeightAveraging(network, share)
    found = []

    def step(_: Engine, value: float) -> None:
        for x in (network.weight.data, network.running_mean, network.num_batches_tracked):
            x.fill_(value)

    def look(_: Engine) -> None:
        kept = averaging.network
        found.append((kept.weight.item(), kept.running_mean.item()))

    engine = Engine(step)
    averaging.attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED, look)
    engine.run([1.0, 3.0, 0.0])
    assert [network.weight.item(), network.num_batches_tracked.item()] == [0, 0]
    return found


def test_weights_and_statistics_move_by_the_share() -> None:
    """1 as it is; by 0.9 from 1 towards 3: 2.8; by 0.9 towards 0: 0.28. Small shares begin with
    9 / 11 and 9 / 12: 1 + 2 * 9 / 11 = 29 / 11, and a quarter of that."""
    fast, slow = weights_after_each_step(0.9), weights_after_each_step(0.01)
    assert [w for w, _ in fast] == pytest.approx([1, 2.8, 0.28])
    assert [w for w, _ in slow] == pytest.approx([1, 29 / 11, 29 / 44])
    assert all(weight == mean for weight, mean in [*fast, *slow])
    assert share_at(890, 0.01) == share_at(9000, 0.01) == 0.01 < share_at(889, 0.01)


def test_without_a_share_the_network_itself_is_kept() -> None:
    network = toy_network()
    averaging = WeightAveraging(network)
    assert averaging.network is network
    assert averaging.state_dict() == {}
    averaging.load_state_dict({"network": {}, "steps": 3})  # of a training that had one
    assert weights_after_each_step(None) == [(1, 1), (3, 3), (0, 0)]


@pytest.mark.parametrize("share", [0, 1, -0.1, 5])
def test_another_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"ema is {share}; give a share above 0 and below 1"):
        WeightAveraging(toy_network(), share)


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED])
def test_stopped_and_continued_the_average_is_as_of_one_run(
    event: Events, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_training(tmp_path, ema=0.2, score=BETTER, before_resume=[StopAt(event, 3)]).run()
    make_training(tmp_path, ema=0.2, score=BETTER, first_weights=99).run()
    ends = [load(folder / "last.pt")["averaged"] for folder in (whole, tmp_path)]
    assert ends[0]["steps"] == ends[1]["steps"] == 8
    for one, other in [
        [end["network"] for end in ends],
        [load(folder / "model.pt") for folder in (whole, tmp_path)],
    ]:
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_the_average_is_kept_and_the_training_is_as_without(whole: Path, tmp_path: Path) -> None:
    make_training(tmp_path).run()
    with_it, without = (load(folder / "last.pt") for folder in (whole, tmp_path))
    torch.testing.assert_close(with_it["network"], without["network"], rtol=0, atol=0)
    averaged = dict(with_it["averaged"]["network"])
    assert not torch.equal(with_it["network"]["0.weight"], averaged["0.weight"])
    for kept in (load(whole / "model.pt"), read_state(whole / "last.pt")):
        torch.testing.assert_close(dict(kept), averaged, rtol=0, atol=0)
    state = read_state(tmp_path / "last.pt")
    torch.testing.assert_close(state, dict(without["network"]), rtol=0, atol=0)
