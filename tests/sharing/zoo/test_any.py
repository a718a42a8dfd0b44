# SPDX-License-Identifier: Apache-2.0
"""Bundles made elsewhere run whatever they call their parts, images and answers."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from phantoms import save_nifti, tiny_chest
from PIL import Image
from refusals import refused_by
from tiny_bundle import SLABS, tiny_bundle
from trusted import trusted
from zoo_kinds import UNET, WINDOW, Kind, network, of_image, of_mask, write_bundle, write_kind

from medvol.engine.settings import EngineSettings
from medvol.tasks.task import load_bundle

CHEST = tiny_chest(noise_hu=5)
STOCK = EngineSettings(stock=True)
CHANNELS = {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"}
REGIONS = {"0": "core", "1": "whole"}
MR = {"modality": "MR", "num_channels": 4, "channel_def": CHANNELS}
SIGMOID = of_mask("Activationsd", sigmoid=True)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """MONAI's word that a default of `Orientationd` has changed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        yield


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    affine = np.diag([-1.0, 1.0, 1.0, 1.0]) @ CHEST.affine
    return save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, affine)


def changed(folder: Path, change: Any) -> Path:
    """A bundle whose inference config `change` has changed."""
    path = folder / "configs" / "inference.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return folder


def test_parts_of_other_names_in_yaml_give_the_same_mask(tmp_path: Path, ct: Path) -> None:
    usual = load_bundle(write_kind("spleen_unet", tmp_path / "usual")).predict(ct)
    other = write_kind("spleen_unet", tmp_path / "other")
    path = other / "configs" / "inference.json"
    content = json.loads(path.read_text())
    content["net"] = content.pop("network_def")
    del content["network"]
    content["chain_before"] = content.pop("preprocessing")
    content["chain_after"] = content.pop("postprocessing")
    content["how"] = content.pop("inferer")
    content["dataset"]["transform"] = "@chain_before"
    content["chain_after"]["transforms"][1]["transform"] = "@chain_before"
    content["checkpointloader"]["load_dict"]["model"] = "@net"
    content["evaluator"] |= {"network": "@net", "inferer": "@how", "postprocessing": "@chain_after"}
    path.unlink()
    path.with_suffix(".yaml").write_text(yaml.safe_dump(content))
    found = load_bundle(other).predict(ct)
    assert usual.mask is not None
    assert usual.mask.any()
    assert np.array_equal(found.mask, usual.mask)


def test_an_image_and_an_answer_of_other_names(tmp_path: Path, ct: Path) -> None:
    """The chain calls the image "scan" and hands it on as "image"; the mask is saved as "seg"."""

    def change(content: dict[str, Any]) -> None:
        content["image_key"] = "scan"
        content["preprocessing"]["transforms"].append(
            {"_target_": "CopyItemsd", "keys": "scan", "names": "image"}
        )
        steps = content["postprocessing"]["transforms"]
        steps[-1]["keys"] = "seg"
        steps.insert(-1, {"_target_": "CopyItemsd", "keys": "pred", "names": "seg"})
        steps.insert(-1, {"_target_": "DeleteItemsd", "keys": ["pred", "image", "scan"]})

    usual = load_bundle(write_kind("spleen_unet", tmp_path / "usual")).predict(ct)
    other = changed(write_kind("spleen_unet", tmp_path / "other"), change)
    found = load_bundle(other).predict(ct)
    assert np.array_equal(found.mask, usual.mask)
    assert np.allclose(found.image.affine, usual.image.affine)


def of_regions(folder: Path, *after: dict[str, Any]) -> Path:
    """A bundle of four MR sequences: core where T1c is above 100, whole where FLAIR is above 50."""
    kind = Kind(
        {"_target_": "torch.nn.Conv3d", "in_channels": 4, "out_channels": 2, "kernel_size": 1},
        labels=("core", "whole"), inputs=MR,
        before=(), after=(of_mask("AsDiscreted", threshold=0.5), *after),
    )  # fmt: skip
    made = write_bundle("regions", kind, folder)

    def change(content: dict[str, Any]) -> None:
        content["preprocessing"]["transforms"] = [of_image("LoadImaged")]
        content["postprocessing"]["transforms"][0] = SIGMOID

    path = made / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["network_data_format"]["outputs"]["pred"]["channel_def"] = REGIONS
    path.write_text(json.dumps(metadata))
    weight = torch.zeros(2, 4, 1, 1, 1)
    weight[0, 0], weight[1, 3] = 1.0, 1.0
    torch.save({"weight": weight, "bias": torch.tensor([-100.0, -50.0])}, made / "models/model.pt")
    return changed(made, change)


