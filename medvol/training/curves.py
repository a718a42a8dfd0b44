# SPDX-License-Identifier: Apache-2.0
"""Watching a training: curves as CSV and as a picture, also over a resume; a progress bar."""

import csv
import os
from pathlib import Path
from typing import Any, NamedTuple

import ignite.distributed as idist
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.utils.enums import CommonKeys
from torch.optim import Optimizer

from ..errors import InputError
from ..files import read_csv, replacing, write_csv

COLUMNS = ("epoch", "name", "value")
PANELS = 4  # in a row of the picture


class Point(NamedTuple):
    """One figure after one epoch."""

    epoch: int
    name: str
    value: float


def read_curves(path: str | os.PathLike[str]) -> list[Point]:
    """The points of a curve file in their order, as for `Curves`; none without such a file.

    Raises:
        InputError: E_CORRUPT, it is cut or damaged.
    """
    if not Path(path).is_file():
        return []
    try:
        whole = Path(path).read_bytes().endswith(b"\n")
        points = [Point(int(r["epoch"]), r["name"], float(r["value"])) for r in read_csv(path)]
    except (ValueError, KeyError, TypeError, csv.Error):
        whole = False
    if not whole:
        raise _damaged(path, "it is cut or damaged.")
    return points


def _damaged(path: str | os.PathLike[str], reason: str) -> InputError:
    remedy = "Take it away, and the training goes on without its earlier points."
    return InputError("E_CORRUPT", path, reason, remedy)


class Curves:
    """Write mean loss, learning rate and validation metrics of every epoch to `curves.csv`,
    and draw them in `curves.png`.

    After a resume the points of later epochs, which will be computed again, are taken out. With
    several GPUs the first process writes, its own loss.
    Attach it to the trainer between the validation handler and `Resume`.

    Args:
        folder: where the two files go.
        optimizer: whose learning rate is recorded.
        evaluator: whose metrics are recorded.
    """

    def __init__(
        self, folder: str | os.PathLike[str], optimizer: Optimizer, evaluator: Engine | None = None
    ) -> None:
        self.path = Path(folder) / "curves.csv"
        self.optimizer = optimizer
        self.evaluator = evaluator
        self._losses: list[float] = []
        self._started = False

    def attach(self, engine: Engine) -> None:
        """Follow a trainer; on the first GPU alone.

        Raises:
            InputError: E_CORRUPT, the file of before is cut or damaged.
        """
        if idist.get_rank() > 0:
            return
        read_curves(self.path)
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)
        if self.evaluator is not None:
            self.evaluator.add_event_handler(Events.EPOCH_COMPLETED, self.validated)

    def start(self, engine: Engine) -> None:
        """Take points out that will be computed again.

        Raises:
            InputError: E_CORRUPT, points of earlier epochs are missing.
        """
        if self._started:  # only before the first epoch of this process, which may be any
            return
        self._started = True
        points = [p for p in read_curves(self.path) if p.epoch < engine.state.epoch]
        last, wanted = max((p.epoch for p in points), default=0), engine.state.epoch - 1
        if self.path.is_file() and last < wanted:
            raise _damaged(self.path, f"it ends after epoch {last}, the training after {wanted}.")
        write_csv(self.path, COLUMNS, points)

    def collect(self, engine: Engine) -> None:
        """Note the loss of a batch."""
        self._losses.append(float(engine.state.output[0][CommonKeys.LOSS]))

    def write(self, engine: Engine) -> None:
        """Add the points of an epoch, and draw."""
        rates = self.optimizer.param_groups[-1]["lr"]  # of the head, where layers have their own
        epoch = engine.state.epoch
        loss = sum(self._losses) / len(self._losses)
        self._losses.clear()
        self._append([Point(epoch, "train_loss", loss), Point(epoch, "learning_rate", rates)])
        draw_curves(self.path)

    def validated(self, engine: Engine) -> None:
        """Add the metrics of a validation."""
        metrics = engine.state.metrics.items()
        self._append([Point(engine.state.epoch, str(k), float(v)) for k, v in metrics])

    def _append(self, points: list[Point]) -> None:
        write_csv(self.path, COLUMNS, [*read_curves(self.path), *points])


def draw_curves(path: str | os.PathLike[str]) -> None:
    """Draw `curves.csv` as `curves.png` beside it: one panel a name, epochs across."""
    from matplotlib.figure import Figure

    points = read_curves(path)
    names = list(dict.fromkeys(p.name for p in points))
    if not names:
        return
    columns = min(PANELS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for name, axis in zip(names, panels, strict=False):
        curve = [(p.epoch, p.value) for p in points if p.name == name]
        axis.plot(*zip(*curve, strict=True), marker=".")
        axis.set(title=name.replace("_", " "), xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axis.grid(alpha=0.3)
    for axis in panels:
        axis.remove()
    with replacing(Path(path).with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=90)


class Progress:
    """A bar per epoch with the loss of the last batch, on standard error.

    Silent when standard error is not a terminal, such as in a log file, and on all GPUs but the
    first. Attach it to a trainer, or to an evaluator, which has no loss to show.

    Args:
        name: word before the bar; "" shows "Epoch".
    """

    def __init__(self, name: str = "") -> None:
        self.bar = ProgressBar(persist=False, desc=name, disable=None)  # None: unless a terminal

    def attach(self, engine: Engine) -> None:
        """Show the progress of an engine; on the first GPU alone."""
        if idist.get_rank() == 0:
            self.bar.attach(engine, output_transform=loss_of)


def loss_of(output: list[dict[str, Any]]) -> dict[str, float]:
    """Loss in the output of one of MONAI's engines, nothing where there is none."""
    loss = output[0].get(CommonKeys.LOSS) if output else None
    return {} if loss is None else {"loss": float(loss)}
