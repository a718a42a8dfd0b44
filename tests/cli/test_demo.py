# SPDX-License-Identifier: Apache-2.0
"""`medvol demo`: made CT, bundle, files, and the comparison with the truth."""

from pathlib import Path

import numpy as np
import pytest
from phantoms import tiny_chest
from tiny_bundle import SHIPPED, tiny_bundle

from medvol.cli import demo, main
from medvol.data.phantoms import chest as phantom_module
from medvol.data.phantoms.chest import Phantom
from medvol.images import read_image

CHEST = tiny_chest(noise_hu=5)
REGIONS = ["lesion", "ground-glass opacity", "consolidation", "lung (rest)"]


def table(said: str) -> dict[str, tuple[float, float, float]]:
    """Region to true ml, measured ml and Dice, of the printed table."""
    rows = {}
    for line in said.splitlines():
        name = next((region for region in REGIONS if line.startswith(f"{region}  ")), None)
        if name is not None:
            true, _, measured, _, overlap = line[len(name) :].split()
            rows[name] = (float(true), float(measured), float(overlap))
    return rows


def test_table_is_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Phantom(CHEST.ct, CHEST.labels, CHEST.affine)
    monkeypatch.setattr(phantom_module, "chest_ct_phantom", lambda **_: made)
    monkeypatch.setattr(demo, "BUNDLE", str(tiny_bundle(tmp_path / "b")))
    out = tmp_path / "out"
    assert main(["demo", str(out)]) == 0
    said = capsys.readouterr().out
    truth = read_image(out / "phantom_truth.nii.gz", kind="mask").array
    assert np.array_equal(truth, CHEST.labels)
    mask = read_image(out / "phantom_ct" / "segmentation.nii.gz", kind="mask").array
    found = table(said)
    assert list(found) == REGIONS
    # the thresholds find these two to the voxel: 64 and 1440 of 16 cubic mm
    assert found["ground-glass opacity"] == (1.0, 1.0, 1.0)
    assert found["lung (rest)"] == (23.0, 23.0, 1.0)
    marked = int((mask == 2).sum())
    dice = 2 * 32 / (32 + marked)  # they take all other tissue for consolidation
    assert found["consolidation"] == (0.5, round(marked * 0.016, 1), round(dice, 2))
    for file in ("report.html", "scene.mrb"):
        path = out / "phantom_ct" / file
        assert path.is_file()
        assert str(path.resolve()) in said
    assert "medvol predict YOUR_CT" in said
    assert "Research use only" in said
    truth = out / "phantom_truth.nii.gz"
    truth.write_bytes(b"mine")
    assert main(["demo", str(out)]) == 2
    assert f"E_OUTPUT {truth}: " in capsys.readouterr().err
    assert truth.read_bytes() == b"mine"


@pytest.mark.slow
@pytest.mark.skipif(not (SHIPPED / "models" / "model.pt").is_file(), reason="no weights")
def test_demo_finds_the_lesions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(tmp_path / "out")]) == 0
    found = table(capsys.readouterr().out)
    assert list(found) == REGIONS
    assert found["lesion"][2] > 0.5
    assert found["lung (rest)"][2] > 0.9