def sequences(folder: Path) -> Path:
    """A patient: core in 2 x 2 x 2 voxels, whole in 4 x 4 x 4 around them; 36 mm of each way."""
    whole = np.zeros((12, 12, 12), np.int16)
    whole[4:8, 4:8, 4:8] = 80
    core = np.zeros_like(whole)
    core[5:7, 5:7, 5:7] = 120
    other = np.arange(12**3, dtype=np.int16).reshape(whole.shape)
    arrays = {"t1ce": core, "t1": other, "t2": other + 8, "flair": whole}
    for name, array in arrays.items():
        save_nifti(folder / f"sub-01_{name}.nii.gz", array, np.diag([5.0, 5.0, 5.0, 1.0]))
    return folder


def test_overlapping_regions_of_four_sequences(tmp_path: Path) -> None:
    bundle = load_bundle(of_regions(tmp_path / "regions"))
    assert bundle.task.find(sequences(tmp_path / "patients" / "a").parent) == [
        tmp_path / "patients" / "a"
    ]
    answer = bundle.predict(tmp_path / "patients" / "a")
    assert answer.mask is not None
    assert {label.value: label.name for label in answer.spec.labels} == {
        1: "core", 2: "whole", 3: "core + whole"
    }  # fmt: skip
    assert np.bincount(answer.mask.ravel(), minlength=4).tolist() == [12**3 - 64, 0, 56, 8]
    volumes_ml = {"core": 0.0, "whole": 56 * 0.125, "core + whole": 8 * 0.125}
    assert answer.volume_ml == pytest.approx(volumes_ml)
    assert [note.code for note in answer.notes if note.code == "N_LABELS"] == ["N_LABELS"]


def test_a_mask_that_a_bundle_makes_of_its_regions_has_no_names(tmp_path: Path) -> None:
    merged = of_mask("Lambdad", func="$lambda x: torch.where(x[[0]] > 0, 4, x[[1]] * 2)")
    bundle = load_bundle(trusted(of_regions(tmp_path / "regions", merged)))
    answer = bundle.predict(sequences(tmp_path / "a"))
    assert answer.volume_ml == pytest.approx({"label 2": 56 * 0.125, "label 4": 8 * 0.125})


def test_sequences_that_cannot_be_channels_are_refused(tmp_path: Path, ct: Path) -> None:
    bundle = load_bundle(of_regions(tmp_path / "regions"))
    assert "takes 4 channels" in refused_by(lambda: bundle.predict(ct), "E_SERIES").reason
    folder = sequences(tmp_path / "a")
    (folder / "sub-01_t2.nii.gz").rename(folder / "sub-02_t2.nii.gz")
    refused_by(lambda: bundle.predict(folder), "E_SERIES")
    (folder / "sub-02_t2.nii.gz").unlink()
    assert "no file is 'T2'" in refused_by(lambda: bundle.predict(folder), "E_SERIES").reason
    shorter = np.arange(12 * 12 * 11, dtype=np.int16).reshape(12, 12, 11)
    save_nifti(folder / "sub-01_t2.nii.gz", shorter, np.diag([5.0, 5.0, 5.0, 1.0]))
    refused_by(lambda: bundle.predict(folder), "E_GEOMETRY")


def test_labels_that_a_bundle_interpolates_become_the_nearer_one(tmp_path: Path, ct: Path) -> None:
    kind = Kind(
        {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 3, "kernel_size": 1},
        labels=("gland", "zone"),
        before=(of_image("Spacingd", pixdim=[3.0, 3.0, 3.0], mode="bilinear"), WINDOW),
        after=(of_mask("AsDiscreted", argmax=True), of_mask(
            "Invertd", transform="@preprocessing", orig_keys="@image_key", nearest_interp=False)),
    )  # fmt: skip
    made = write_bundle("gland", kind, tmp_path / "gland")
    weight, bias = torch.tensor([0.0, 100.0, 200.0]), torch.tensor([0.0, -20.0, -500.0])
    weights = {"weight": weight.reshape(3, 1, 1, 1, 1), "bias": bias}  # gland above -13 HU
    torch.save(weights, made / "models" / "model.pt")
    answer = load_bundle(made).predict(ct)
    assert answer.mask is not None
    assert set(np.unique(answer.mask)) == {0, 1}
    assert "interpolates labels" in " ".join(note.text for note in answer.notes)


