# SPDX-License-Identifier: Apache-2.0
"""The CSV file of measurements, and numbers as readers see them."""

from medvol.metrics.measurements import Measurement
from medvol.report.tables import hu_text, ml_text, percent_text, write_measurements

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


def test_numbers_for_readers() -> None:
    assert [ml_text(v) for v in (0, 0.004, 0.27, 43.21, 4913.4)] == [
        "0.00",
        "< 0.01",
        "0.27",
        "43.2",
        "4,913",
    ]
    assert [hu_text(v) for v in (None, -569.6, 12.2)] == ["–", "−570", "12"]
    assert [percent_text(v) for v in (None, 0, 0.04, 12.37)] == ["–", "0.0", "< 0.1", "12.4"]
