# SPDX-License-Identifier: Apache-2.0
"""How well a classifier ranks the slices of labelled volumes, while an evaluator runs."""

import csv
import os
from pathlib import Path
from typing import Any

import ignite.distributed
import torch
from ignite.engine import Engine, Events
from monai.metrics import CumulativeIterationMetric
from torch import Tensor

from ..atomic import replacing
from .classification import roc_auc

COLUMNS = ("case", "slice", "log_odds", "lesion_mm2")


def log_odds(scores: Tensor) -> Tensor:
    """Score of a finding less that of none, (Z,), of scores (2, Z), class 0 is none.

    Example:
        >>> log_odds(torch.tensor([[1.0, 0.0], [3.0, -2.0]])).tolist()
        [2.0, -2.0]
    """
    return scores[1] - scores[0]


class SliceAuc(CumulativeIterationMetric):
    """Area under the ROC curve over all slices; a MONAI metric, so it gathers over GPUs.

    Scores are (2, Z), truth is the area of lesion in each slice, (1, Z) in mm^2. Slices with a
    little lesion, above 0 and below `smallest_mm2`, are left out: they are neither.

    Args:
        smallest_mm2: of lesion in a positive slice.
    """

    def __init__(self, smallest_mm2: float) -> None:
        super().__init__()
        self.smallest_mm2 = smallest_mm2

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **_: Any) -> Tensor:
        if y is None:
            raise ValueError("SliceAuc needs the area of lesion in each slice beside the scores")
        rows = [
            torch.stack([log_odds(scores).cpu(), area[0].cpu()], 1)
            for scores, area in zip(y_pred, y, strict=True)
        ]
        return torch.cat(rows)

    def aggregate(self, *_: Any, **__: Any) -> Tensor:
        odds, area = self.get_buffer().double().unbind(1)
        counts = (area == 0) | (area >= self.smallest_mm2)
        return torch.tensor(roc_auc(odds[counts].numpy(), (area[counts] > 0).int().numpy()))


class SliceScores:
    """Write score and area of lesion of every slice an evaluator sees, as a CSV.

    Attach it to an evaluator whose post-processing gives scores `pred` (2, Z) and `label` (1, Z) in
    mm^2. Columns: case, slice (of the network's input, 0 is nearest the feet), log_odds,
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
            odds, area = log_odds(item["pred"]).cpu(), item["label"][0].cpu()
            for index, (score, mm2) in enumerate(zip(odds.tolist(), area.tolist(), strict=True)):
                self._rows.append((name, index, f"{score:.5f}", f"{mm2:.2f}"))

    def write(self, _: Engine) -> None:
        with (
            replacing(self.path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows([COLUMNS, *self._rows])
