# SPDX-License-Identifier: Apache-2.0
"""What a bundle says about itself, also one made elsewhere that says little or nonsense."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from refusals import refused_by

from medvol.bundle.spec import HumanReference, check_chain, parse_spec, read_spec
from medvol.errors import InputError
from medvol.metrics.measurements import Reference

ZOO = {  # what a bundle of the model zoo says, in short
    "version": "0.5.9",
    "network_data_format": {
        "inputs": {"image": {"type": "image", "modality": "CT"}},
        "outputs": {"pred": {"channel_def": {"0": "background", "1": "spleen"}}},
    },
}
OWN = {
    **ZOO,
    "label_table": [
        {"value": 4, "name": "lesion", "color": [1, 2, 3]},
        {"value": 9, "name": "lung", "color": [4, 5, 6]},
    ],
    "reference_organ": {"name": "lung", "labels": [4, 9]},
    "focus_labels": [4],
    "display_window_hu": [-1350, 150],
    "second_window": {"name": "mediastinal window", "hu": [-160, 240]},
    "chain_fingerprint": "0123456789abcdef",
}


def bundle(folder: Path, metadata: Any) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return folder


def test_a_bundle_of_medvol(tmp_path: Path) -> None:
    made = read_spec(bundle(tmp_path / "mine", OWN))
    assert (made.name, made.version, made.modality) == ("mine", "0.5.9", "CT")
    assert [(label.value, label.name) for label in made.labels] == [(4, "lesion"), (9, "lung")]
    assert made.reference == Reference("lung", (4, 9))
    assert made.output_names == ("lesion", "lung")
    assert made.focus == (4,)
    assert made.display_window_hu == (-1350.0, 150.0)
    assert made.second_window == ("mediastinal window", (-160.0, 240.0))
    assert made.chain_fingerprint == "0123456789abcdef"
    assert made.weights == made.folder / "models" / "model.pt"


@pytest.mark.parametrize("name", ["covid_ct_lesion_3d", "covid_ct_lesion_25d"])
def test_the_shipped_ct_bundles_know_lungs(name: str) -> None:
    made = read_spec(name)
    assert made.lung_regions
    assert made.coverage is not None
    assert made.coverage.organ == "lungs"
    assert made.organ_levels is not None
    assert made.organ_levels.ranges_hu == {10.0: (-1005.0, -815.0), 50.0: (-935.0, -625.0)}


def test_regions_of_figures(tmp_path: Path) -> None:
    own = read_spec(bundle(tmp_path / "mine", OWN))
    assert own.focus_name == "lesion"  # the only label that is looked for
    assert own.regions == {"lesion": (4,), "lung": (9,), "lung (4, 9)": (4, 9)}
    both = read_spec(bundle(tmp_path / "both", {**OWN, "focus_labels": None, "focus_name": "all"}))
    assert both.regions == {"all": (4, 9), "lesion": (4,), "lung": (9,)}
    theirs = read_spec(bundle(tmp_path / "theirs", ZOO))
    assert (theirs.focus_name, theirs.regions) == ("spleen", {"spleen": (1,)})
    silent = read_spec(bundle(tmp_path / "silent", {**OWN, "focus_labels": None}))
    assert silent.focus_name == "marked region"


def test_other_weights_than_its_own(tmp_path: Path) -> None:
    other = tmp_path / "fold1.pt"
    other.write_bytes(b"weights")
    made = read_spec(bundle(tmp_path / "mine", OWN), weights=other)
    assert made.weights == other
    assert made.weights_sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_bundle_made_elsewhere(tmp_path: Path) -> None:
    made = read_spec(bundle(tmp_path / "theirs", ZOO))
    assert [(label.value, label.name) for label in made.labels] == [(1, "spleen")]
    assert made.focus == (1,)
    assert (made.reference, made.display_window_hu, made.chain_fingerprint) == (None, None, None)


def test_a_bundle_that_says_nothing(tmp_path: Path) -> None:
    outputs = {"pred": {"channel_def": {"0": "background", "1": "spleen"}}}
    made = read_spec(bundle(tmp_path / "silent", {"network_data_format": {"outputs": outputs}}))
    assert (made.task, made.version, made.modality) == ("volumes", "unknown", None)
    assert (made.channels, made.classes, made.intended_use) == (("",), (), "")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"network_data_format": None},
        {"network_data_format": {"outputs": {"pred": {"channel_def": ["background", "spleen"]}}}},
        {"network_data_format": {"outputs": {"pred": {"channel_def": {"one": "spleen"}}}}},
        {"label_table": [{"value": 1, "name": "spleen"}]},
        {"label_table": [{"value": 1, "name": "spleen", "color": [1, 2]}]},
        {"label_table": [{"value": 0, "name": "spleen", "color": [1, 2, 3]}]},
        {"label_table": [{"value": 1, "name": "a", "color": [1, 2, 3], "terminology": ["SCT"]}]},
        {"label_table": ["spleen"]},
        {"label_table": 1},
    ],
)
def test_labels_that_cannot_be_read_are_refused(metadata: Any, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "odd", metadata)
    with pytest.raises(InputError) as caught:
        read_spec(folder)
    assert caught.value.code == "E_BUNDLE"
    assert caught.value.path == os.fspath(tmp_path / "odd" / "configs" / "metadata.json")
    assert "`label_table`" in caught.value.remedy


@pytest.mark.parametrize("inputs", [None, [], {}, {"image": None}, {"image": {"modality": ""}}])
def test_a_modality_that_cannot_be_read_is_unsaid(inputs: Any) -> None:
    format_ = {**ZOO["network_data_format"], "inputs": inputs}
    assert parse_spec(Path("b"), {"network_data_format": format_}).modality is None


@pytest.mark.parametrize(
    ("modality", "channel_def", "sequences"),
    [
        ("MR", {"1": "FLAIR", "0": "before contrast", "2": "after contrast"}, True),
        ("MR", {"0": "image"}, False),
        ("MR", None, False),
        ("MR", ["image", "other"], False),
        ("CT", {"0": "slice", "1": "neighbour"}, False),
    ],
)
def test_mr_of_several_channels_is_several_sequences(
    modality: str, channel_def: Any, sequences: bool
) -> None:
    image = {"modality": modality, "channel_def": channel_def}
    format_ = {**ZOO["network_data_format"], "inputs": {"image": image}}
    made = parse_spec(Path("b"), {"network_data_format": format_})
    assert made.takes_sequences == sequences
    if sequences:
        assert made.channels == ("before contrast", "FLAIR", "after contrast")


CLASSES = {  # what a classifier of radiographs says
    "medvol_task": "radiographs",
    "network_data_format": {
        "inputs": {"image": {"modality": "XR"}},
        "outputs": {
            "pred": {"format": "classes", "channel_def": {"0": "normal", "1": "pneumonia"}}
        },
    },
}


def test_a_classifier_of_radiographs(tmp_path: Path) -> None:
    made = read_spec(bundle(tmp_path / "classes", CLASSES))
    assert (made.task, made.classes) == ("radiographs", ("normal", "pneumonia"))
    assert (len(made.labels), made.focus, made.modality) == (0, (), "XR")


@pytest.mark.parametrize(
    "channels", [None, {}, {"0": "one"}, {"1": "a", "2": "b"}, {"0": "a", "1": "a"}, ["a", "b"]]
)
@pytest.mark.parametrize("task", ["slices", "radiographs"])
def test_classes_that_are_not_named(channels: Any, task: str) -> None:
    format_ = {"outputs": {"pred": {} if channels is None else {"channel_def": channels}}}
    error = refused_by(
        lambda: parse_spec(Path("b"), {"medvol_task": task, "network_data_format": format_}),
        "E_BUNDLE",
    )
    assert "`network_data_format.outputs.pred.channel_def`" in error.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"medvol_task": "volume"}, ["`medvol_task`", "'volume'", "volumes, slices, radiographs"]),
        ({"focus_label": [4]}, ["`focus_label`", "Did you mean focus_labels?"]),
        ({"display_window": [0, 1]}, ["`display_window`", "Did you mean display_window_hu?"]),
        ({"medvol_colour": 1}, ["`medvol_colour`", "no such field"]),
        ({"focus_labels": [5]}, ["`focus_labels`", "[5]", "[4, 9]"]),
        ({"focus_labels": []}, ["`focus_labels`", "[] are not labels"]),
        ({"focus_labels": ["a"]}, ["`focus_labels`", "'a'"]),
        ({"focus_name": 3}, ["`focus_name`", "3 is not a text"]),
        ({"reference_organ": {"name": "lung"}}, ["`reference_organ`", "lacks 'labels'"]),
        ({"reference_organ": {"name": "lung", "labels": [1]}}, ["`reference_organ`", "[1]"]),
        ({"display_window_hu": [150, -1350]}, ["`display_window_hu`", "150 to -1350"]),
        ({"display_window_hu": [1]}, ["`display_window_hu`"]),
        ({"second_window": {"hu": [-160, 240]}}, ["`second_window`", "lacks 'name'"]),
        ({"second_window": {"name": "w", "hu": [1, 1]}}, ["`second_window`", "1 to 1"]),
        ({"slice_rule": {"threshold": 1.1, "length_mm": 0}}, ["`slice_rule`", "1.1"]),
        ({"slice_rule": {"threshold": 0.5}}, ["`slice_rule`", "lacks 'length_mm'"]),
        ({"chain_fingerprint": 12}, ["`chain_fingerprint`", "12 is not a text"]),
        ({"human_reference": [{"figure": "dice_mean"}]}, ["`human_reference`", "lacks 'value'"]),
        ({"human_references": []}, ["`human_references`", "Did you mean human_reference?"]),
    ],
)
def test_a_wrong_field_is_refused_by_its_key(changes: dict[str, Any], words: list[str]) -> None:
    error = refused_by(lambda: parse_spec(Path("b"), {**OWN, **changes}), "E_BUNDLE")
    assert error.path == os.path.join("b", "configs", "metadata.json")
    assert [word for word in words if word not in str(error)] == []


def test_what_human_readers_reach() -> None:
    row = {"region": "lesion", "figure": "dice_mean", "value": 0.7, "what": "two", "source": "A"}
    spec = parse_spec(Path("b"), {**OWN, "human_reference": [row]})
    assert spec.human == (HumanReference("lesion", "dice_mean", 0.7, "two", "A"),)
    assert parse_spec(Path("b"), OWN).human == ()


def test_fields_of_others_are_let_be() -> None:
    """MONAI's own, and whatever a lab keeps there."""
    more = {"label_classes": "0 background, 1 spleen", "schema": "https://...", "ward": 7}
    assert parse_spec(Path("b"), {**OWN, **more}).focus == (4,)


