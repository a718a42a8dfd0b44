# SPDX-License-Identifier: Apache-2.0
"""`medvol data inspect`: lines for a reader, one object for a program, and the exit status."""

import json
from pathlib import Path

import pytest

from medvol.cli import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    words = ["data", "phantom", "-o", str(folder), "--count", "2", "--spacing", "12", "12", "16"]
    assert main(words) == 0
    return folder / "datalist.json"


def test_lines_and_settings(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "inspect", str(data), "--cases", "1"]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 patients (fold " in said
    assert "1; the others by their header or name alone" in said
    assert "settings for the training of covid_ct_lesion_3d, with " in said
    assert "--set 'spacing_mm=[12.0, 12.0, 16.0]' 'window_hu=[" in said


def test_one_object(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "inspect", str(data), "--all", "--json", "--bundle", "covid_ct_lesion_25d"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["bundle"], found["cases"], found["read"]) == ("covid_ct_lesion_25d", 2, 2)
    assert found["labels"][0]["name"] == "ground-glass opacity"
    ids = [own["id"] for own in found["proposals"]]
    assert ids == ["spacing_mm", "window_hu", "patch_size", "batch_size", "repeat"]


def test_what_is_wrong_shows_in_the_status(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(data.read_text())
    for item in content["training"]:
        item |= {key: str(data.parent / item[key]) for key in ("image", "label")}
    content["training"][0]["image"] = str(tmp_path / "none.nii.gz")
    (tmp_path / "d.json").write_text(json.dumps(content))
    assert main(["data", "inspect", str(tmp_path / "d.json")]) == 1
    assert "E_PATH" in capsys.readouterr().out
    assert main(["data", "inspect", str(tmp_path / "nothing.json")]) == 2
