# SPDX-License-Identifier: Apache-2.0
"""What collects cases while a MONAI evaluator runs: tables that it fills, and pooled metrics."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import ignite.distributed
import torch
from ignite.engine import Engine, Events
from monai.metrics import CumulativeIterationMetric
from torch import Tensor

from ..files import write_csv

Measured = TypeVar("Measured")
Row = tuple[object, ...]


class EvaluatorTable(ABC, Generic[Measured]):
    """Measure every case that an evaluator gives, and write them as a table.

    A table says what is measured of a case, and which rows are made of all cases. Attach it to an
    evaluator whose post-processing gives what it measures.

    Args:
        path: CSV file; appears whole or not at all, and not without any case.

    Attributes:
        columns: first line of the file.
        cases: name and what was measured, in the order of the evaluator.
    """

    columns: tuple[str, ...]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.cases: list[tuple[str, Measured]] = []

    @abstractmethod
    def measure(self, item: Mapping[str, Any]) -> Measured:
        """What the table keeps of a case: of `image`, `label` and `pred` after post-processing."""

    @abstractmethod
    def rows(self) -> Iterable[Row]:
        """The lines of the file, of one case or more."""

    def name(self, item: Mapping[str, Any], given: Mapping[str, Any]) -> str:
        """What a case is called: by its datalist, or as the file of its image.

        Args:
            item: of the case after post-processing.
            given: of the case as the network got it; only this has `case`, which the engine keeps
                out of its output.
        """
        return str(given.get("case") or Path(item["image"].meta["filename_or_obj"]).name)

    def attach(self, engine: Engine) -> None:
        """Collect and write with this evaluator.

        Args:
            engine: the evaluator.

        Raises:
            ValueError: several processes run; each would see a part of the cases.
        """
        processes = ignite.distributed.get_world_size()
        if processes > 1:
            raise ValueError(
                f"{self.path.name} is written by one process but {processes} run, each with a part "
                "of the cases; run on one process, without torch.distributed.run"
            )
        engine.add_event_handler(Events.STARTED, lambda _: self.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def clear(self) -> None:
        """Forget the cases of an earlier run."""
        self.cases.clear()

    def collect(self, engine: Engine) -> None:
        """Measure each case of a batch."""
        for item, given in zip(engine.state.output, engine.state.batch, strict=True):
            self.cases.append((self.name(item, given), self.measure(item)))

    def write(self, _: Engine) -> None:
        """Write the file, where there was any case."""
        if not self.cases:
            return
        write_csv(self.path, self.columns, self.rows())


class PooledMetric(CumulativeIterationMetric, ABC):
    """A figure of all cases together; a MONAI metric, so it gathers over GPUs.

    Give it predictions and truths batch by batch. A metric says what is kept of a batch, and which
    figure is made of what was kept of all.
    """

    @abstractmethod
    def kept(self, predicted: Any, true: Any) -> Tensor:
        """(N, ...) numbers of a batch, a row a case."""

    @abstractmethod
    def figure(self, kept: Tensor) -> Tensor:
        """One figure of the rows (N, ...) of all batches, (1,) or a scalar ()."""

    def _compute_tensor(self, y_pred: Any, y: Any = None, **_: Any) -> Tensor:
        if y is None:
            raise ValueError(f"{type(self).__name__} needs the truth beside the prediction")
        return self.kept(y_pred, y)

    def aggregate(self, *_: Any, **__: Any) -> Tensor:
        """The figure of all cases so far, a scalar ()."""
        return self.figure(torch.as_tensor(self.get_buffer()))
