# SPDX-License-Identifier: Apache-2.0
"""The list of bundles: all there is of each, broken ones too, and which take an image."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundle import tiny_bundle

from medvol.bundle.find import shipped_bundles
from medvol.bundle.listing import bundles_for, listed, look, with_bundles
from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.errors import InputError

CT = ["covid_ct_lesion_25d", "covid_ct_lesion_3d", "covid_ct_slice_classifier"]
XR = ["chest_xray_covid", "chest_xray_pneumonia", "chest_xray_pneumonia_type"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_BUNDLES", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("name", shipped_bundles())
def test_shipped_figures_stand_on_the_bundles_page(name: str) -> None:
    (found,) = [bundle for bundle in listed() if bundle.folder.name == name]
    page = (found.folder / "docs" / "README.md").read_text(encoding="utf-8")
    numbers = {float(number) for number in re.findall(r"\b0\.\d+", page.split("## Figures", 1)[1])}
    assert len(found.figures) >= 2
    assert set(found.figures.values()) <= numbers
    assert (found.trained, found.shipped, found.refusal) == (True, True, None)


def test_a_line_and_an_object_for_each_bundle(own: Path) -> None:
    made = tiny_bundle(own / "mine", metadata={"eval_metrics": {"test part, Dice": 0.5}})
    mine = look(made)
    labels = "ground-glass opacity, consolidation, lung (rest)"
    assert mine.line() == ("mine", "0.2.0", "CT volumes", labels, "test part, Dice 0.50")
    said = mine.to_json()
    assert (said["name"], said["shipped"], said["task"], said["modality"], said["refusal"]) == (
        "mine", False, "volumes", "CT", None,
    )  # fmt: skip
    assert said["figures"] == {"test part, Dice": 0.5}
    (made / "models" / "model.pt").unlink()
    assert look(made).line()[-1] == "not trained yet"


def test_broken_bundles_are_listed_with_why(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tiny_bundle(own / "broken")
    metadata = made / "configs" / "metadata.json"
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**content, "focus_lables": [1]}))
    tiny_bundle(own / "no_json")
    (own / "no_json" / "configs" / "metadata.json").write_text("{")
    assert main(["bundle", "list", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["own_folder"] == str(own)
    by_name = {bundle["name"]: bundle for bundle in said["bundles"]}
    assert [*by_name] == [*shipped_bundles(), "broken", "no_json"]
    assert by_name["broken"]["refusal"]["remedy"] == "Did you mean focus_labels?"
    assert by_name["no_json"]["refusal"]["code"] == "E_FORMAT"
    assert main(["bundle", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "Did you mean focus_labels?" in lines["broken"]
    assert "is not JSON" in lines["no_json"]


def test_the_list_loads_no_torch() -> None:
    code = "import sys; from medvol.cli import main; main(['bundle', 'list']); "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.usefixtures("own")
def test_bundles_that_take_an_image_are_named(tmp_path: Path) -> None:
    assert bundles_for({"CT"}) == CT
    picture, volume = tmp_path / "a.png", tmp_path / "b.nrrd"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
    volume.write_bytes(b"NRRD0004\n")
    ct, xr = read_spec(CT[0]), read_spec(XR[0])
    for error, spec, names in (
        (InputError("E_FORMAT", picture, "it is a PNG picture.", "Mend it."), ct, XR),
        (InputError("E_FORMAT", volume, "its content is NRRD.", "Mend it."), xr,
         ["brain_mri_tumor", *CT]),
        (InputError("E_MODALITY", "x", "its DICOM header says CT; no.", "Mend it."), xr, CT),
        (InputError("E_MODALITY", "x", "a CT in HU is expected; looks like MR", "Mend it."), ct,
         ["brain_mri_tumor"]),
    ):  # fmt: skip
        said = with_bundles(error, spec)
        assert (said.code, said.path, said.reason) == (error.code, error.path, error.reason)
        assert said.remedy == f"Mend it. Bundles for such an image: {', '.join(names)}."
    for error, spec in (
        (InputError("E_FORMAT", picture, "it is cut.", "Mend it."), xr),
        (InputError("E_FORMAT", tmp_path / "none.png", "it is not there.", "Mend it."), ct),
        (InputError("E_TRUNCATED", volume, "it is a CT, cut.", "Mend it."), xr),
    ):
        assert with_bundles(error, spec) is error
