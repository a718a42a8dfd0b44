# SPDX-License-Identifier: Apache-2.0
"""The CSV file of measurements."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from medvol.bundle.find import shipped_folder
from medvol.bundle.spec import read_spec
from medvol.metrics.burden import Burden
from medvol.metrics.lesions import Lesions
from medvol.metrics.lung_regions import Region
from medvol.metrics.measurements import Measurement, Reference
from medvol.outputs.measurements import write

ROWS = [
    Measurement(1, "ground-glass", 2, 0.04, -550.0, 100 * 2 / 6),
    Measurement(2, "consolidation", 0, 0.0, None, 0.0),
    Measurement(300, "lung, rest", 4, 0.08, -850.0, 100 * 4 / 6),
]
SPEC = read_spec(shipped_folder() / "covid_ct_lesion_3d")


def write_rows(path: Path, reference: Reference | None, burden: Burden | None = None) -> None:
    spec = replace(SPEC, reference=reference)
    answer = SimpleNamespace(spec=spec, measurements=ROWS, burden=burden)
    write(path, SimpleNamespace(answer=answer))


def test_csv_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "measurements.csv", Reference("left lung", (1, 2, 300)))
    assert (tmp_path / "measurements.csv").read_text(encoding="utf-8").splitlines() == [
        "value,name,voxels,volume_ml,mean_hu,share_of_left_lung_percent",
        "1,ground-glass,2,0.04,-550,33.3333",
        "2,consolidation,0,0,,0",
        '300,"lung, rest",4,0.08,-850,66.6667',
    ]


def test_lungs_follow_the_labels(tmp_path: Path) -> None:
    regions = [Region("right", "", 4, 1, 0.02), Region("left", "upper", 0, 0, 0.02)]
    write_rows(tmp_path / "m.csv", Reference("lung", (1, 2, 300)), Burden(regions, Lesions(1)))
    assert (tmp_path / "m.csv").read_text(encoding="utf-8").splitlines() == [
        "value,name,voxels,volume_ml,mean_hu,share_of_lung_percent,region",
        "1,ground-glass,2,0.04,-550,33.3333,",
        "2,consolidation,0,0,,0,",
        '300,"lung, rest",4,0.08,-850,66.6667,',
        ",lesion,1,0.02,,25,right lung",
        ",lung,4,0.08,,,right lung",
        ',lesion,0,0,,,"left lung, upper third"',
        ',lung,0,0,,,"left lung, upper third"',
    ]


def test_csv_file_without_reference_has_no_share(tmp_path: Path) -> None:
    write_rows(tmp_path / "m.csv", None)
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[:2] == ["value,name,voxels,volume_ml,mean_hu", "1,ground-glass,2,0.04,-550"]
