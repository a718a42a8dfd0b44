# SPDX-License-Identifier: Apache-2.0
"""What 3D Slicer itself makes of medvol's files; needs MEDVOL_SLICER_PYTHON.

It names a Python with slicer-core, which is too large for the environment of the other tests:
    python -m venv slicer && slicer/bin/pip install slicer-core==5.12.4.0
    MEDVOL_SLICER_PYTHON=slicer/bin/python pytest tests/judges
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grids import GRIDS, L_VOXELS, assert_same_places, places_mm
from phantoms import (
    AIR_HU,
    CONSOLIDATION_HU,
    HARD_SHAPE,
    HARD_TABLE,
    HARD_VOXELS,
    hard_mask,
    l_shape,
    save_nifti,
    tiny_chest,
)

from medvol.cli import main
from medvol.labels import Label, LabelTable
from medvol.metrics.masks.comparison import CORRECT, ERRORS, FALSE, MISSED
from medvol.outputs.seg_nrrd import terminology_entry, write_seg_nrrd
from medvol.outputs.slicer_scene import write_scene
from medvol.report.overlay import Look

JUDGE = Path(__file__).with_name("open_in_slicer.py")
MARKER = LabelTable((Label(1, "marker", (255, 0, 0)),))
WINDOW_HU = (-1350, 150)
HARD_FOCUS = tuple(label.value for label in HARD_TABLE)[1:]  # the first label surrounds
HARD_NAME = 'Fall "7" <Lunge & 肺> ü'
HALF_MISSED, NO_LESION = np.s_[6:10, 16:20, 5:7], np.s_[22:24, 11:13, 10:11]  # of `tiny_chest`
SHEARED = np.array([[1.5, 0, 0, 10], [0, 2.0, 0.5, 20], [0, 0, 3.0, 30], [0, 0, 0, 1.0]])
Seen = Mapping[str, Any]


def evaluated_errors(folder: Path) -> Path:
    """What `medvol evaluate` writes of a mask that misses 32 voxels and makes 4 up, on a tilt."""
    chest, grid = tiny_chest(), GRIDS["oblique"]
    marked = chest.labels.copy()
    marked[HALF_MISSED], marked[NO_LESION] = 3, 2
    save_nifti(folder / "ct.nii.gz", chest.ct, grid)
    save_nifti(folder / "truth.nii.gz", chest.labels, grid)
    save_nifti(folder / "masks" / "chest.nii.gz", marked, grid)
    row = {"image": "ct.nii.gz", "label": "truth.nii.gz", "case": "chest"}
    (folder / "datalist.json").write_text(json.dumps({"training": [row]}))
    data, masks, report = (str(folder / name) for name in ("datalist.json", "masks", "report"))
    words = ["evaluate", "covid_ct_lesion_3d", "--data", data, "--predictions", masks, "-o", report]
    words.append("--report")
    assert main(words) == 0
    return folder / "report" / "chest" / "errors.seg.nrrd"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """File name -> what Slicer saw, all files in one process."""
    python = os.environ.get("MEDVOL_SLICER_PYTHON")
    if not python:
        pytest.skip("MEDVOL_SLICER_PYTHON names no Python with slicer-core")
    folder = tmp_path_factory.mktemp("slicer")
    marker = l_shape()
    hu = np.where(marker, CONSOLIDATION_HU, AIR_HU).astype(np.float32)
    for name, affine in {**GRIDS, "sheared": SHEARED}.items():
        write_seg_nrrd(folder / f"{name}.seg.nrrd", marker, affine, MARKER)
        look = Look(WINDOW_HU, title=name)
        write_scene(folder / f"{name}.mrb", hu, affine, marker, MARKER, look=look)
    grid, mask = GRIDS["LPS"], hard_mask()
    halves = np.full(HARD_SHAPE, 0.5, np.float32)
    write_seg_nrrd(folder / "hard.seg.nrrd", mask, grid, HARD_TABLE)
    write_seg_nrrd(folder / "empty.seg.nrrd", mask * 0, grid, HARD_TABLE)
    look = Look((0, 1), HARD_FOCUS, title=HARD_NAME)
    write_scene(folder / "hard.mrb", halves, grid, mask, HARD_TABLE, look=look)
    paths = [*sorted(folder.iterdir()), evaluated_errors(folder / "evaluation")]
    listing = folder / "paths.txt"
    listing.write_text("\n".join(map(str, paths)), encoding="utf-8")
    done = subprocess.run(
        [python, JUDGE, listing], capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return {Path(path).name: facts for path, facts in json.loads(done.stdout).items()}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("suffix", [".seg.nrrd", ".mrb"])
def test_marker_lies_in_its_place(suffix: str, grid: str, seen: dict[str, Seen]) -> None:
    facts = seen[grid + suffix]
    (segment,) = facts["segments"]
    assert_same_places(np.array(segment["places_ras"]), places_mm(L_VOXELS, GRIDS[grid]))
    np.testing.assert_allclose(segment["ijk_to_ras"], GRIDS[grid], atol=1e-5)
    assert segment["surface_cells"] > 0
    assert facts["messages"] == []


@pytest.mark.parametrize("grid", GRIDS)
def test_image_of_the_scene_lies_under_the_marker(grid: str, seen: dict[str, Seen]) -> None:
    volume = seen[f"{grid}.mrb"]["volume"]
    np.testing.assert_allclose(volume["ijk_to_ras"], GRIDS[grid], atol=1e-5)
    assert volume["shape"] == [12, 10, 8]
    assert (volume["type"], volume["range"]) == ("short", [AIR_HU, CONSOLIDATION_HU])


@pytest.mark.parametrize("file", ["hard.seg.nrrd", "hard.mrb"])
def test_names_colours_counts_and_codes(file: str, seen: dict[str, Seen]) -> None:
    segments = seen[file]["segments"]
    assert [s["name"] for s in segments] == [label.name for label in HARD_TABLE]
    assert {s["label"]: s["voxels"] for s in segments} == HARD_VOXELS
    for segment, label in zip(segments, HARD_TABLE, strict=True):
        np.testing.assert_allclose(segment["color"], np.array(label.color) / 255, atol=1e-5)
        assert (segment["surface_cells"] > 0) == (HARD_VOXELS[label.value] > 0)
        if label.terminology is not None:
            assert segment["terminology"] == terminology_entry(label.terminology)
    assert seen[file]["messages"] == []
    assert seen[file]["shown_in_3d"]


def test_what_surrounds_is_transparent_in_3d_and_an_outline_in_slices(
    seen: dict[str, Seen],
) -> None:
    segments = seen["hard.mrb"]["segments"]
    looked_for = [label.value in HARD_FOCUS for label in HARD_TABLE]
    assert looked_for.count(False) == 1
    assert [s["opacity_3d"] for s in segments] == [1.0 if x else 0.25 for x in looked_for]
    assert [s["filled_2d"] for s in segments] == looked_for


def test_slicer_knows_the_grid_of_the_image(seen: dict[str, Seen]) -> None:
    geometry = seen["hard.seg.nrrd"]["reference_geometry"]
    assert geometry.endswith(";0;19;0;21;0;23;")


def test_mask_without_any_label_opens(seen: dict[str, Seen]) -> None:
    segments = seen["empty.seg.nrrd"]["segments"]
    assert [s["voxels"] for s in segments] == [0, 0, 0, 0]
    assert [s["surface_cells"] for s in segments] == [0, 0, 0, 0]
    assert seen["empty.seg.nrrd"]["messages"] == []


def test_scene_shows_the_image_in_its_window_in_every_slice_view(seen: dict[str, Seen]) -> None:
    facts = seen["LPS.mrb"]
    assert (facts["volume"]["window"], facts["volume"]["level"]) == (1500, -600)
    assert facts["slices_of_volume"] == ["Green", "Red", "Yellow"]
    assert facts["active_is_volume"]
    assert facts["reference_is_volume"]


def test_name_and_fractions_of_an_image_are_kept(seen: dict[str, Seen]) -> None:
    volume = seen["hard.mrb"]["volume"]
    assert volume["name"] == HARD_NAME
    assert (volume["type"], volume["range"]) == ("float", [0.5, 0.5])
    assert (volume["window"], volume["level"]) == (1, 0.5)


@pytest.mark.parametrize("suffix", [".seg.nrrd", ".mrb"])
def test_tilted_gantry_keeps_its_shear(suffix: str, seen: dict[str, Seen]) -> None:
    (segment,) = seen["sheared" + suffix]["segments"]
    assert_same_places(np.array(segment["places_ras"]), places_mm(L_VOXELS, SHEARED))


def test_errors_of_an_evaluation_lie_where_they_were_made(seen: dict[str, Seen]) -> None:
    facts = seen["errors.seg.nrrd"]
    truth = np.isin(tiny_chest().labels, (1, 2))  # 64 and 32 voxels
    kinds = np.where(truth, CORRECT, 0)
    kinds[HALF_MISSED], kinds[NO_LESION] = MISSED, FALSE
    assert {s["label"]: s["voxels"] for s in facts["segments"]} == {
        MISSED: 32,
        FALSE: 4,
        CORRECT: 64,
    }
    assert [s["name"] for s in facts["segments"]] == [label.name for label in ERRORS]
    for segment, label in zip(facts["segments"], ERRORS, strict=True):
        voxels = np.argwhere(kinds == label.value)
        assert_same_places(np.array(segment["places_ras"]), places_mm(voxels, GRIDS["oblique"]))
        np.testing.assert_allclose(segment["color"], np.array(label.color) / 255, atol=1e-5)
        assert segment["surface_cells"] > 0
    assert facts["messages"] == []
    assert facts["shown_in_3d"]
