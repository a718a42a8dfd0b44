# SPDX-License-Identifier: Apache-2.0
"""An evaluation beside an earlier one: files, lines, and what is refused before any work."""

import json
from pathlib import Path

import pytest

from medvol.errors import InputError
from medvol.files import read_csv, write_csv
from medvol.tasks.against import check_earlier, write_gains

COLUMNS = ("case", "patient", "region", "dice", "surface_dice", "voxels_both", "voxels_predicted",
           "voxels_true", "lesions_true", "lesions_found", "lesions_false")  # fmt: skip


def evaluation(folder: Path, dice: tuple[float, ...]) -> Path:
    rows = [[f"c{n}", f"p{n}", "lesion", x, x, 100 * x, 100, 100, 2, 1, 0]
            for n, x in enumerate(dice)]  # fmt: skip
    folder.mkdir()
    write_csv(folder / "metrics.csv", COLUMNS, rows)
    return folder


def test_what_is_written_and_said(tmp_path: Path) -> None:
    before = evaluation(tmp_path / "before", (0.5, 0.6, 0.7, 0.8, 0.9, 0.4))
    after = evaluation(tmp_path / "after", (0.6, 0.7, 0.8, 0.9, 1.0))
    check_earlier(before, after)
    assert write_gains(before, after) == [
        "lesion against before: dice mean +0.100 (+0.100 to +0.100), dice median +0.100 (+0.100 to "
        "+0.100), dice pooled +0.100 (+0.100 to +0.100); 1 case in one of them only"
    ]
    record = json.loads((after / "gains.json").read_text(encoding="utf-8"))
    assert record["figures"]["lesion"]["lesion_sensitivity"]["value"] == 0
    assert record["figures"]["lesion"]["dice_mean"]["cases"] == 5
    assert read_csv(after / "gains.csv")[4] == {
        "case": "c4", "patient": "p4", "region": "lesion", "before": "0.9", "after": "1",
        "gain": "0.1",
    }  # fmt: skip
    check_earlier(before, after)  # of a new evaluation: nothing of the old one stays
    assert not (after / "gains.json").exists()


def test_an_earlier_evaluation_must_be_there_and_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E_PATH") as refused:
        check_earlier(tmp_path, tmp_path / "after")
    assert "there is no metrics.csv in it" in str(refused.value)
    before = evaluation(tmp_path / "before", (0.5,))
    with pytest.raises(ValueError, match="one folder; give two"):
        check_earlier(before, tmp_path / "x" / ".." / "before")
