# SPDX-License-Identifier: Apache-2.0
"""What comes back from a server, as 3D Slicer's own core imports it; needs MEDVOL_SLICER_PYTHON.

The NRRD of MONAIAuto3DSeg's remote REST is opened as the module opens it: with a colour table of
the labels that the server lists, and then each segment looked up by its label's name.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from even_grids import even, even_bundle, marked_lung
from fastapi.testclient import TestClient
from grids import GRIDS, L_VOXELS, assert_same_places, places_mm
from phantoms import CONSOLIDATION, LUNG, l_shape
from trusted import trusted

from medvol.outputs.seg_nrrd import terminology_entry
from medvol.server.app import create_app
from medvol.server.service import Service
from medvol.server.settings import Settings

JUDGE = Path(__file__).with_name("open_in_slicer.py")
pytestmark = pytest.mark.slow
Seen = Mapping[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server with one bundle; none where there is no judge."""
    if not os.environ.get("MEDVOL_SLICER_PYTHON"):
        pytest.skip("MEDVOL_SLICER_PYTHON names no Python with slicer-core")
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(folder / "home"))
        bundle = trusted(even_bundle(folder / "even_ct"))
        service = Service(Settings(folder / "state", [str(bundle)], device="cpu"))
        yield service
        service.close()


@pytest.fixture(scope="module")
def seen(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Name of a grid -> what 3D Slicer saw of the segments, all in one process."""
    folder = tmp_path_factory.mktemp("back")
    client = TestClient(create_app(service), base_url="http://127.0.0.1:8000")
    table = client.get("/labelDescriptions?id=even_ct").content
    paths = []
    for name, affine in GRIDS.items():
        files = {"image_file": ("input-volume0.nrrd", marked_lung(affine, folder))}
        answer = client.post("/infer?model_name=even_ct", files=files)
        assert answer.status_code == 200, (name, answer.text)
        (folder / name).mkdir()
        path = folder / name / "output-segmentation.nrrd"
        path.write_bytes(answer.content)
        (folder / name / "labels.csv").write_bytes(table)
        paths.append(path)
    listing = folder / "paths.txt"
    listing.write_text("\n".join(map(str, paths)), encoding="utf-8")
    done = subprocess.run(
        [os.environ["MEDVOL_SLICER_PYTHON"], JUDGE, listing],
        capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {Path(path).parent.name: facts for path, facts in json.loads(done.stdout).items()}


@pytest.mark.parametrize("grid", GRIDS)
def test_every_voxel_lies_in_its_place(grid: str, seen: dict[str, Seen]) -> None:
    segments = {segment["label"]: segment for segment in seen[grid]["segments"]}
    around = l_shape().size - len(L_VOXELS)
    assert {label: s["voxels"] for label, s in segments.items()} == {
        1: 0, CONSOLIDATION: len(L_VOXELS), LUNG: around,
    }  # fmt: skip
    found = np.array(segments[CONSOLIDATION]["places_ras"])
    assert_same_places(found, places_mm(L_VOXELS, even(GRIDS[grid])))
    np.testing.assert_allclose(segments[LUNG]["ijk_to_ras"], even(GRIDS[grid]), atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
def test_names_colours_and_codes_are_those_of_the_bundle(
    grid: str, seen: dict[str, Seen], service: Service
) -> None:
    labels = service.bundles["even_ct"].labels
    for segment, label in zip(seen[grid]["segments"], labels, strict=True):
        assert segment["name"] == label.name
        np.testing.assert_allclose(segment["color"], np.array(label.color) / 255, atol=1e-5)
        assert label.terminology is not None
        assert segment["terminology"] == terminology_entry(label.terminology)
    assert seen[grid]["messages"] == []
    assert seen[grid]["found_by_name"] == []  # else the module would colour them by its own table
