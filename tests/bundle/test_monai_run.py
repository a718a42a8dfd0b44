# SPDX-License-Identifier: Apache-2.0
"""The bundle through MONAI itself, started in the bundle's folder and from the root of the disk."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from phantoms import make_medseg_set, save_nifti, tiny_chest
from tiny_bundle import SHIPPED, SLABS, threshold_weights, tiny_bundle

from medvol.cli import main
from medvol.errors import InputError
from medvol.networks.resunet import ResUNet
from medvol.networks.weights import read_state
from medvol.training.curves import read_curves

CONFIGS = SHIPPED / "configs"
SMALL = {  # enough to train on two phantoms of 6 mm for an epoch in a second
    "epochs": 1,
    "repeat": 1,
    "val_interval": 1,
    "patch_size": [32, 32, 16],
    "crop_size": [32, 32, 16],
    "spacing_mm": [6.0, 6.0, 8.0],
    "network_def#features": [4, 8, 8, 8, 8],
}
SMALL_SLABS = {key: x for key, x in SMALL.items() if key != "crop_size"} | {
    "patch_size": [32, 32],
    "batch_size": 2,
    "ema": 0.1,
    "deep_supervision": 2,
}
CURVES = ["learning_rate", "lesion_dice", "train_loss"]
REGIONS = ["lesion", "ground-glass opacity", "consolidation", "lung", "lung (rest)"]
each_start = pytest.mark.parametrize("start", ["bundle's folder", "root"])
# MONAI says at every run that a config can run code; logging.conf is left out on purpose
pytestmark = [
    pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning"),
    pytest.mark.filterwarnings("ignore:Default logging file:UserWarning"),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def tiny_slabs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny_slabs", shipped=SLABS)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two CTs, with axes the other way round in the second, and a text beside them."""
    folder, chest = tmp_path_factory.mktemp("images"), tiny_chest(noise_hu=5)
    save_nifti(folder / "a.nii.gz", chest.ct, chest.affine)
    turned = nibabel.Nifti1Image(chest.ct, chest.affine).as_reoriented([[2, 1], [0, -1], [1, 1]])
    save_nifti(folder / "b.nii", np.asarray(turned.dataobj), turned.affine)
    (folder / "notes.txt").write_text("two phantoms")
    return folder


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    coarse = ["--spacing", "6", "6", "8"]
    assert main(["data", "phantom", "-o", str(folder), "--count", "2", *coarse]) == 0
    return folder


def config_names(*names: str) -> list[str]:
    return [f"configs/{name}.json" for name in names]


