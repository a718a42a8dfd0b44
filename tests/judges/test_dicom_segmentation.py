# SPDX-License-Identifier: Apache-2.0
"""What other readers make of a DICOM Segmentation, on 60 grids: no voxel lies elsewhere.

highdicom is a part of medvol. dcmqi comes with `pip install dcmqi==1.5.7`; so 3D Slicer's
QuantitativeReporting reads segmentations, whose label volumes Slicer's core is then given: it needs
MEDVOL_SLICER_PYTHON, see `test_slicer`.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from dicom_grids import EMPTY, GRIDS60, LARGE, SMALL, hounsfield, marks, voxels_at
from dicom_patients import write_study
from highdicom.seg import segread

from medvol.answer import Answer, Run
from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import Spec, read_spec
from medvol.images.dicom.volume import load_dicom
from medvol.outputs.dicom.segmentation import write
from medvol.outputs.save import Saving

JUDGE = Path(__file__).with_name("labels_in_slicer.py")
KINDS = {"BINARY": {}, "LABELMAP": {"labelmap": True}}
FEW = ["axial thick", "sagittal anisotropic down", "double oblique thick mirrored"]
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
Where = Mapping[int, np.ndarray[Any, Any]]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_grid = pytest.mark.parametrize(
    "grid", [x if x in FEW else pytest.param(x, marks=pytest.mark.slow) for x in GRIDS60]
)


@pytest.fixture(scope="module")
def spec() -> Spec:
    return read_spec(shipped_bundles()["covid_ct_lesion_3d"])


def answered(folder: Path, spec: Spec, grid: str) -> Answer:
    """The marks on a study, whichever way its array runs after reading."""
    affine, values = GRIDS60[grid], hounsfield()
    image = load_dicom(write_study(folder / "study", values, affine))
    lookup = dict(zip(values.ravel().tolist(), marks().ravel().tolist(), strict=True))
    mask = np.vectorize(lookup.get, otypes=[np.uint8])(image.array)
    return Answer(image, spec, Run("cpu", "fp32", None, {}, 0, (), {}), mask=mask)


def written(folder: Path, spec: Spec, grid: str, kind: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "segmentation.dcm"
    write(path, Saving(answered(folder, spec, grid), [], folder, asked=KINDS[kind]))
    return path


def assert_in_place(found: Where, grid: str) -> None:
    """Every label is where the marks are, in the study's own voxels, and nothing is elsewhere."""
    assert {*found} == {LARGE, SMALL}
    for label, points in found.items():
        voxels = voxels_at(np.asarray(points), GRIDS60[grid])
        assert voxels.tolist() == np.argwhere(marks() == label).tolist()
    assert EMPTY not in found


def places(labels: np.ndarray[Any, Any], to_ras: np.ndarray[Any, Any]) -> Where:
    """RAS mm of the voxels of each label."""
    return {
        int(label): np.argwhere(labels == label) @ to_ras[:3, :3].T + to_ras[:3, 3]
        for label in np.unique(labels[labels != 0])
    }


def converted(path: Path, folder: Path) -> Path:
    """The label volume that dcmqi makes of a segmentation."""
    if importlib.util.find_spec("dcmqi") is None:
        pytest.skip("dcmqi is not installed")
    program = Path(sys.executable).with_name("segimage2itkimage")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [program, "--inputDICOM", path, "--outputDirectory", folder, "--mergeSegments"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (volume,) = folder.glob("*.nrrd")
    return volume


@each_kind
@each_grid
def test_highdicom(grid: str, kind: str, spec: Spec, tmp_path: Path) -> None:
    volume = segread(written(tmp_path, spec, grid, kind)).get_volume(combine_segments=True)
    assert_in_place(places(volume.array, RAS_TO_LPS @ volume.affine), grid)


@each_kind
@each_grid
def test_dcmqi(grid: str, kind: str, spec: Spec, tmp_path: Path) -> None:
    path = converted(written(tmp_path, spec, grid, kind), tmp_path / "dcmqi")
    image = SimpleITK.ReadImage(str(path))
    direction = np.array(image.GetDirection()).reshape(3, 3)
    to_lps = np.eye(4)
    to_lps[:3, :3], to_lps[:3, 3] = direction * image.GetSpacing(), image.GetOrigin()
    labels = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    assert_in_place(places(labels, RAS_TO_LPS @ to_lps), grid)


@pytest.mark.slow
def test_slicer(spec: Spec, tmp_path: Path) -> None:
    python = os.environ.get("MEDVOL_SLICER_PYTHON")
    if not python:
        pytest.skip("MEDVOL_SLICER_PYTHON names no Python with slicer-core")
    names = {}
    for number, (grid, kind) in enumerate((g, k) for g in GRIDS60 for k in KINDS):
        folder = tmp_path / str(number)
        names[str(converted(written(folder, spec, grid, kind), folder / "dcmqi"))] = grid
    listing = tmp_path / "paths.txt"
    listing.write_text("\n".join(names), encoding="utf-8")
    done = subprocess.run(
        [python, JUDGE, listing], capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) == len(GRIDS60) * len(KINDS)
    for path, found in seen.items():
        assert_in_place({int(k): np.array(v) for k, v in found.items()}, names[path])
