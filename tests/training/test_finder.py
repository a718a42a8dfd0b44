# SPDX-License-Identifier: Apache-2.0
"""The finder finds the best rate of a problem whose best rate is known, and leaves no trace."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer
from PIL import Image as Picture
from small_classes import make_classes_training
from torch import Tensor, nn

from medvol.training.finder import (
    RateFinder,
    draw_rates,
    longest_fall,
    steepest,
    suggest,
    valley,
)


class Weight(nn.Module):
    """One number w, whatever the image."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        return self.w * image


class Quadratic(nn.Module):
    """Loss a w^2 / 2, whose slope is a w: a step of rate r gives w (1 - a r).

    The best rate is 1 / a, which ends at 0 in one step; beyond 2 / a steps lead away from it.
    """

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = a

    def forward(self, pred: Tensor, _: Tensor) -> Tensor:
        return self.a * pred.square().mean() / 2


def quadratic_training(a: float, lr: float = 1.0) -> SupervisedTrainer:
    network = Weight()
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=DataLoader(Dataset([{"image": torch.ones(1), "label": 0}] * 3)),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=lr),
        loss_function=Quadratic(a),
    )


@pytest.mark.parametrize("a", [0.3, 10.0, 2000.0])
def test_best_rate_of_a_quadratic_is_found(a: float, tmp_path: Path) -> None:
    """Where the loss falls fastest, by hand: rates grow by q = 1e8 ** (1 / 99) a step, so those
    before rate r have the sum r / (q - 1), and the loss has fallen to about exp(-2 a sum). Over
    the logarithm of r this is steepest where 2 a sum = 1, at r = (q - 1) / (2 a): 0.10 / a.
    """
    found = RateFinder(quadratic_training(a), tmp_path, steps=100).run()
    best, q = 1 / a, 1e8 ** (1 / 99)
    assert found.steepest == pytest.approx(best * (q - 1) / 2, rel=q - 1)  # a step
    assert best / 1000 < found.valley < best
    # four times the lowest loss is reached beyond 2 / a, where steps begin to lead away
    assert 2 * best < found.rates[-1] < 30 * best
    np.testing.assert_allclose(found.rates[:2], [1e-7, 1e-7 * 1e8 ** (1 / 99)])
    assert found.losses[0] == pytest.approx(a / 2)


def test_training_at_the_rates_found_goes_down_and_beyond_the_end_up(tmp_path: Path) -> None:
    a = 10.0
    found = RateFinder(quadratic_training(a), tmp_path).run()

    def after(rate: float) -> float:
        trainer = quadratic_training(a, rate)
        trainer.state.max_epochs = 10  # of three steps
        trainer.run()
        return float(trainer.network.w.detach().abs())

    assert after(found.steepest) < 0.5
    assert after(found.valley) < 1
    assert after(found.rates[-1]) > 1


def test_steepest_is_where_the_slope_over_the_logarithm_is_lowest() -> None:
    rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    # lowest so far: 3, 3, 2, 0, 0; differences per decade: 0, -0.5, -1.5, -1, 0
    assert steepest(rates, [3.0, 3.0, 2.0, 0.0, 4.0]) == 1e-2
    assert steepest(rates, [3.0, 1.0, 0.9, 0.8, 0.9]) == 1e-4


def test_steepest_passes_over_what_comes_back_from_a_bad_step() -> None:
    rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    # lowest so far: 3, 2.5, 1.5, 1.5, 1.2; differences per decade: -0.5, -0.75, -0.5, -0.15, -0.3
    assert steepest(rates, [3.0, 2.5, 1.5, 90.0, 1.2]) == 1e-3


@pytest.mark.parametrize(
    ("losses", "fall"),
    [
        ([5.0, 4.0, 3.0, 2.0], [0, 1, 2, 3]),
        ([9.0, 8.0, 8.5, 7.0, 5.0, 6.0], [0, 1, 3, 4]),
        ([1.0, 2.0, 3.0], [0]),
        ([2.0, 2.0, 2.0], [0]),
        ([5.0, 1.0, 4.0, 3.0, 2.0], [0, 2, 3, 4]),
    ],
)
def test_longest_fall_by_hand(losses: list[float], fall: list[int]) -> None:
    assert longest_fall(losses) == fall


def test_valley_is_two_thirds_into_the_fall() -> None:
    rates = [float(i) for i in range(10)]
    flat, falling, rising = [7.0, 7.0], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [3.0, 9.0]
    # the fall goes from index 0 (7.0) to 7 (1.0) in 7 points; two thirds of 6 is the fifth
    assert longest_fall(flat + falling + rising) == [0, 2, 3, 4, 5, 6, 7]
    assert valley(rates, flat + falling + rising) == 5.0


def test_other_numbers_of_rates_and_losses_are_refused() -> None:
    for of in (steepest, valley):
        with pytest.raises(ValueError, match="2 rates and 3 losses"):
            of([1.0, 2.0], [1.0, 2.0, 3.0])


