# SPDX-License-Identifier: Apache-2.0
"""Weights and metadata that do not belong together are refused or noted, whichever was changed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused_by
from tiny_bundle import TINY_RADIOGRAPH, tiny_network, tiny_radiograph_bundle

from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.bundle.weights_record import check_trained
from medvol.files import sha256_of
from medvol.networks.weights import record_in, with_record
from medvol.trained import Trained

OWN = Trained(("normal", "pneumonia"), "", "radiographs")
TB = Trained(("healthy", "tb"), "", "radiographs")


def bundle(folder: Path, inside: Trained | None, beside: Trained | None, **named: Any) -> Path:
    """The tiny bundle for pneumonia; what the weights and the metadata say that they are for.

    Args:
        folder: to make.
        inside: record of the weights; None for a plain state dict.
        beside: `weights_record` of the metadata; None for none.
        named: `classes` of the metadata, or `sha256` that they record.
    """
    made = tiny_radiograph_bundle(folder)
    state, weights = tiny_network().state_dict(), made / "models" / "model.pt"
    torch.save(state if inside is None else with_record(state, inside), weights)
    path = made / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata.pop("weights_record", None)
    if beside is not None:
        digest = named.get("sha256", sha256_of(weights))
        metadata["weights_record"] = {"sha256": digest, **beside.to_json()}
    channels = dict(enumerate(named.get("classes", OWN.names)))
    metadata["network_data_format"]["outputs"]["pred"]["channel_def"] = channels
    path.write_text(json.dumps(metadata))
    return made


def checked(folder: Path) -> list[str]:
    spec = read_spec(folder)
    return [str(note) for note in check_trained(spec, record_in(spec.weights))]


@pytest.mark.parametrize(("inside", "beside"), [(OWN, OWN), (OWN, None), (None, OWN)])
def test_one_record_that_agrees_is_enough(
    tmp_path: Path, inside: Trained | None, beside: Trained | None
) -> None:
    assert checked(bundle(tmp_path / "b", inside, beside)) == []


@pytest.mark.parametrize(
    ("inside", "beside", "named"),
    [
        (TB, None, {}),
        (TB, OWN, {}),  # other weights, and the record beside was made for them
        (TB, OWN, {"sha256": "0" * 64}),
        (None, OWN, {"classes": TB.names}),  # the metadata were changed
        (OWN, None, {"classes": TB.names}),
    ],
)
def test_names_that_disagree_are_refused(
    tmp_path: Path, inside: Trained | None, beside: Trained | None, named: dict[str, Any]
) -> None:
    made = bundle(tmp_path / "b", inside, beside, **named)
    refused_by(lambda: checked(made), "E_LABELS")


def test_weights_without_a_record_get_a_note(tmp_path: Path) -> None:
    (note,) = checked(bundle(tmp_path / "a", None, None))
    assert note.startswith("N_WEIGHTS nothing says that the bundle's weights were trained for")
    assert note.endswith("model.pt has no record, nor has metadata.json.")
    (note,) = checked(bundle(tmp_path / "b", None, OWN, sha256="0" * 64))
    assert note.endswith("model.pt has no record, metadata.json describes other weights.")


def test_a_bundle_made_elsewhere_keeps_no_records(tmp_path: Path) -> None:
    made = bundle(tmp_path / "b", None, None)
    path = made / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["medvol_task"]
    metadata["network_data_format"]["outputs"]["pred"]["format"] = "segmentation"
    path.write_text(json.dumps(metadata))
    assert checked(made) == []


def test_names_of_a_config_are_compared_too(tmp_path: Path) -> None:
    spec = read_spec(bundle(tmp_path / "b", None, OWN))
    assert check_trained(spec, Trained(), ["Normal", "pneumonia"]) == ()
    refused_by(lambda: check_trained(spec, Trained(), ["tb", "healthy"]), "E_LABELS")


@pytest.mark.parametrize("name", shipped_bundles())
def test_shipped_weights_are_those_that_the_metadata_describe(name: str) -> None:
    spec = read_spec(name)
    assert spec.weights_record is not None
    assert spec.weights_record.sha256 == spec.weights_sha256
    assert spec.weights_record.trained == spec.trained
    assert checked(spec.folder) == []


def test_plain_weights_of_another_training_in_a_shipped_bundle(tmp_path: Path) -> None:
    """A network of 32 pixels for healthy and tb gives shapes that fit the bundle for pneumonia."""
    made = tmp_path / "chest_xray_pneumonia"
    shipped = shipped_bundles()[made.name]
    shutil.copytree(shipped, made, ignore=shutil.ignore_patterns("*.npz", "docs"))
    config = json.loads((made / "configs" / "inference.json").read_text())
    (made / "configs" / "inference.json").write_text(json.dumps({**config, **TINY_RADIOGRAPH}))
    weights = made / "models" / "model.pt"
    torch.save(tiny_network().state_dict(), weights)
    assert [note.partition(" ")[0] for note in checked(made)] == ["N_WEIGHTS"]
    torch.save(with_record(tiny_network().state_dict(), TB), weights)
    refused_by(lambda: checked(made), "E_LABELS")
    chain = Trained((), "0123456789abcdef", "radiographs")
    torch.save(with_record(tiny_network().state_dict(), chain), weights)
    assert "behind chain 0123" in refused_by(lambda: checked(made), "E_BUNDLE").reason
