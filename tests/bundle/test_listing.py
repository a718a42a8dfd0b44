# SPDX-License-Identifier: Apache-2.0
"""The list of bundles: all there is of each, broken ones too."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_bundle import tiny_bundle

from medvol.bundle.find import shipped_bundles
from medvol.bundle.listing import listed, look
from medvol.cli import main


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
    own_words = {"version": "1.2.3", "eval_metrics": {"test part, Dice": 0.5}}
    made = tiny_bundle(own / "mine", metadata=own_words)
    mine = look(made)
    labels = "ground-glass opacity, consolidation, lung (rest)"
    assert mine.line() == ("mine", "1.2.3", "own", "CT volumes", labels, "test part, Dice 0.50")
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
    assert by_name["no_json"]["refusal"]["code"] == "E_BUNDLE"
    assert main(["bundle", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "Did you mean focus_labels?" in lines["broken"]
    assert "cannot be read as JSON" in lines["no_json"]


def test_the_list_loads_no_torch() -> None:
    code = "import sys; from medvol.cli import main; main(['bundle', 'list']); "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
