# SPDX-License-Identifier: Apache-2.0
"""Learning-rate finder: a short run with a growing rate, its plot, and two rates to start with.

MONAI's `LearningRateFinder` is not used: it leaves out the trainer's inferer and batch preparation,
gives all layers one rate, goes on over NaN, and its smoothed losses lag behind the rates.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from monai.utils.enums import CommonKeys
from scipy.ndimage import gaussian_filter1d

from ..files import replacing, write_csv
from .curves import Progress

COLUMNS = ("rate", "loss", "smoothed")
SMOOTHING = 3.0  # steps, sigma; symmetric, so that the smoothed curve does not lag
SKIPPED = 0.1  # share of the steps at the start, whose losses are noise alone; as in fastai
DIVERGED = 4.0  # times the lowest mean loss, as in fastai
WINDOW = 5  # steps in that mean, so that one bad batch ends nothing
FEWEST = 10  # steps that a curve needs


@dataclass(frozen=True)
class FoundRates:
    """Losses of a range test, and what they suggest.

    Args:
        rates: of each step, growing.
        losses: of each step's batch, before the step.
        smoothed: losses, smoothed over neighbouring steps.
        steepest: rate where the smoothed loss falls fastest, above 0.
        valley: rate two thirds into the longest fall, above 0.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float
    valley: float


class RateFinder:
    """Try rates from `lowest` to `highest`, a step each, and suggest two.

    The range test of Smith, "Cyclical learning rates for training neural networks", 2017 (doi
    10.1109/WACV.2017.58), with rates that grow geometrically. It trains as `trainer` does (network,
    loss, inferer, batches), without its handlers, and leaves network and optimizer as they were.
    It ends early when the loss is not a number or has grown fourfold. Where the optimizer has
    several groups, the highest of their rates is the one tried, and the others keep their ratio.

    Args:
        trainer: how to train.
        folder: for `learning_rates.csv` and `learning_rates.png`.
        lowest, highest: rates of the first and of the last step.
        steps: 10 or more; batches are taken again from the start when there are fewer.

    Raises:
        ValueError: an argument out of range, or all rates of the optimizer are 0.
    """

    def __init__(
        self,
        trainer: SupervisedTrainer,
        folder: str | os.PathLike[str],
        *,
        lowest: float = 1e-7,
        highest: float = 10.0,
        steps: int = 100,
    ) -> None:
        if not 0 < lowest < highest or steps < FEWEST:
            raise ValueError(
                f"lowest, highest and steps are {(lowest, highest, steps)}; give rates above 0 "
                f"with lowest below highest, and {FEWEST} steps or more"
            )
        groups = trainer.optimizer.param_groups
        top = max(group["lr"] for group in groups)
        if not top > 0:
            raise ValueError("all rates of the optimizer are 0; give one group a rate above 0")
        self.trainer = trainer
        self.folder = Path(folder)
        self.rates = np.geomspace(lowest, highest, steps)
        self._shares = [group["lr"] / top for group in groups]

    def run(self) -> FoundRates:
        """Do the test, write both files, print the suggestions in a line.

        Raises:
            ValueError: the loss diverged before there was a curve.
        """
        network, optimizer = self.trainer.network, self.trainer.optimizer
        before = copy.deepcopy((network.state_dict(), optimizer.state_dict(), network.training))
        try:
            losses = self._losses()
        finally:
            network.load_state_dict(before[0])
            optimizer.load_state_dict(before[1])
            optimizer.zero_grad()
            network.train(before[2])
        if len(losses) < FEWEST:
            raise ValueError(
                f"the loss diverged after {len(losses)} steps, at a rate of "
                f"{self.rates[len(losses)]:.1e}; give a lower lowest than {self.rates[0]:.1e}"
            )
        found = suggest(self.rates[: len(losses)].tolist(), losses)
        steps = zip(found.rates, found.losses, found.smoothed, strict=True)
        write_csv(self.folder / "learning_rates.csv", COLUMNS, steps)
        draw_rates(self.folder / "learning_rates.png", found)
        print(f"learning rates: steepest {found.steepest:.1e}, valley {found.valley:.1e}")
        return found

    def _losses(self) -> list[float]:
        """Losses of the steps, until they diverge."""
        losses: list[float] = []
        means: list[float] = []

        def set_rate(engine: Engine) -> None:
            rate = float(self.rates[engine.state.iteration - 1])
            for group, share in zip(self.trainer.optimizer.param_groups, self._shares, strict=True):
                group["lr"] = rate * share

        def collect(engine: Engine) -> None:
            loss = float(engine.state.output[0][CommonKeys.LOSS])
            if not np.isfinite(loss):
                engine.terminate()
                return
            losses.append(loss)
            means.append(float(np.mean(losses[-WINDOW:])))
            if means[-1] > DIVERGED * min(means) and len(losses) >= WINDOW:
                engine.terminate()

        probe = SupervisedTrainer(
            device=self.trainer.state.device,
            max_epochs=1,
            epoch_length=len(self.rates),
            train_data_loader=self.trainer.data_loader,
            network=self.trainer.network,
            optimizer=self.trainer.optimizer,
            loss_function=self.trainer.loss_function,
            inferer=self.trainer.inferer,
            prepare_batch=self.trainer.prepare_batch,
            amp=self.trainer.amp,
            train_handlers=[Progress("rates")],
        )
        probe.add_event_handler(Events.ITERATION_STARTED, set_rate)
        probe.add_event_handler(Events.ITERATION_COMPLETED, collect)
        probe.run()
        return losses


