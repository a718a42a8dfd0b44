# SPDX-License-Identifier: Apache-2.0
"""A table of what a classifier says of the slices of labelled volumes, while an evaluator runs."""

import csv
import os
from pathlib import Path

import ignite.distributed
from ignite.engine import Engine, Events
from torch import Tensor

from ..atomic import replacing

COLUMNS = ("case", "slice", "log_odds", "lesion_mm2")


def log_odds(probabilities: Tensor) -> Tensor:
    """Log odds of a finding, (Z,), of probabilities (2, Z), class 0 is none.

    Example:
        >>> log_odds(torch.tensor([[0.5, 0.2], [0.5, 0.8]])).exp().tolist()
        [1.0, 4.0]
    """
    return probabilities[1].log() - probabilities[0].log()


class SliceScores:
    """Write score and area of lesion of every slice an evaluator sees, as a CSV.

    Attach it to an evaluator whose post-processing gives probabilities `pred` (2, Z) and `label`
    (Z,) in mm^2. Columns: case, slice (of the network's input, 0 is nearest the feet), log_odds,
    lesion_mm2.

    Args:
        path: of the CSV.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._rows: list[tuple[object, ...]] = []

    def attach(self, engine: Engine) -> None:
        """Collect and write with this evaluator.

        Raises:
            ValueError: several processes run; each would see a part of the cases.
        """
        processes = ignite.distributed.get_world_size()
        if processes > 1:
            raise ValueError(
                f"a table of slices is written by one process but {processes} run, each with a "
                "part of the cases; evaluate on one process, without torch.distributed.run"
            )
        engine.add_event_handler(Events.STARTED, lambda _: self._rows.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def collect(self, engine: Engine) -> None:
        for item, given in zip(engine.state.output, engine.state.batch, strict=True):
            name = given.get("case", Path(item["image"].meta["filename_or_obj"]).name)
            odds, area = log_odds(item["pred"]).cpu(), item["label"].cpu()
            for index, (score, mm2) in enumerate(zip(odds.tolist(), area.tolist(), strict=True)):
                self._rows.append((name, index, f"{score:.5f}", f"{mm2:.2f}"))

    def write(self, _: Engine) -> None:
        with (
            replacing(self.path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows([COLUMNS, *self._rows])
