# SPDX-License-Identifier: Apache-2.0
"""Overlap of regions: every figure worked out by hand, every empty case by name."""

import csv
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from torch import Tensor

from medvol.metrics.masks.overlap import CaseTable, RegionDice, dice, overlap_counts, summarise

REGIONS = {"lesion": [1, 2], "solid": [2], "lung": [1, 2, 3]}
TRUE = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
FOUND = torch.tensor([0, 1, 1, 2, 2, 0, 3, 0])


def label_map(values: Tensor) -> Tensor:
    """(8,) as a label map (1, 2, 2, 2)."""
    return values.reshape(1, 2, 2, 2)


@pytest.mark.parametrize(
    ("values", "counts", "score"),
    [
        ([1], (1, 2, 2), 0.5),  # both at voxel 2
        ([2], (1, 2, 2), 0.5),  # both at voxel 4
        ([1, 2], (3, 4, 4), 0.75),  # voxels 2, 3, 4: taking 1 for 2 is no error of the lesion
        ([3], (1, 1, 2), 2 / 3),
        ([1, 2, 3], (4, 5, 6), 8 / 11),
        ([7], (0, 0, 0), math.nan),
    ],
)
def test_regions_of_one_label_and_of_several(
    values: list[int], counts: tuple[int, ...], score: float
) -> None:
    found = overlap_counts(FOUND, TRUE, values)
    assert found.tolist() == list(counts)
    assert float(dice(found)) == pytest.approx(score, nan_ok=True)


def test_types_of_the_maps_do_not_matter() -> None:
    as_float, as_byte = FOUND.float(), TRUE.to(torch.uint8)
    assert overlap_counts(as_float, as_byte, [1, 2]).tolist() == [3, 4, 4]


def test_maps_on_two_devices_meet_on_the_predictions() -> None:
    """On a GPU the engine holds the truth there, while inverted labels are on the CPU."""
    assert overlap_counts(FOUND.to("meta"), TRUE, [1]).device.type == "meta"


@pytest.mark.parametrize(
    ("found", "true", "score"),
    [([0, 0], [0, 0], math.nan), ([1, 0], [0, 0], 0.0), ([0, 0], [1, 1], 0.0), ([1], [1], 1.0)],
    ids=["both empty", "truth empty", "prediction empty", "equal"],
)
def test_empty_cases(found: list[int], true: list[int], score: float) -> None:
    counts = overlap_counts(torch.tensor(found), torch.tensor(true), [1])
    assert float(dice(counts)) == pytest.approx(score, nan_ok=True)


def test_counts_beyond_float32_are_exact() -> None:
    counts = torch.tensor([2**24 + 1.0, 2**24 + 1.0, 2**24 + 1.0], dtype=torch.float64)
    assert float(dice(counts)) == 1.0
    assert overlap_counts(FOUND, TRUE, [1]).dtype == torch.float64


def test_maps_of_two_shapes_are_refused() -> None:
    words = "prediction (4,) and truth (8,) differ in shape; bring both to one grid first"
    with pytest.raises(ValueError, match=re.escape(words)):
        overlap_counts(FOUND[:4], TRUE, [1])


def test_pooled_adds_voxels_and_mean_adds_cases() -> None:
    """Cases (both, found, true): (10, 10, 10), (0, 10, 0), (0, 0, 10), (0, 0, 0).

    Pooled 2 * 10 / (20 + 20). The mean leaves out the two cases that are empty in truth: their
    false positives count in the pooled figure only.
    """
    counts = torch.tensor([[[10, 10, 10]], [[0, 10, 0]], [[0, 0, 10]], [[0, 0, 0]]]).double()
    pooled, mean = summarise(counts)
    assert pooled.tolist() == [0.5]
    assert mean.tolist() == [0.5]
    pooled, mean = summarise(counts[:2])
    assert pooled.tolist() == [pytest.approx(2 / 3)]
    assert mean.tolist() == [1.0]
    _, mean = summarise(torch.tensor([[[1, 1, 1]], [[1, 2, 2]]]).double())
    assert mean.tolist() == [0.75]  # a region of one voxel is a region


def test_a_region_that_no_case_has_is_not_a_number() -> None:
    pooled, mean = summarise(torch.zeros(2, 1, 3, dtype=torch.float64))
    assert math.isnan(pooled.item())
    assert math.isnan(mean.item())


def test_a_region_found_where_no_case_has_it_is_zero_pooled() -> None:
    pooled, mean = summarise(torch.tensor([[[0, 5, 0]]]).double())
    assert pooled.item() == 0
    assert math.isnan(mean.item())