def suggest(rates: Sequence[float], losses: Sequence[float]) -> FoundRates:
    """Smooth the losses and read both suggestions from all but the first tenth of them.

    Args:
        rates: (N,), above 0, growing.
        losses: (N,), 0 or more.
    """
    smoothed = gaussian_filter1d(np.asarray(losses, float), SMOOTHING, mode="nearest").tolist()
    start = int(SKIPPED * len(rates))
    end = rates[start:], smoothed[start:]
    return FoundRates(tuple(rates), tuple(losses), tuple(smoothed), steepest(*end), valley(*end))


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate where the loss falls fastest along the logarithm of the rate.

    Only falls to a new lowest loss count: others come back from a bad step.

    Args:
        rates: (N,), above 0, growing.
        losses: (N,), smoothed over neighbouring steps.

    Example:
        >>> steepest([0.001, 0.01, 0.1, 1.0, 10.0], [5.0, 5.0, 4.0, 1.0, 2.0])
        0.1
    """
    _check(rates, losses)
    lowest = np.minimum.accumulate(np.asarray(losses, float))
    return float(rates[int(np.gradient(lowest, np.log(rates)).argmin())])


def valley(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate two thirds into the longest fall of the loss.

    The longest fall is the longest series of steps, not necessarily neighbours, each with a lower
    loss than the one before; a few that rise in between do not end it. fastai took the idea from
    ESRI: its page says two thirds, as here, while its code takes about the middle.

    Args:
        rates: (N,), above 0, growing.
        losses: (N,), smoothed over neighbouring steps.

    Example:
        >>> valley([1, 2, 3, 4, 5, 6], [9.0, 8.0, 8.5, 7.0, 5.0, 6.0])
        4.0
    """
    _check(rates, losses)
    fall = longest_fall(losses)
    return float(rates[fall[2 * (len(fall) - 1) // 3]])


def longest_fall(losses: Sequence[float]) -> list[int]:
    """Indices of the longest strictly falling subsequence; of equal ones that which ends first.

    Args:
        losses: (N,), of one step each.

    Example:
        >>> longest_fall([3.0, 1.0, 2.0, 0.5])
        [0, 1, 3]
    """
    length = [1] * len(losses)
    previous = [-1] * len(losses)
    for i, loss in enumerate(losses):
        for j in range(i):
            if losses[j] > loss and length[j] + 1 > length[i]:
                length[i], previous[i] = length[j] + 1, j
    fall = [int(np.argmax(length))]
    while previous[fall[-1]] >= 0:
        fall.append(previous[fall[-1]])
    return fall[::-1]


def draw_rates(path: str | os.PathLike[str], found: FoundRates) -> None:
    """The losses over the rates, with both suggestions; losses beyond the first are cut off."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot(found.rates, found.losses, color="0.75", linewidth=1, label="loss of a batch")
    axis.plot(found.rates, found.smoothed, color="C0", label="smoothed")
    for name, rate, style in (("steepest", found.steepest, "--"), ("valley", found.valley, ":")):
        axis.axvline(rate, color="C3", linestyle=style, label=f"{name} {rate:.1e}")
    low, high = min(found.smoothed), max(found.smoothed[: FEWEST // 2])
    room = 0.25 * (high - low) or 1.0
    axis.set(
        xscale="log", ylim=(low - room, high + 2 * room), xlabel="learning rate", ylabel="loss"
    )
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _check(rates: Sequence[float], losses: Sequence[float]) -> None:
    if len(rates) != len(losses) or len(rates) < 2:
        raise ValueError(
            f"{len(rates)} rates and {len(losses)} losses; give as many losses as rates, 2 or more"
        )