def classifier(folder: Path, *after: dict[str, Any]) -> Path:
    """The class of a colour picture: "red" where its mean red is above its mean green."""
    pooled = "torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)"
    kind = Kind(
        {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2},
        inputs={"modality": "regular", "num_channels": 3,
                "channel_def": {"0": "R", "1": "G", "2": "B"}},
        outputs={"pred": {
            "type": "probabilities", "format": "classes", "num_channels": 2,
            "spatial_shape": [1, 2], "channel_def": {"0": "green", "1": "red"}}},
        changes={"network_def": f"$torch.nn.Sequential({pooled})",
                 "inferer": {"_target_": "SimpleInferer"}},
        before=(of_image("Resized", spatial_size=[8, 8]), of_image("ScaleIntensityd")),
        after=after,
    )  # fmt: skip
    made = write_bundle("colour", kind, folder)
    red, green, blue = 20.0, -20.0, 0.0
    weight = torch.tensor([[0.0, 0.0, 0.0], [red, green, blue]])
    torch.save({"2.weight": weight, "2.bias": torch.zeros(2)}, made / "models" / "model.pt")

    def change(content: dict[str, Any]) -> None:
        steps = content["postprocessing"]["transforms"]
        steps[-1] = of_mask("SaveClassificationd", output_dir="@output_dir")

    return changed(made, change)


@pytest.mark.parametrize("one_hot", [False, True])
def test_a_classifier_of_colour_pictures(tmp_path: Path, one_hot: bool) -> None:
    last = (of_mask("AsDiscreted", argmax=True, to_onehot=2),) if one_hot else ()
    bundle = load_bundle(trusted(classifier(tmp_path / "colour", *last)))
    for name, colour in (("red", (200, 60, 10)), ("green", (60, 200, 10))):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[4:] = colour
        Image.fromarray(pixels).save(path := tmp_path / f"{name}.png")
        classes = bundle.predict(path).classes
        assert classes is not None
        assert classes.name == name
        assert (classes.probability.max() == 1) == one_hot


def test_scores_that_judge_each_class_by_itself_need_not_add_up(tmp_path: Path) -> None:
    made = classifier(tmp_path / "colour")

    def change(content: dict[str, Any]) -> None:
        content["postprocessing"]["transforms"][0] = SIGMOID

    Image.fromarray(np.full((20, 30, 3), (200, 60, 10), np.uint8)).save(tmp_path / "red.png")
    classes = load_bundle(trusted(changed(made, change))).predict(tmp_path / "red.png").classes
    assert classes is not None
    assert classes.probability[0] == 0.5  # the score of green is 0
    assert classes.name == "red"


def test_several_channels_of_another_kind_than_mr_are_refused(tmp_path: Path, ct: Path) -> None:
    kind = Kind(network("UNet", 2, **UNET), inputs={
        "modality": "PT", "channel_def": {"0": "PET", "1": "CT"}})  # fmt: skip
    bundle = load_bundle(write_bundle("two", kind, tmp_path / "two"))
    assert "2 channels (PET, CT) of PT" in refused_by(lambda: bundle.predict(ct), "E_BUNDLE").reason


def test_stock_parts_give_the_same_mask(tmp_path: Path, ct: Path) -> None:
    made = write_kind("spleen_unet", tmp_path / "spleen")
    usual, stock = load_bundle(made).predict(ct), load_bundle(made, engine=STOCK).predict(ct)
    assert stock.mask is not None
    assert 0 < stock.mask.sum() < stock.mask.size
    assert (usual.mask != stock.mask).mean() < 1e-4


def test_slabs_of_medvols_own_bundles_are_made_of_one_volume(tmp_path: Path, ct: Path) -> None:
    slabs = tiny_bundle(tmp_path / "slabs", shipped=SLABS)
    assert load_bundle(slabs).predict(ct).mask is not None
