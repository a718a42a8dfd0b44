# SPDX-License-Identifier: Apache-2.0
"""Configs of the shipped bundles agree: one table of labels, one chain, one network."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvol.bundle.config import Config
from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.chains import lung_ct
from medvol.data.lung_lesions import CONSOLIDATION, GROUND_GLASS, LABELS, LUNG
from medvol.images.writing import write_mask, write_volume
from medvol.labels import LabelTable

BUNDLES = shipped_bundles()
CLASSIFIER = "covid_ct_slice_classifier"
RADIOGRAPHS = [name for name in BUNDLES if name.startswith("chest_xray")]
LUNG_CT = [name for name in BUNDLES if name.startswith("covid_ct_lesion")]

WITH_LABELS = {name: folder for name, folder in BUNDLES.items() if name not in RADIOGRAPHS}
each_bundle_with_labels = pytest.mark.parametrize("folder", WITH_LABELS.values(), ids=WITH_LABELS)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@each_bundle_with_labels
def test_the_label_table_agrees_with_the_channels(folder: Path) -> None:
    metadata = read(folder / "configs" / "metadata.json")
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    table = LabelTable.from_metadata(metadata)
    first = "background" if metadata["medvol_task"] == "volumes" else "no lesion"
    assert channels == {"0": first, **{str(x.value): x.name for x in table}}
    assert metadata["network_data_format"]["outputs"]["pred"]["num_channels"] == len(table) + 1


@each_bundle_with_labels
def test_figures_and_shares_are_of_labels_that_exist(folder: Path) -> None:
    metadata = read(folder / "configs" / "metadata.json")
    values = {label.value for label in LabelTable.from_metadata(metadata)}
    assert set(metadata["focus_labels"]) <= values
    assert set(metadata.get("reference_organ", {"labels": []})["labels"]) <= values
    regions = read(folder / "configs" / "train.json").get("regions", {})
    assert {value for region in regions.values() for value in region} <= values


@pytest.mark.parametrize("folder", BUNDLES.values(), ids=BUNDLES)
def test_what_is_validated_is_kept_and_an_evaluation_averages_nothing(folder: Path) -> None:
    """Else the weights of a file would go into the network beside the one that is measured."""
    train, evaluate = (read(folder / "configs" / f"{part}.json") for part in ("train", "evaluate"))
    best, *_ = train["validate"]["handlers"]
    averaged = {best["network"], train["validate"]["evaluator"]["network"]}
    assert averaged == {"$@averaging.network"}
    assert (train["ema"], train["averaging"]["share"]) == (None, "@ema")
    assert evaluate["averaging#share"] is None


@pytest.mark.parametrize("name", LUNG_CT)
def test_labels_are_those_of_the_data_sets(name: str) -> None:
    table = LabelTable.from_metadata(read(BUNDLES[name] / "configs" / "metadata.json"))
    assert [(x.value, x.name, x.color) for x in table] == [
        (GROUND_GLASS, "ground-glass opacity", (255, 190, 40)),
        (CONSOLIDATION, "consolidation", (220, 50, 60)),
        (LUNG, "lung (rest)", (90, 170, 230)),
    ]
    assert table == LABELS


@pytest.mark.parametrize("name", LUNG_CT)
def test_training_and_inference_have_one_chain_network_and_window(name: str) -> None:
    parts = ("train", "inference", "metadata")
    train, use, metadata = (read(BUNDLES[name] / "configs" / f"{part}.json") for part in parts)
    own = {"out_channels": train["labels"], "deep_supervision": "@deep_supervision"}
    assert {**train["network_def"], **own} == {**use["network_def"], **own}
    assert use.get("patch_size", train["patch_size"]) == train["patch_size"]
    assert use.get("slices") == train.get("slices")
    image = metadata["network_data_format"]["inputs"]["image"]
    assert image["spatial_shape"] == train["patch_size"]
    assert image["num_channels"] == train.get("slices", 1)
    words = {"_target_", "label_key", "image_key"}

    def resolved(chain: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        named = {key: value for key, value in chain.items() if key not in words}
        return {k: config[v[1:]] if str(v).startswith("@") else v for k, v in named.items()}

    settings = [
        resolved(use["preprocessing"], use),
        resolved(train["chain"], train),
        resolved(train["validate"]["chain"], train),
    ]
    fingerprints = {lung_ct(**chain).fingerprint for chain in settings}
    assert len(fingerprints) == 1
    assert metadata.get("chain_fingerprint") in (None, *fingerprints)
    assert tuple(metadata["display_window_hu"]) == tuple(
        lung_ct(**settings[0]).settings["window_hu"]
    )


def test_the_lesion_bundles_share_one_chain() -> None:
    configs = [read(BUNDLES[name] / "configs" / "train.json") for name in LUNG_CT]
    assert len(configs) >= 2
    assert {config["chain"]["_target_"] for config in configs} == {"medvol.chains.lung_ct"}
    assert len({lung_ct(**_arguments(config)).fingerprint for config in configs}) == 1
    for config in configs[1:]:
        assert config["labels"] == configs[0]["labels"]
        assert config["regions"] == configs[0]["regions"]


def _arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the training's chain, with what they refer to."""
    given = {key: value for key, value in config["chain"].items() if key != "_target_"}
    return {k: config[v[1:]] if str(v).startswith("@") else v for k, v in given.items()}


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_a_classifier_of_radiographs_is_used_as_it_was_trained(name: str) -> None:
    folder = BUNDLES[name] / "configs"
    train, use, metadata = (
        read(folder / f"{part}.json") for part in ("train", "inference", "metadata")
    )
    bundle = read_spec(BUNDLES[name])
    assert bundle.task == "radiographs"
    assert list(bundle.classes) == train["class_names"] == use["class_names"]
    assert metadata["network_data_format"]["outputs"]["pred"]["num_channels"] == len(bundle.classes)
    shared = {"network_def", "image_size", "normalise", "keep_aspect", *_named(use["network_def"])}
    assert {key: use[key] for key in shared} == {key: train[key] for key in shared}
    chain = Config(folder / "inference.json").build("preprocessing")
    assert metadata.get("chain_fingerprint") in (None, chain.fingerprint)
    assert metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == list(
        chain.settings["size"]
    )