@pytest.mark.parametrize(
    ("key", "reduction", "expected"),
    [
        ("lesion", "pooled", 2 * 7 / (8 + 8)),  # (3, 4, 4) and (4, 4, 4)
        ("lesion", "mean", (0.75 + 1) / 2),
        ("lung", "pooled", 2 * 10 / (11 + 12)),  # (4, 5, 6) and (6, 6, 6)
        ("lung", "mean", (8 / 11 + 1) / 2),
        ("solid", "mean", (0.5 + 1) / 2),
    ],
)
def test_the_metric_over_two_cases(key: str, reduction: str, expected: float) -> None:
    metric = RegionDice(REGIONS, key, reduction)
    metric([label_map(FOUND)], [label_map(TRUE)])  # as an engine gives a batch of one
    metric([label_map(TRUE)], [label_map(TRUE)])
    assert float(metric.aggregate()) == pytest.approx(expected)
    metric.reset()
    metric([label_map(TRUE)], [label_map(TRUE)])
    assert float(metric.aggregate()) == 1.0


def test_cases_of_different_sizes_go_into_one_metric() -> None:
    metric = RegionDice(REGIONS, "lesion")
    metric([label_map(FOUND)], [label_map(TRUE)])
    metric([torch.ones(1, 3, 1, 1)], [torch.ones(1, 3, 1, 1)])
    assert float(metric.aggregate()) == pytest.approx(2 * 6 / (7 + 7))


def test_a_batch_tensor_counts_each_case() -> None:
    metric = RegionDice(REGIONS, "lesion", "mean")
    metric(
        torch.stack([label_map(FOUND), label_map(TRUE)]),
        torch.stack([label_map(TRUE), label_map(TRUE)]),
    )
    assert metric.get_buffer().shape == (2, 3, 3)
    assert float(metric.aggregate()) == pytest.approx((0.75 + 1) / 2)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="key is 'tumour'; give one of the regions lesion, solid"):
        RegionDice(REGIONS, "tumour")
    with pytest.raises(ValueError, match=r"reduction is 'median'; give .pooled. or .mean."):
        RegionDice(REGIONS, "lesion", "median")
    with pytest.raises(ValueError, match="shorter"):
        RegionDice(REGIONS, "lesion").kept(torch.stack([TRUE, TRUE]), TRUE[None])
    with pytest.raises(ValueError, match="RegionDice needs the truth"):
        RegionDice(REGIONS, "lesion")(torch.stack([label_map(TRUE)]))


TWO_REGIONS = {"lesion": [1, 2], "solid": [2]}
AFFINE = torch.diag(torch.tensor([10.0, 10.0, 5.0, 1.0]))  # 500 mm^3, half a millilitre a voxel


def case(found: list[int], true: list[int], **more: Any) -> dict[str, Any]:
    shape = (1, len(true), 1, 1)
    label = MetaTensor(torch.tensor(true).reshape(shape), affine=AFFINE)
    return {"pred": torch.tensor(found).reshape(shape), "label": label, **more}


def run(table: CaseTable, cases: list[dict[str, Any]]) -> None:
    def step(engine: Engine, item: dict[str, Any]) -> list[dict[str, Any]]:
        engine.state.batch = [item]
        return [item]

    engine = Engine(step)  # type: ignore[arg-type]
    table.attach(engine)
    engine.run(cases)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_each_row_worked_out_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "eval" / "cases.csv"
    cases = [
        case([1, 2, 0, 0], [1, 1, 1, 0], case="a"),
        case([0, 1, 0, 0], [0, 0, 0, 0], case="b"),
        case([2, 2, 0, 0], [2, 2, 0, 0], case="c"),
    ]
    run(CaseTable(path, TWO_REGIONS), cases)
    assert rows(path) == [
        list(CaseTable.columns),
        ["a", "lesion", "0.8000", "2", "2", "3", "1.0000", "1.5000"],
        ["a", "solid", "0.0000", "0", "1", "0", "0.5000", "0.0000"],
        ["b", "lesion", "0.0000", "0", "1", "0", "0.5000", "0.0000"],
        ["b", "solid", "", "0", "0", "0", "0.0000", "0.0000"],  # both empty: not defined
        ["c", "lesion", "1.0000", "2", "2", "2", "1.0000", "1.0000"],
        ["c", "solid", "1.0000", "2", "2", "2", "1.0000", "1.0000"],
        ["pooled", "lesion", "0.8000", "", "", "", "", ""],  # 2 * 4 / (5 + 5)
        ["pooled", "solid", "0.8000", "", "", "", "", ""],  # 2 * 2 / (3 + 2)
        ["mean", "lesion", "0.9000", "", "", "", "", ""],  # of a and c; b has none
        ["mean", "solid", "1.0000", "", "", "", "", ""],  # of c
    ]


def test_volume_counts_the_voxels_size(tmp_path: Path) -> None:
    item = case([1, 1], [1, 0], case="a")
    item["label"].affine = torch.as_tensor(np.diag([2.0, 2.0, 2.5, 1.0]))
    run(CaseTable(tmp_path / "cases.csv", {"lesion": [1]}), [item])
    assert rows(tmp_path / "cases.csv")[1][6:] == ["0.0200", "0.0100"]
