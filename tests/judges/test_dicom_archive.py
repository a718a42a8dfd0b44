# SPDX-License-Identifier: Apache-2.0
"""What an archive (Orthanc) and dcmqi's reader of reports make of the DICOM that is written."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from dicom_answers import Made, made_chest
from orthanc import orthanc
from phantoms import tiny_chest

from medvol.outputs.save import save
from medvol.spatial import voxel_volume_ml


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_chest(tmp_path_factory.mktemp("chest"), tiny_chest(noise_hu=5))


def test_a_second_run_fills_no_archive(chest: Made, tmp_path: Path) -> None:
    with orthanc(tmp_path / "archive") as archive:
        for path in sorted(chest.path.iterdir()):
            archive.put(path)
        for name in ("first", "second"):
            answer = chest.bundle.predict(chest.path)
            for path in save(answer, tmp_path / name, formats=["dicom"]).values():
                archive.put(path)
            counts = [len(archive.get(f"/{x}")) for x in ("patients", "studies", "series")]
            assert counts == [1, 1, 4]
            assert len(archive.get("/instances")) == 16 + 3
            assert sorted(archive.modalities()) == ["CT", "OT", "SEG", "SR"]


@pytest.mark.skipif(importlib.util.find_spec("dcmqi") is None, reason="dcmqi is not installed")
def test_dcmqi_reads_the_report(chest: Made, tmp_path: Path) -> None:
    path = save(chest.answer, tmp_path, formats=["dicom"])["dicom-sr"]
    program, found = Path(sys.executable).with_name("tid1500reader"), tmp_path / "found.json"
    done = subprocess.run(
        [program, "--inputDICOM", path, "--outputMetadata", found],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    groups = json.loads(found.read_text())["Measurements"]
    segments = {x["ReferencedSegment"]: x for x in groups if "ReferencedSegment" in x}
    assert {*segments} == {1, 2, 3}
    mask, ml = chest.answer.mask, voxel_volume_ml(chest.answer.image.affine)
    for number, label in enumerate(chest.answer.spec.labels, 1):
        group = segments[number]
        assert group["TrackingIdentifier"] == label.name
        measured = {x["quantity"]["CodeValue"]: x for x in group["measurementItems"]}
        volume = measured["118565006"]
        assert volume["units"]["CodeValue"] == "ml"
        expected = float((mask == label.value).sum()) * ml
        assert float(volume["value"]) == pytest.approx(expected, rel=1e-6)
        assert measured["112031"]["derivationModifier"]["CodeMeaning"] == "Mean"