def _named(network: dict[str, Any]) -> set[str]:
    """Ids of a config that a network's arguments are."""
    return {value[1:] for value in network.values() if str(value).startswith("@")}


def test_the_slice_classifier_stands_behind_the_chain_of_the_segmenters() -> None:
    """So that it can be their gate: whoever prepares an image prepares it for both."""
    folder = BUNDLES[CLASSIFIER] / "configs"
    train, use = read(folder / "train.json"), read(folder / "inference.json")
    fingerprints = {lung_ct(**_arguments(train)).fingerprint}
    for name in (CLASSIFIER, *LUNG_CT):
        chain = Config(BUNDLES[name] / "configs" / "inference.json").build("preprocessing")
        fingerprints.add(chain.fingerprint)
        recorded = read(BUNDLES[name] / "configs" / "metadata.json").get("chain_fingerprint")
        assert recorded in (None, chain.fingerprint)
    assert len(fingerprints) == 1
    assert use["network_def"] == train["network_def"]
    assert use["slices"] == train["slices"]


def test_the_gate_of_the_cascade_is_the_slice_classifier() -> None:
    gate = read(BUNDLES["covid_ct_lesion_25d"] / "configs" / "inference.json")
    classifier = read(BUNDLES[CLASSIFIER] / "configs" / "inference.json")
    assert gate["gate_threshold"] is None  # an option
    assert gate["gate_slices"] == classifier["slices"]
    own = {**classifier["network_def"], "in_channels": "@gate_slices"}
    assert gate["gate_def"] == own


@pytest.mark.parametrize(("interval", "ready"), [(None, False), (2, True)])
def test_validation_images_are_prepared_at_once_only_where_they_are_asked_for(
    interval: int | None, ready: bool, tmp_path: Path
) -> None:
    """A training that never validates does not read them; one that does fails before it trains."""
    image, label = (str(tmp_path / f"{name}.nii.gz") for name in ("ct", "label"))
    values = np.full((24, 24, 24), 40, np.int16)
    values[4:20, 4:20, 4:20] = -850
    affine = np.diag([10.0, 10.0, 10.0, 1.0])
    write_volume(image, values, affine)
    write_mask(label, np.where(values < 0, 3, 0).astype(np.uint8), affine)
    items = [{"image": image, "label": label}]
    names = {"1": "ground-glass opacity", "2": "consolidation", "3": "lung (rest)"}
    listed = {"labels": names, "training": items, "validation": items}
    (tmp_path / "datalist.json").write_text(json.dumps(listed))
    folder = BUNDLES["covid_ct_lesion_3d"]
    config = Config(
        folder / "configs" / "train.json", bundle_root=str(folder), val_interval=interval,
        datalist=str(tmp_path / "datalist.json"),
    )  # fmt: skip
    dataset = config.build("validate#dataset")
    assert [prepared is not None for prepared in dataset._cache] == [ready]
    assert dataset[0]["image"].ndim == 4


def test_what_monai_says_while_it_makes_its_own_steps_is_no_concern_of_a_user(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a reader that is not there, and of the labels that axes had in an older version."""
    config = tmp_path / "inference.json"
    steps = [{"_target_": "LoadImaged", "keys": "image"},
             {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"}]  # fmt: skip
    config.write_text(json.dumps({"preprocessing": steps}), encoding="utf-8")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        built = Config(config).build("preprocessing")
    assert [type(step).__name__ for step in built] == ["LoadImaged", "Orientationd"]
    assert (said, caplog.messages) == ([], [])
