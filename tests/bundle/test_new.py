# SPDX-License-Identifier: Apache-2.0
"""A bundle made from another: what it takes over, what it leaves out, and what is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medvol.bundle.build import change_bundle, stale_files
from medvol.bundle.config import Config
from medvol.bundle.find import all_bundles, find_bundle, shipped_bundles
from medvol.bundle.new import new_bundle
from medvol.errors import InputError
from medvol.owned import MANIFEST

LUNG = {"label_table": [{"value": 1, "name": "lung", "of": [1, 2, 3]}]}
CLASSES = {"classes": ["normal", "nodule", "effusion"]}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_BUNDLES", str(tmp_path / "own"))
    return tmp_path / "own"


def labels_for(name: str, folder: Path) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(CLASSES if name.startswith("chest_xray") else LUNG))
    return path


def read(folder: Path, name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "configs" / f"{name}.json").read_text())
    return config


@pytest.mark.parametrize("name", shipped_bundles())
def test_every_shipped_bundle_takes_other_labels(name: str, own: Path, tmp_path: Path) -> None:
    folder = new_bundle("mine", like=name, labels=labels_for(name, tmp_path))
    assert folder == own / "mine" == find_bundle("mine") == all_bundles()["mine"]
    assert not stale_files(folder)
    metadata = read(folder, "metadata")
    assert metadata["version"] in metadata["changelog"]
    assert "chain_fingerprint" not in metadata
    use = Config(folder / "configs" / "inference.json", bundle_root=str(folder), device="cpu")
    train = Config(folder / "configs" / "train.json", bundle_root=str(folder), device="cpu")
    assert use.build("preprocessing").fingerprint == train.build("chain").fingerprint
    use.build("postprocessing")
    state = train.build("network_def").state_dict()
    use.build("network_def").load_state_dict(state)
    text = (folder / "source.json").read_text() + "".join(
        path.read_text() for path in folder.glob("configs/*.json")
    )
    for word in ("MedSeg", "Kermany", "Buda", "paste_lesion", "gate", "opacity", "tumour"):
        assert word not in text, word


def test_lungs_alone_are_trained_without_anything_about_lesions(own: Path, tmp_path: Path) -> None:  # noqa: ARG001
    folder = new_bundle("lungs", like="covid_ct_lesion_3d", labels=labels_for("", tmp_path))
    train, metadata = read(folder, "train"), read(folder, "metadata")
    assert train["loss"]["_target_"] == "DiceCELoss"
    assert (train["labels"], train["class_ratios"]) == (2, [1, 1])
    assert train["regions"] == {"lung": [1]}
    (name,) = train["validate"]["key_metric"]
    assert name == "lung_dice"
    assert metadata["network_data_format"]["outputs"]["pred"]["num_channels"] == 2
    assert [row["name"] for row in metadata["label_table"]] == ["lung"]
    assert train["data_labels"] == {"1": 1, "2": 1, "3": 1}
    for data in (train["train"]["volumes"], train["validate"]["dataset"]["data"]):
        assert data["labels"] == "@data_labels"


@pytest.mark.parametrize(
    ("names", "mirrored"),
    [
        (["lung", "upright"], 1),
        (["Right_lung", "other"], 0),
        (["lung (LEFT)"], 0),
        (["leftover"], 1),
    ],
)
def test_labels_of_one_side_are_not_mirrored(
    names: list[str],
    mirrored: int,
    own: Path,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    rows = [{"value": value, "name": name} for value, name in enumerate(names, start=1)]
    path = tmp_path / "sides.json"
    path.write_text(json.dumps({"label_table": rows}))
    for like in ("covid_ct_lesion_3d", "covid_ct_lesion_25d", "brain_mri_tumor"):
        folder = new_bundle(f"of_{like}", like=like, labels=path)
        steps = [step["_target_"] for step in read(folder, "train")["train"]["augmentation"]]
        assert steps.count("RandFlipd") == mirrored
        assert "RandAffined" in steps


def test_without_labels_it_keeps_those_of_the_other(own: Path) -> None:  # noqa: ARG001
    folder, other = new_bundle("mine", like="covid_ct_lesion_3d"), "covid_ct_lesion_3d"
    shipped = shipped_bundles()[other]
    assert read(folder, "train") == read(shipped, "train")
    assert read(folder, "metadata")["label_table"] == read(shipped, "metadata")["label_table"]


def test_a_bundle_of_ones_own_can_be_the_next_ones_model(own: Path, tmp_path: Path) -> None:  # noqa: ARG001
    labels = labels_for("", tmp_path)
    new_bundle("first", like="covid_ct_lesion_3d", labels=labels)
    second = new_bundle("second", like="first")
    assert read(second, "train")["regions"] == {"lung": [1]}


def test_a_folder_is_made_where_it_is_named(tmp_path: Path) -> None:
    folder = new_bundle(tmp_path / "there", like="covid_ct_lesion_3d")
    assert folder == tmp_path / "there"
    assert sorted(os.listdir(folder)) == [
        MANIFEST, "LICENSE", "configs", "docs", "source.json"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "like", "labels", "words"),
    [
        ("Mine", "covid_ct_lesion_3d", None, "'Mine' is not a name"),
        ("mine", "covid_ct_lesion_3d", CLASSES, "no `label_table`"),
        ("mine", "chest_xray_covid", LUNG, "no `classes`"),
        ("mine", "chest_xray_covid", {"classes": ["one"]}, "two different names"),
        ("mine", "nothing_like_it", None, "no such bundle"),
        ("mine", "elsewhere", None, "it has no source.json"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(
    name: str, like: str, labels: Any, words: str, own: Path, tmp_path: Path
) -> None:
    (own / "elsewhere" / "configs").mkdir(parents=True)
    (own / "elsewhere" / "configs" / "metadata.json").write_text("{}")
    path = None
    if labels is not None:
        path = tmp_path / "labels.json"
        path.write_text(json.dumps(labels))
    with pytest.raises(InputError, match="E_BUNDLE") as caught:
        new_bundle(name, like=like, labels=path)
    assert words in caught.value.reason
    assert not (own / name).exists()


def test_a_config_that_was_changed_by_hand_leaves_the_source_as_it_is(own: Path) -> None:  # noqa: ARG001
    folder = new_bundle("mine", like="covid_ct_lesion_3d")
    before = (folder / "source.json").read_text()
    (folder / "configs" / "inference.json").write_text("{}")
    with pytest.raises(InputError, match="E_OUTPUT"):
        change_bundle(folder, {"metadata#chain_fingerprint": "ab"})
    assert (folder / "source.json").read_text() == before
    assert "chain_fingerprint" not in read(folder, "metadata")


def test_what_is_there_is_left_alone(own: Path) -> None:
    (own / "mine").mkdir(parents=True)
    with pytest.raises(InputError, match="E_PATH"):
        new_bundle("mine", like="covid_ct_lesion_3d")
    assert list((own / "mine").iterdir()) == []
