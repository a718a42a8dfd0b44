# SPDX-License-Identifier: Apache-2.0
"""A table that fills while an evaluator runs: names of cases, runs, processes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ignite.distributed
import pytest
import torch
from ignite.engine import Engine
from monai.data.meta_tensor import MetaTensor

from medvol.metrics.evaluator import EvaluatorTable, Row


class Voxels(EvaluatorTable[int]):
    """How many voxels were marked."""

    columns = ("case", "marked")

    def measure(self, item: Mapping[str, Any]) -> int:
        return int(item["pred"].sum())

    def rows(self) -> Iterator[Row]:
        yield from self.cases


def evaluator(path: Path) -> Engine:
    """As MONAI's, it keeps what the network neither saw nor gave in the batch."""

    def step(engine: Engine, given: dict[str, Any]) -> list[dict[str, Any]]:
        engine.state.batch = [given]
        image = MetaTensor(torch.zeros(1), meta={"filename_or_obj": "scans/rp9_ct.nii.gz"})
        return [{"image": image, "pred": torch.ones(given["marked"])}]

    engine = Engine(step)  # type: ignore[arg-type]
    Voxels(path).attach(engine)
    return engine


def test_cases_are_called_as_in_the_datalist_or_as_their_image(tmp_path: Path) -> None:
    path = tmp_path / "made" / "voxels.csv"
    evaluator(path).run([{"case": "a", "marked": 2}, {"case": 7, "marked": 0}, {"marked": 1}])
    assert path.read_text() == "case,marked\na,2\n7,0\nrp9_ct.nii.gz,1\n"


def test_a_second_run_starts_anew(tmp_path: Path) -> None:
    engine = evaluator(tmp_path / "voxels.csv")
    engine.run([{"case": "a", "marked": 1}])
    engine.run([{"case": "b", "marked": 1}])
    assert (tmp_path / "voxels.csv").read_text() == "case,marked\nb,1\n"


def test_no_cases_no_file(tmp_path: Path) -> None:
    Voxels(tmp_path / "voxels.csv").write(Engine(lambda *_: None))
    assert list(tmp_path.iterdir()) == []


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignite.distributed, "get_world_size", lambda: 2)
    words = r"voxels.csv is written by one process but 2 run, .* part of the cases; run on .*run$"
    with pytest.raises(ValueError, match=words):
        evaluator(tmp_path / "voxels.csv")


def test_results_without_their_cases_are_refused(tmp_path: Path) -> None:
    engine = Engine(lambda *_: None)
    engine.state.batch, engine.state.output = [], [{"pred": torch.ones(1)}]
    with pytest.raises(ValueError, match="shorter"):
        Voxels(tmp_path / "voxels.csv").collect(engine)