@pytest.mark.parametrize(("format_", "task"), [("segmentation", "volumes"), ("classes", None)])
def test_the_task_of_a_bundle_that_names_none(format_: str, task: str | None) -> None:
    outputs = {"pred": {"format": format_, "channel_def": {"0": "background", "1": "spleen"}}}
    metadata = {"network_data_format": {"outputs": outputs}}
    if task is not None:
        assert parse_spec(Path("b"), metadata).task == task
        return
    error = refused_by(lambda: parse_spec(Path("b"), metadata), "E_BUNDLE")
    assert "`medvol_task`: it is missing" in error.reason


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"], ids=["empty", "cut", "list", "binary"])
def test_metadata_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "odd", {})
    path = folder / "configs" / "metadata.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        read_spec(folder)
    assert (caught.value.code, caught.value.path) == ("E_BUNDLE", os.fspath(path))


def test_the_weights_checksum(tmp_path: Path) -> None:
    """SHA-256 over more than one piece of reading."""
    made = read_spec(bundle(tmp_path / "mine", OWN))
    made.weights.parent.mkdir()
    content = bytes(range(256)) * 8192 + b"end"
    made.weights.write_bytes(content)
    assert made.weights_sha256 == hashlib.sha256(content).hexdigest()


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    made = read_spec(bundle(tmp_path / "mine", OWN))
    with pytest.raises(InputError) as caught:
        _ = made.weights_sha256
    assert (caught.value.code, caught.value.path) == ("E_BUNDLE", os.fspath(made.weights))
    assert "train it" in caught.value.remedy