def test_noise_of_the_first_tenth_suggests_nothing() -> None:
    rates = np.geomspace(1e-6, 1, 60).tolist()
    losses = [4.0, 3.0, *[2.0] * 30, *[1.0] * 28]  # the real fall is between 31 and 32
    assert suggest(rates, losses).steepest in rates[31:33]
    assert suggest(rates, losses).valley > rates[6]


def test_smoothing_does_not_lag() -> None:
    """A step between 49 and 50 stays there."""
    found = suggest(np.geomspace(1e-5, 1, 100).tolist(), [1.0] * 50 + [0.0] * 50)
    assert found.smoothed[49] + found.smoothed[50] == pytest.approx(1)
    assert found.smoothed[49] > 0.5 > found.smoothed[50]


def test_network_and_optimizer_are_as_before(tmp_path: Path) -> None:
    trainer = make_classes_training(tmp_path / "training")
    before = copy.deepcopy((trainer.network.state_dict(), trainer.optimizer.state_dict()))
    trainer.network.eval()
    RateFinder(trainer, tmp_path / "rates", steps=20).run()
    after = trainer.network.state_dict(), trainer.optimizer.state_dict()
    torch.testing.assert_close(after[0], before[0], rtol=0, atol=0)
    assert after[1] == before[1]
    assert after[1]["state"] == {}
    assert not trainer.network.training
    assert all(p.grad is None for p in trainer.network.parameters())
    assert sorted(p.name for p in (tmp_path / "rates").iterdir()) == [
        "learning_rates.csv", "learning_rates.png",
    ]  # fmt: skip


def test_a_failure_leaves_no_trace_either(tmp_path: Path) -> None:
    trainer = quadratic_training(10.0)

    class Breaks(SimpleInferer):
        calls = 0

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == 5:
                raise RuntimeError("broken")
            return super().__call__(*args, **kwargs)

    trainer.inferer = Breaks()
    with pytest.raises(RuntimeError, match="broken"):
        RateFinder(trainer, tmp_path).run()
    assert trainer.network.w.item() == 1
    assert trainer.optimizer.param_groups[0]["lr"] == 1.0


def test_groups_keep_the_ratio_of_their_rates(tmp_path: Path) -> None:
    trainer = quadratic_training(10.0)
    trainer.optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "lr": 0.01})
    seen = []
    step = trainer.optimizer.step
    trainer.optimizer.step = lambda: (  # type: ignore[method-assign]
        seen.append([group["lr"] for group in trainer.optimizer.param_groups]), step()
    )  # fmt: skip
    RateFinder(trainer, tmp_path, lowest=1e-4, highest=1e-2, steps=11).run()
    np.testing.assert_allclose(seen[0], [1e-4, 1e-6])
    np.testing.assert_allclose(seen[-1], [1e-2, 1e-4])


def test_a_loss_that_is_no_number_ends_it(tmp_path: Path) -> None:
    trainer = quadratic_training(10.0)
    loss = trainer.loss_function
    calls = iter(range(1000))
    trainer.loss_function = lambda pred, y: (
        loss(pred, y) * (math.nan if next(calls) >= 30 else 1.0)
    )  # fmt: skip
    found = RateFinder(trainer, tmp_path, highest=1e-3).run()
    assert len(found.losses) == 30
    assert np.isfinite(found.losses).all()


def test_divergence_at_once_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"diverged after .* give a lower lowest than 1.0e\+01"):
        RateFinder(quadratic_training(1000.0), tmp_path, lowest=10, highest=100).run()


@pytest.mark.parametrize(
    "settings", [{"lowest": 0}, {"lowest": 1, "highest": 1}, {"steps": 9}], ids=str
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lowest below highest"):
        RateFinder(quadratic_training(1.0), tmp_path, **settings)
    with pytest.raises(ValueError, match="all rates of the optimizer are 0"):
        RateFinder(quadratic_training(1.0, lr=0.0), tmp_path)


def test_files_and_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = RateFinder(quadratic_training(10.0), tmp_path).run()
    rows = (tmp_path / "learning_rates.csv").read_text().splitlines()
    assert rows[0] == "rate,loss,smoothed"
    assert len(rows) == 1 + len(found.rates)
    assert float(rows[1].split(",")[0]) == 1e-7
    out = capsys.readouterr().out
    assert out == f"learning rates: steepest {found.steepest:.1e}, valley {found.valley:.1e}\n"
    with Picture.open(tmp_path / "learning_rates.png") as picture:
        assert picture.size == (700, 400)


def test_a_flat_curve_can_be_drawn(tmp_path: Path) -> None:
    draw_rates(tmp_path / "flat.png", suggest([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]))
    assert (tmp_path / "flat.png").stat().st_size > 0
