# SPDX-License-Identifier: Apache-2.0
"""The table of a cohort, as CSV and as Parquet."""

from pathlib import Path

import pytest
from cohorts import CT, RADIOGRAPH, MadeCohort, classes, volumes

from medvol.cohort.ledger import REFUSED
from medvol.cohort.report.gather import Gathered, gather
from medvol.cohort.report.outliers import Outlier
from medvol.cohort.report.review import Verdict
from medvol.cohort.report.table import table, write_parquet, write_table
from medvol.files import read_csv


@pytest.fixture
def gathered(tmp_path: Path) -> Gathered:
    cohort = MadeCohort(tmp_path / "out", (CT, RADIOGRAPH))
    found = {**volumes(1 / 3, 0, 999), "notes": [["N_GRID", "wide."]]}
    cohort.done(cohort.unit("ct", group="g", patient="p"), found)
    cohort.done(cohort.unit("x", RADIOGRAPH), classes(0.75))
    said = {"code": "E_DIMS", "reason": "it is flat.", "remedy": "Give all.", "tries": 1}
    cohort.ends(cohort.unit("flat"), REFUSED, **said)
    return gather(cohort.finish())


def test_a_row_a_unit(gathered: Gathered, tmp_path: Path) -> None:
    far = {f"{CT}/ct": Outlier("lung_ml", 999.0, 4000.0, -7.0)}
    said = {f"{CT}/ct": Verdict("accept", "as it is")}
    write_table(tmp_path / "cases.csv", table(gathered, far, said))
    ct, x, flat = read_csv(tmp_path / "cases.csv")
    named = ("case", "patient", "group", "bundle", "state", "lesion_ml", "notes", "outlier_of",
             "outlier_z", "seconds", "peak_memory_bytes", "host", "verdict", "remark")  # fmt: skip
    assert [ct[name] for name in named] == [
        "ct", "p", "g", CT, "done", "0.333333", "N_GRID wide.", "lung_ml", "-7", "3.5",
        str(2 << 30), "ct1", "accept", "as it is",
    ]  # fmt: skip
    assert (x["answer"], x["probability_pneumonia"], x["lesion_ml"]) == ("pneumonia", "0.75", "")
    assert [flat[name] for name in ("state", "tries", "code", "reason", "remedy", "seconds")] == [
        "refused", "1", "E_DIMS", "it is flat.", "Give all.", "",
    ]  # fmt: skip


def test_parquet_has_types(gathered: Gathered, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path / "cases.parquet", table(gathered, {}, {}))
    read = parquet.read_table(tmp_path / "cases.parquet")
    assert read.column("lesion_ml").to_pylist() == [1 / 3, None, None]
    assert read.column("state").to_pylist() == ["done", "done", "refused"]
    assert str(read.schema.field("tries").type) == "double"
