# SPDX-License-Identifier: Apache-2.0
"""The CSV file of measurements."""

from medvol.metrics.measurements import Measurement
from medvol.outputs.measurements import write_measurements

ROWS = [
    Measurement(1, "ground-glass", 2, 0.04, -550.0, 100 * 2 / 6),
    Measurement(2, "consolidation", 0, 0.0, None, 0.0),
    Measurement(300, "lung, rest", 4, 0.08, -850.0, 100 * 4 / 6),
]


def test_csv_file(tmp_path) -> None:
    write_measurements(tmp_path / "measurements.csv", ROWS, "left lung")
    assert (tmp_path / "measurements.csv").read_text(encoding="utf-8").splitlines() == [
        "value,name,voxels,volume_ml,mean_hu,share_of_left_lung_percent",
        "1,ground-glass,2,0.04,-550,33.3333",
        "2,consolidation,0,0,,0",
        '300,"lung, rest",4,0.08,-850,66.6667',
    ]


def test_csv_file_without_reference_has_no_share(tmp_path) -> None:
    write_measurements(tmp_path / "m.csv", ROWS, None)
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[:2] == ["value,name,voxels,volume_ml,mean_hu", "1,ground-glass,2,0.04,-550"]
