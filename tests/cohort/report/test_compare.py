# SPDX-License-Identifier: Apache-2.0
"""Two runs beside each other: what changed, and by how much."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import CT, RADIOGRAPH, MadeCohort, classes, volumes

from medvol.cohort.ledger import REFUSED
from medvol.cohort.report.compare import (
    NO_MASK,
    OTHER,
    SAME,
    Change,
    agreement,
    compared,
    dice_of,
    summed_up,
    write_comparison,
)  # fmt: skip
from medvol.cohort.report.gather import gather
from medvol.files import read_csv


def box(*sizes: int) -> Any:
    """A mask with a column of each label, 1 and so on, of these heights."""
    mask = np.zeros((4, 4, 8), np.uint8)
    for label, size in enumerate(sizes, start=1):
        mask[label, 0, :size] = label
    return mask


def two_runs(folder: Path) -> tuple[Path, Path]:
    before, now = (MadeCohort(folder / name, (CT, RADIOGRAPH)) for name in ("before", "now"))
    before.masked(before.unit("same"), box(4), **volumes(4))
    now.masked(now.unit("same"), box(4), **volumes(4))
    before.masked(before.unit("less"), box(6, 0, 8), **volumes(6))
    now.masked(now.unit("less"), box(2, 0, 8), **volumes(2))
    before.done(before.unit("x", RADIOGRAPH), classes(0.25))
    now.done(now.unit("x", RADIOGRAPH), classes(0.375))
    before.done(before.unit("lost"), volumes(4))
    now.ends(now.unit("lost"), REFUSED, code="E_DIMS", reason="it is flat.")
    before.done(before.unit("old"), volumes(4))
    now.unit("new")
    return before.finish(), now.finish()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return two_runs(tmp_path_factory.mktemp("runs"))


def changes(runs: tuple[Path, Path]) -> dict[str, Change]:
    return {x.now.unit.case: x for x in compared(*map(gather, runs))}


def test_masks_are_compared_where_they_differ(runs: tuple[Path, Path]) -> None:
    found = changes(runs)
    assert (found["same"].mask, found["same"].changed) == (SAME, False)
    less = found["less"]
    assert less.mask == OTHER
    assert less.dice["lesion"] == 2 * 2 / 8
    assert less.dice["consolidation"] is None
    assert less.dice["lung"] == 2 * 10 / 24
    assert less.amount == 0.5
    assert less.differences["lesion_ml"] == -4
    assert found["lost"].mask == NO_MASK


def test_probabilities_and_states(runs: tuple[Path, Path]) -> None:
    found = changes(runs)
    assert found["x"].amount == pytest.approx(0.125)
    assert found["lost"].amount == 1


def test_the_most_changed_first_and_what_only_one_has(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    before, now = map(gather, runs)
    found = summed_up(before, now, compared(before, now))
    assert [x.now.unit.case for x in found.changes] == ["lost", "less", "x", "same"]
    assert [x.unit.case for x in found.only_before] == ["old"]
    assert [x.unit.case for x in found.only_now] == ["new"]
    write_comparison(tmp_path / "c.csv", found)
    rows = {row["case"]: row for row in read_csv(tmp_path / "c.csv")}
    assert list(rows) == ["lost", "less", "x", "same", "old", "new"]
    named = ("mask", "change", "dice_lesion", "lesion_ml_before", "lesion_ml", "lesion_ml_change")
    assert [rows["less"][name] for name in named] == ["differs", "0.5", "0.5", "6", "2", "-4"]
    assert (rows["lost"]["state_before"], rows["lost"]["state"]) == ("done", "refused")
    assert (rows["old"]["state_before"], rows["old"]["state"]) == ("done", "")
    assert (rows["new"]["state_before"], rows["new"]["state"]) == ("", "planned")


def test_a_mask_on_another_grid_and_one_that_is_cut(tmp_path: Path) -> None:
    before, now = MadeCohort(tmp_path / "before"), MadeCohort(tmp_path / "now")
    before.masked(before.unit("grid"), box(4), **volumes(4))
    now.masked(now.unit("grid"), box(4)[:, :, :6], **volumes(4))
    before.masked(before.unit("cut"), box(4), **volumes(4))
    path = now.masked(now.unit("cut"), box(5), **volumes(5)) / "segmentation.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    found = changes((before.finish(), now.finish()))
    assert found["grid"].remark == "The masks lie on different grids."
    assert found["grid"].changed
    assert found["cut"].remark.startswith("E_TRUNCATED")


def test_a_label_that_became_another_is_seen_though_the_lesion_is_the_same() -> None:
    one, two = np.array([1, 1, 1, 1]), np.array([1, 1, 1, 2])
    assert dice_of(one, two, {"lesion": (1, 2)}) == {"lesion": 1.0}
    assert agreement(one, two, (1, 2)) == 0.75
    assert agreement(one * 0, two * 0, (1, 2)) == 1
