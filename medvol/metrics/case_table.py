# SPDX-License-Identifier: Apache-2.0
"""A CSV with the overlap of every case and region, and the summary below it."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import ignite.distributed
import torch
from ignite.engine import Engine, Events

from ..atomic import replacing
from ..spatial import voxel_volume_ml
from .segmentation import dice, overlap_counts, summarise

COLUMNS = ("case", "region", "dice", "voxels_both", "voxels_predicted", "voxels_true",
           "predicted_ml", "true_ml")  # fmt: skip


class CaseTable:
    """Collect per-case overlap while an evaluator runs, and write it at the end.

    Below the cases stand two rows a region: `pooled` (voxels of all cases together) and `mean`
    (over the cases whose truth has the region). Attach it to an evaluator whose post-processing
    gives label maps `pred` and `label` on one grid.

    Args:
        path: CSV file.
        regions: name to labels, such as {"lesion": [1, 2]}.
    """

    def __init__(self, path: str | os.PathLike[str], regions: Mapping[str, Sequence[int]]) -> None:
        self.path = Path(path)
        self.regions = {name: list(values) for name, values in regions.items()}
        self._cases: list[tuple[str, torch.Tensor, float]] = []

    def attach(self, engine: Engine) -> None:
        """Collect and write with this evaluator.

        Raises:
            ValueError: several processes run; each would see a part of the cases.
        """
        processes = ignite.distributed.get_world_size()
        if processes > 1:
            raise ValueError(
                f"a case table is written by one process but {processes} run, each with a part of "
                "the cases; evaluate on one process, without torch.distributed.run"
            )
        engine.add_event_handler(Events.STARTED, lambda _: self._cases.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def collect(self, engine: Engine) -> None:
        for item in engine.state.output:
            predicted, true = item["pred"], item["label"]
            counts = [overlap_counts(predicted, true, v) for v in self.regions.values()]
            file = Path(true.meta["filename_or_obj"]).name.removesuffix(".gz").rpartition(".")[0]
            name = str(item.get("case", file))
            ml = voxel_volume_ml(true.affine.cpu().numpy())
            self._cases.append((name, torch.stack(counts).cpu(), ml))

    def write(self, _: Engine) -> None:
        if not self._cases:
            return
        rows: list[tuple[object, ...]] = []
        for name, counts, ml in self._cases:
            for region, row in zip(self.regions, counts, strict=True):
                both, predicted, true = (int(n) for n in row)
                score = _figure(float(dice(row)))
                rows.append((name, region, score, both, predicted, true,
                             _figure(predicted * ml), _figure(true * ml)))  # fmt: skip
        for kind, scores in zip(
            ("pooled", "mean"), summarise(torch.stack([c for _, c, _ in self._cases])), strict=True
        ):
            for region, score in zip(self.regions, scores, strict=True):
                rows.append((kind, region, _figure(float(score)), "", "", "", "", ""))
        with (
            replacing(self.path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows([COLUMNS, *rows])


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
