# SPDX-License-Identifier: Apache-2.0
"""The CSV file of measurements."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from medvol.bundle.find import shipped_folder
from medvol.bundle.spec import read_spec
from medvol.metrics.measurements import Measurement, Reference
from medvol.outputs.measurements import write

ROWS = [
    Measurement(1, "ground-glass", 2, 0.04, -550.0, 100 * 2 / 6),
    Measurement(2, "consolidation", 0, 0.0, None, 0.0),
    Measurement(300, "lung, rest", 4, 0.08, -850.0, 100 * 4 / 6),
]
SPEC = read_spec(shipped_folder() / "covid_ct_lesion_3d")


def write_rows(path: Path, reference: Reference | None) -> None:
    spec = replace(SPEC, reference=reference)
    write(path, SimpleNamespace(answer=SimpleNamespace(spec=spec, measurements=ROWS)))


def test_csv_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "measurements.csv", Reference("left lung", (1, 2, 300)))
    assert (tmp_path / "measurements.csv").read_text(encoding="utf-8").splitlines() == [
        "value,name,voxels,volume_ml,mean_hu,share_of_left_lung_percent",
        "1,ground-glass,2,0.04,-550,33.3333",
        "2,consolidation,0,0,,0",
        '300,"lung, rest",4,0.08,-850,66.6667',
    ]


def test_csv_file_without_reference_has_no_share(tmp_path: Path) -> None:
    write_rows(tmp_path / "m.csv", None)
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[:2] == ["value,name,voxels,volume_ml,mean_hu", "1,ground-glass,2,0.04,-550"]