def run(
    start: str, bundle: Path, *names: str, python: str = sys.executable,
    launcher: tuple[str, ...] = (), **options: Any,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """`python -m monai.bundle run` as a user types it; started elsewhere, it is told the root."""
    root = bundle if start == "root" else Path()
    configs = [str(root / name) for name in config_names(*names)]
    if start == "root":
        options["bundle_root"] = bundle
    given = {"config_file": configs if len(configs) > 1 else configs[0], **options}
    words = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    done = subprocess.run(
        [python, "-m", *launcher, "monai.bundle", "run", *words],
        cwd="/" if start == "root" else bundle,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def inference(bundle: Path, images: Path, output: Path) -> ConfigWorkflow:
    """The workflow of a bundle's inference, initialized."""
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs/inference.json"), logging_file=False,
        workflow_type="infer", bundle_root=str(bundle), dataset_dir=str(images),
        output_dir=str(output),
    )  # fmt: skip
    workflow.initialize()
    return workflow


@pytest.mark.parametrize(
    ("start", "bundle"),
    [("bundle's folder", "tiny"), ("root", "tiny"), ("root", "tiny_slabs")],
)
def test_inference_masks_are_those_of_medvol_predict(
    start: str, bundle: str, images: Path, tmp_path: Path, request: pytest.FixtureRequest,
    forked_python: str,
) -> None:  # fmt: skip
    folder: Path = request.getfixturevalue(bundle)
    run(start, folder, "inference", dataset_dir=images, output_dir=tmp_path / "monai",
        python=forked_python)  # fmt: skip
    masks = sorted(path.name for path in (tmp_path / "monai").iterdir())
    assert masks == ["a_seg.nii.gz", "b_seg.nii.gz"]
    options = ["--bundle", str(folder), "--output", str(tmp_path / "medvol"), "--format", "nii"]
    assert main(["predict", str(images), *options]) == 0
    for name in ("a", "b"):
        by_monai = nibabel.load(tmp_path / "monai" / f"{name}_seg.nii.gz")
        by_medvol = nibabel.load(tmp_path / "medvol" / name / "segmentation.nii.gz")
        assert np.array_equal(by_monai.affine, by_medvol.affine)
        assert by_monai.get_data_dtype() == by_medvol.get_data_dtype() == np.uint8
        assert np.array_equal(np.asarray(by_monai.dataobj), np.asarray(by_medvol.dataobj))
        assert len(np.unique(by_monai.dataobj)) == 4


def test_inference_with_another_chain_is_refused(images: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", metadata={"chain_fingerprint": "0123456789abcdef"})
    workflow = inference(bundle, images, tmp_path / "out")
    with pytest.raises(RuntimeError, match=r"medvol\.bundle\.spec\.check_chain") as caught:
        workflow.run()
    assert isinstance(caught.value.__cause__, InputError)
    assert "trained behind chain 0123456789abcdef" in str(caught.value.__cause__)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shipped", [SHIPPED, SLABS], ids=lambda folder: folder.name)
def test_evaluation_of_the_bundles_own_weights_behind_another_chain_is_refused(
    tmp_path: Path, shipped: Path
) -> None:
    recorded = {"chain_fingerprint": "0123456789abcdef"}
    bundle = tiny_bundle(tmp_path / "b", metadata=recorded, shipped=shipped)
    parser = ConfigParser()
    parser.read_config([str(bundle / name) for name in config_names("train", "evaluate")])
    parser["bundle_root"] = str(bundle)
    with pytest.raises(RuntimeError, match=r"medvol\.bundle\.spec\.check_chain") as caught:
        parser.get_parsed_content("check_chain")
    assert "trained behind chain 0123456789abcdef" in str(caught.value.__cause__)
    parser["ckpt_path"] = "runs/fold1/model.pt"  # weights of a training, with a chain of their own
    parser.parse(reset=True)
    assert parser.get_parsed_content("check_chain") is None
    assert parser["run"][0] == "$@check_chain"


@pytest.fixture(scope="module")
def trained(phantoms: Path, forked_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    run("root", SHIPPED, "train", dataset_dir=phantoms, output_dir=output, python=forked_python,
        **SMALL)  # fmt: skip
    return output


def assert_trained(output: Path) -> None:
    points = read_curves(output / "curves.csv")
    assert sorted(point.name for point in points) == CURVES
    assert {point.epoch for point in points} == {1}
    assert all(np.isfinite(point.value) for point in points)
    best = torch.load(output / "model.pt", weights_only=True)
    last = torch.load(output / "last.pt", weights_only=True)
    assert last["epoch"] == 1
    assert bool(last["averaged"]) == (output.name == "run")  # which has `ema`
    kept = read_state(output / "last.pt")
    more = {"supervision"} if last["averaged"] else set()
    assert {name.partition(".")[0] for name in last["network"].keys() - best.keys()} == more
    assert best.keys() <= last["network"].keys()
    assert all(torch.equal(best[name], kept[name]) for name in best)
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((output / "tensorboard").iterdir())


def test_train_from_the_root(trained: Path) -> None:
    assert_trained(trained)


@pytest.mark.slow
def test_train_and_evaluate_slabs(phantoms: Path, tmp_path: Path) -> None:
    slices = tmp_path / "slices" / "datalist.json"
    assert main(["data", "medseg", str(make_medseg_set(tmp_path / "in")), "-o", str(slices)]) == 0
    run("root", SLABS, "train", dataset_dir=phantoms, slices_datalist=slices, slices_repeat=2,
        output_dir=tmp_path / "run", **SMALL_SLABS)  # fmt: skip
    assert_trained(tmp_path / "run")
    run("bundle's folder", SLABS, "train", "evaluate", dataset_dir=phantoms, output_dir=tmp_path,
        ckpt_path=tmp_path / "run" / "model.pt", **SMALL_SLABS)  # fmt: skip
    with open(tmp_path / "cases.csv", encoding="utf-8") as file:
        assert [row["region"] for row in csv.DictReader(file)] == 4 * REGIONS


@pytest.mark.slow
def test_train_from_the_bundles_folder(tiny: Path, phantoms: Path, tmp_path: Path) -> None:
    run("bundle's folder", tiny, "train", dataset_dir=phantoms, output_dir=tmp_path, **SMALL)
    assert_trained(tmp_path)


@each_start
@pytest.mark.slow
def test_train_and_evaluate(
    start: str, tiny: Path, phantoms: Path, trained: Path, tmp_path: Path
) -> None:
    weights = trained / "model.pt"
    run(start, tiny, "train", "evaluate", dataset_dir=phantoms, output_dir=tmp_path,
        ckpt_path=weights, **SMALL)  # fmt: skip
    with open(tmp_path / "cases.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["region"] for row in rows] == 4 * REGIONS
    cases = [row["case"].removesuffix("_label") for row in rows[::5]]
    assert cases == ["phantom_000", "phantom_001", "pooled", "mean"]
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)
    assert not (tmp_path / "last.pt").exists()  # nothing was trained


@each_start
@pytest.mark.slow
def test_train_on_one_of_many_processes(
    start: str, tiny: Path, phantoms: Path, tmp_path: Path
) -> None:
    launcher = ("torch.distributed.run", "--standalone", "--nproc_per_node", "1", "-m")
    run(start, tiny, "train", "multi_gpu_train", launcher=launcher, dataset_dir=phantoms,
        output_dir=tmp_path, **SMALL)  # fmt: skip
    assert_trained(tmp_path)


def go(start: str, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any]]:
    """Change to the folder to start in; where the bundle is from there, and what must be said."""
    monkeypatch.chdir("/" if start == "root" else bundle)
    return (bundle, {"bundle_root": str(bundle)}) if start == "root" else (Path(), {})


@each_start
@pytest.mark.parametrize("shipped", [SHIPPED, SLABS], ids=["3d", "25d"])
def test_network_fits_the_metadata(
    start: str, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, said = go(start, shipped, monkeypatch)
    monai.bundle.verify_net_in_out(
        net_id="network_def", config_file=str(root / "configs/inference.json"),
        meta_file=str(root / "configs/metadata.json"), device="cpu", **said,
    )  # fmt: skip


@each_start
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit, which ckpt_export uses
def test_export_to_torchscript(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = json.loads((CONFIGS / "inference.json").read_text())["network_def"]
    del network["_target_"]
    features = [4, 8, 8, 8, 8]
    torch.manual_seed(0)
    eager = ResUNet(**{**network, "features": features}).eval()
    bundle = tiny_bundle(
        tmp_path / "b",
        {"network_def": {**network, "_target_": "medvol.networks.resunet.ResUNet"},
         "network_def#features": features},
        weights=eager.state_dict(),
    )  # fmt: skip
    root, said = go(start, bundle, monkeypatch)
    monai.bundle.ckpt_export(
        net_id="network_def", filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(root / "models/model.pt"), meta_file=str(root / "configs/metadata.json"),
        config_file=str(root / "configs/inference.json"), input_shape=[1, 1, 32, 32, 16], **said,
    )  # fmt: skip
    scripted = torch.jit.load(tmp_path / "model.ts").eval()
    window = torch.rand(1, 1, 32, 32, 16)
    with torch.inference_mode():
        assert torch.allclose(scripted(window), eager(window), atol=1e-5)


@each_start
def test_load_for_inference(start: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(start, tiny, monkeypatch)
    network = monai.bundle.load(
        tiny.name, bundle_dir=str(tiny.parent), workflow_type="inference", device="cpu"
    )
    assert isinstance(network, torch.nn.Conv3d)
    assert all(torch.equal(x, threshold_weights()[key]) for key, x in network.state_dict().items())


@each_start
def test_load_for_training(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = json.loads((CONFIGS / "train.json").read_text())["network_def"]
    network = {key: x for key, x in network.items() if key != "_target_"}
    features = {"features": [4, 8, 8, 8, 8]}
    own = {"out_channels": 4, "deep_supervision": 0, **features}
    weights = ResUNet(**{**network, **own}).state_dict()
    go(start, tiny_bundle(tmp_path / "b", weights=weights), monkeypatch)
    loaded = monai.bundle.load("b", bundle_dir=str(tmp_path), device="cpu", net_override=features)
    assert isinstance(loaded, ResUNet)
    assert all(torch.equal(x, weights[key]) for key, x in loaded.state_dict().items())


@each_start
@pytest.mark.parametrize("bundle", ["tiny", "tiny_slabs"])
@pytest.mark.parametrize(
    ("kind", "names"),
    [("infer", ["inference"]), ("train", ["train"]), ("train", ["train", "evaluate"])],
    ids=["infer", "train", "evaluate"],
)
def test_all_properties_of_a_workflow_are_there(
    start: str, kind: str, names: list[str], bundle: str, images: Path, phantoms: Path,
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    root, said = go(start, request.getfixturevalue(bundle), monkeypatch)
    workflow = ConfigWorkflow(
        config_file=[str(root / name) for name in config_names(*names)],
        meta_file=str(root / "configs/metadata.json"), workflow_type=kind, logging_file=False,
        dataset_dir=str(images if kind == "infer" else phantoms), **said,
    )  # fmt: skip
    workflow.initialize()
    assert workflow.check_properties() == []
    assert workflow.network_def is not None
