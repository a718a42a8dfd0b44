# SPDX-License-Identifier: Apache-2.0
"""A CSV with the overlap of every case and region, and the summary below it."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..spatial import voxel_volume_ml
from .evaluator_table import EvaluatorTable, Row
from .segmentation import dice, overlap_counts, summarise


class Overlap(NamedTuple):
    """Of one case: (regions, 3) voxels in both, predicted, true; and ml of a voxel."""

    counts: Tensor
    voxel_ml: float


class CaseTable(EvaluatorTable[Overlap]):
    """Collect per-case overlap while an evaluator runs, and write it at the end.

    Below the cases stand two rows a region: `pooled` (voxels of all cases together) and `mean`
    (over the cases whose truth has the region). Attach it to an evaluator whose post-processing
    gives label maps `pred` and `label` on one grid.

    Args:
        path: CSV file.
        regions: name to labels, such as {"lesion": [1, 2]}.
    """

    columns = ("case", "region", "dice", "voxels_both", "voxels_predicted", "voxels_true",
               "predicted_ml", "true_ml")  # fmt: skip

    def __init__(self, path: str | os.PathLike[str], regions: Mapping[str, Sequence[int]]) -> None:
        super().__init__(path)
        self.regions = {name: list(values) for name, values in regions.items()}

    def measure(self, item: Mapping[str, Any]) -> Overlap:
        predicted, true = item["pred"], item["label"]
        counts = [overlap_counts(predicted, true, v) for v in self.regions.values()]
        return Overlap(torch.stack(counts).cpu(), voxel_volume_ml(true.affine.cpu().numpy()))

    def rows(self) -> Iterator[Row]:
        for name, (counts, ml) in self.cases:
            for region, row in zip(self.regions, counts, strict=True):
                both, predicted, true = (int(n) for n in row)
                yield (name, region, _figure(float(dice(row))), both, predicted, true,
                       _figure(predicted * ml), _figure(true * ml))  # fmt: skip
        pooled, mean = summarise(torch.stack([overlap.counts for _, overlap in self.cases]))
        for kind, scores in (("pooled", pooled), ("mean", mean)):
            for region, score in zip(self.regions, scores, strict=True):
                yield kind, region, _figure(float(score)), "", "", "", "", ""


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