def test_describing_loads_no_torch() -> None:
    code = (
        "import sys; from medvol.bundle.spec import read_spec;"
        "read_spec('covid_ct_lesion_3d').labels;"
        "sys.exit(sum(m in sys.modules for m in ('torch', 'monai', 'nibabel', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


TRAINED, OTHER = "0123456789abcdef", "fedcba9876543210"


def test_another_chain_is_refused_by_folder_and_by_spec(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", {**ZOO, "chain_fingerprint": TRAINED})
    for given in (folder, os.fspath(folder), read_spec(folder)):
        with pytest.raises(InputError) as caught:
            check_chain(given, OTHER)
        assert (caught.value.code, caught.value.path) == ("E_BUNDLE", os.fspath(folder))
        assert f"trained behind chain {TRAINED}" in caught.value.reason
        assert OTHER in caught.value.reason
        assert "train again" in caught.value.remedy


@pytest.mark.parametrize(
    ("trained", "runs"), [(TRAINED, TRAINED), (None, OTHER), (TRAINED, None), (None, None)]
)
def test_equal_or_unknown_chains_pass(trained: str | None, runs: str | None) -> None:
    said = {"chain_fingerprint": trained} if trained else {}
    check_chain(parse_spec(Path("b"), {**ZOO, **said}), runs)
