# SPDX-License-Identifier: Apache-2.0
"""A bundle keeps what its weights are for, and what the pictures of its training look like."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from radiographs import upright_chest
from refusals import refused_by
from tiny_bundle import tiny_bundle, tiny_network, tiny_radiograph_bundle
from trusted import trusted

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.data.datalist import Datalist
from medvol.engine.pipeline import LIKENESS
from medvol.networks.weights import record_in, with_record
from medvol.owned import checksums, claim
from medvol.search import record
from medvol.search.record import record_bundle
from medvol.tasks.cases import Reading
from medvol.tasks.task import load_bundle
from medvol.trained import Trained

PART = {"training": 60, "validation": 20}


def saved(path: Path, grey: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 * grey.clip(0, 1)).astype(np.uint8)).save(path)
    return path


def datalist(folder: Path, parts: dict[str, int]) -> Path:
    """Chests that stand upright, as 8-bit pictures."""
    content: dict[str, object] = {"name": "made", "labels": {"0": "normal", "1": "pneumonia"},
                                  "modality": {"0": "XR"}}  # fmt: skip
    seed = 0
    for part, number in parts.items():
        items = []
        for index in range(number):
            seed += 1
            path = saved(folder / f"{part}{index}.png", upright_chest(seed))
            items.append({"image": str(path), "label": index % 2, "patient": f"p{seed}"})
        content[part] = items
    Datalist(content).write(folder / "datalist.json")
    return folder / "datalist.json"


def plain(folder: Path) -> Path:
    """The tiny bundle with weights that say nothing of themselves, and no record beside them."""
    made = tiny_radiograph_bundle(folder, metadata={"weights_record": None})
    torch.save(tiny_network().state_dict(), made / "models" / "model.pt")
    return made


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    made = plain(folder / "tiny")
    data = datalist(folder / "data", PART)
    assert main(["bundle", "record", str(made), "--data", str(data)]) == 0
    return made


def test_weights_that_are_recorded_need_no_note(recorded: Path, tmp_path: Path) -> None:
    spec = read_spec(recorded)
    chain = load_bundle(recorded, device="cpu").pipeline.fingerprint
    assert spec.chain_fingerprint == chain
    assert spec.weights_record is not None
    assert spec.weights_record.sha256 == spec.weights_sha256
    names = ("normal", "pneumonia")
    assert spec.weights_record.trained == Trained(names, chain or "", "radiographs")
    grey = upright_chest(500)
    assert load_bundle(recorded, device="cpu").predict(saved(tmp_path / "a.png", grey)).notes == ()
    (note,) = load_bundle(plain(tmp_path / "b"), device="cpu").predict(tmp_path / "a.png").notes
    assert note.code == "N_WEIGHTS"


def test_a_turned_picture_gets_a_note_and_is_refused_when_strict(
    recorded: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(recorded, device="cpu")
    path = saved(tmp_path / "a.png", np.rot90(upright_chest(500)))
    (note,) = bundle.predict(path).notes
    assert note.code == "N_KIND"
    assert "a quarter turn clockwise would make it so" in note.text
    error = refused_by(lambda: bundle.predict(path, reading=Reading(strict=True)), "E_VALUES")
    assert "N_KIND" in error.reason


def test_the_note_stands_in_table_terminal_and_record(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "a.png", np.random.default_rng(0).random((40, 40)))
    command = ["predict", str(path), "--bundle", str(recorded), "-o", str(tmp_path / "out")]
    assert main([*command, "--format", "cases", "json"]) == 0
    words = "unlike those that the bundle was trained on"
    assert words in capsys.readouterr().out
    assert words in (tmp_path / "out" / "cases.csv").read_text()
    (run,) = (tmp_path / "out").rglob("run.json")
    assert json.loads(run.read_text())["notes"][0][0] == "N_KIND"


def test_many_pictures_are_looked_at_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MOST", 50)
    data = Datalist.read(datalist(tmp_path / "data", {"training": 120}))
    done = record_bundle(plain(tmp_path / "tiny"), data=data)
    assert done[-1] == "models/likeness.npz: none, for fewer than 50 pictures say too little of "\
        "their kind"  # fmt: skip
    monkeypatch.setattr(record, "MOST", 60)
    done = record_bundle(tmp_path / "tiny", data=data)
    assert done[-1].startswith("models/likeness.npz: of 60 + 0 pictures, limit ")
    claim(tmp_path / "tiny", checksums(tmp_path / "tiny"))  # as in a bundle that medvol made
    few = Datalist.read(datalist(tmp_path / "few", {"training": 10}))
    record_bundle(tmp_path / "tiny", data=few)
    record_bundle(tmp_path / "tiny", data=few)
    assert not (tmp_path / "tiny" / "models" / LIKENESS).exists()  # of other data by now


def test_volumes_have_no_statistic_and_weights_of_others_are_refused(tmp_path: Path) -> None:
    made = tiny_bundle(tmp_path / "volumes", metadata={"weights_record": None})
    data = Datalist.read(datalist(tmp_path / "data", {"training": 2}))
    assert len(record_bundle(made, data=data)) == 1
    weights = made / "models" / "model.pt"
    other = Trained(("tumour",), "", "volumes")
    torch.save(with_record(torch.load(weights, weights_only=True), other), weights)
    assert record_in(weights) == other
    refused_by(lambda: record_bundle(made), "E_LABELS")


def test_a_statistic_that_is_broken_is_refused_when_the_bundle_is_loaded(tmp_path: Path) -> None:
    made = plain(tmp_path / "tiny")
    (made / "models" / LIKENESS).write_bytes(b"PK")
    trusted(made)
    error = refused_by(lambda: load_bundle(made, device="cpu"), "E_BUNDLE")
    assert error.path == str(made / "models" / LIKENESS)
