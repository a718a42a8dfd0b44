# SPDX-License-Identifier: Apache-2.0
"""Bundles in the manner of the MONAI model zoo, written anew, with small random weights.

Each has the ids, transforms and handlers that bundles of the zoo share, a network of its kind that
runs in a second, and what sets it apart: scripts of its own, functions in its config, a loader of
checkpoints, or a task that medvol does not have.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from medvol.audit.verdict import Level

Entry = dict[str, Any]
PIXEL_MM = [2.0, 2.0, 2.0]
ROI = (32, 32, 32)  # voxels
ORGANS = ("spleen", "right kidney", "left kidney", "liver")


@dataclass(frozen=True)
class Kind:
    """A kind of bundle of the zoo.

    Args:
        network: entry of the config that builds it.
        labels: that the mask has, from 1.
        level: that the audit gives it.
        refused: code by which `medvol predict` refuses it; empty where it runs.
        changes: entries of inference.json that it has instead of the usual, or besides.
        before: transforms after reading and before the network, instead of the usual.
        after: transforms between softmax and saving, instead of the usual.
        scripts: file to text.
        inputs: of the metadata's image, instead of those of a CT.
        outputs: of the metadata, instead of those of a mask.
        roi: voxels that the network takes at once.
    """

    network: Entry
    labels: tuple[str, ...] = ("spleen",)
    level: Level = Level.A
    refused: str = ""
    changes: Entry = field(default_factory=dict)
    before: tuple[Entry, ...] | None = None
    after: tuple[Entry, ...] | None = None
    scripts: dict[str, str] = field(default_factory=dict)
    inputs: Entry = field(default_factory=dict)
    outputs: Entry = field(default_factory=dict)
    roi: list[int] = field(default_factory=lambda: list(ROI))


def of_image(name: str, **arguments: Any) -> Entry:
    """A transform of the image."""
    return {"_target_": name, "keys": "@image_key", **arguments}


def of_mask(name: str, **arguments: Any) -> Entry:
    """A transform of what the network says."""
    return {"_target_": name, "keys": "pred", **arguments}


def network(name: str, classes: int, **arguments: Any) -> Entry:
    """A 3D network of one channel."""
    return {
        "_target_": name, "spatial_dims": 3, "in_channels": 1, "out_channels": classes, **arguments,
    }  # fmt: skip


WINDOW = of_image("ScaleIntensityRanged", a_min=-57, a_max=164, b_min=0, b_max=1, clip=True)
TO_GRID = of_mask(
    "Invertd", transform="@preprocessing", orig_keys="@image_key", nearest_interp=False,
    to_tensor=True,
)  # fmt: skip
TO_LABELS = of_mask("AsDiscreted", argmax=True)
OWN_NETWORK = """
import torch


class TwoLayers(torch.nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv3d(in_channels, 4, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv3d(4, out_channels, 1),
        )

    def forward(self, x):
        return self.layers(x)
"""
OWN_TRANSFORM = """
from monai.transforms import MapTransform


class MergeKidneysd(MapTransform):
    def __call__(self, data):
        found = dict(data)
        for key in self.keys:
            found[key] = found[key].where(found[key] != 2, 1)
        return found
"""
UNET = {"channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 1, "norm": "batch"}
DYNAMIC = {
    "kernel_size": [3, 3, 3],
    "strides": [1, 2, 2],
    "upsample_kernel_size": [2, 2],
    "filters": [4, 8, 16],
    "norm_name": "INSTANCE",
    "res_block": True,
}
KINDS: dict[str, Kind] = {
    "spleen_unet": Kind(network("UNet", 2, **UNET)),
    "btcv_swin_unetr": Kind(
        network("SwinUNETR", 5, feature_size=12, use_checkpoint=False),
        labels=ORGANS,
        changes={
            "reader": "ITKReader",  # five stages halve 64 voxels to 2; a single one has no spread
            "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [64] * 3},
        },
        roi=[64] * 3,
    ),
    "organs_unetr": Kind(
        network("UNETR", 5, img_size=list(ROI), hidden_size=48, mlp_dim=96, num_heads=4),
        labels=ORGANS,
        changes={
            "network": "$@network_def.to(@device)",
            "amp_kwargs": {"dtype": "$torch.float16", "enabled": "$torch.cuda.is_available()"},
        },
    ),
    "body_segresnet": Kind(
        network("SegResNet", 5, init_filters=8, blocks_down=[1, 1, 1], blocks_up=[1, 1]),
        labels=ORGANS,
        changes={
            "displayable_configs": {"highres": True, "sw_overlap": 0.25},
            "pixdim": "$[2.0, 2.0, 2.0] if @displayable_configs#highres else [3.0, 3.0, 3.0]",
            "modelname": "$'model.pt' if @displayable_configs#highres else 'model_low.pt'",
            "ckpt_path": "$@bundle_root + '/models/' + @modelname",
        },
        before=(
            of_image("Orientationd", axcodes="RAS"),
            of_image("Spacingd", pixdim="@pixdim", mode="bilinear"),
            of_image("NormalizeIntensityd", nonzero=True),
            of_image("ScaleIntensityd", minv=-1.0, maxv=1.0),
            of_image("EnsureTyped"),
        ),
    ),
    "abdomen_dynunet": Kind(
        network("DynUNet", 5, **DYNAMIC),
        labels=ORGANS,
        after=(
            TO_GRID,
            TO_LABELS,
            of_mask("FillHolesd", applied_labels=[1, 4]),
        ),
    ),
    "prostate_attention_unet": Kind(
        network("AttentionUnet", 3, channels=[4, 8], strides=[2]),
        labels=("peripheral zone", "transition zone"),
        changes={
            "datalist": "$monai.data.load_decathlon_datalist(@list_path, "
            "data_list_key='testing', base_dir=@dataset_dir)",
            "list_path": "$os.path.join(@bundle_root, 'configs', 'datalist.json')",
        },
    ),
    "pancreas_sequential": Kind(
        network("BasicUNet", 3, features=[4, 4, 8, 8, 8, 4]),
        labels=("pancreas", "tumour"),
        changes={
            "network": "$@network_def.to(@device).eval()",
            "steps": ["$@evaluator.run()"],
            "run": "@steps",
        },
    ),
    "tumour_lambda": Kind(
        network("SegResNet", 2, init_filters=8, blocks_down=[1, 1], blocks_up=[1]),
        labels=("tumour",),
        level=Level.B,
        after=(
            TO_GRID,
            of_mask("Lambdad", func="$lambda x: torch.where(x[[1]] > 0.5, 1, 0)"),
        ),
    ),
    "kidney_own_network": Kind(
        {"_target_": "scripts.networks.TwoLayers", "in_channels": 1, "out_channels": 2},
        labels=("kidney",),
        level=Level.B,
        scripts={"__init__.py": "", "networks.py": OWN_NETWORK},
    ),
    "kidney_own_transform": Kind(
        network("UNet", 3, **UNET),
        labels=("kidneys", "not used"),
        level=Level.B,
        after=(
            TO_GRID,
            TO_LABELS,
            of_mask("scripts.transforms.MergeKidneysd"),
        ),
        scripts={"__init__.py": "", "transforms.py": OWN_TRANSFORM},
    ),
    "ventricle_2d": Kind(
        {**network("UNet", 4, **UNET), "spatial_dims": 2},
        labels=("left ventricle", "myocardium", "right ventricle"),
        refused="E_BUNDLE",
        changes={"inferer": {"_target_": "SimpleInferer"}},
        before=(of_image("ScaleIntensityd"), of_image("EnsureTyped")),
        after=(TO_LABELS,),
    ),
    "breast_classifier": Kind(
        {
            "_target_": "TorchVisionFCModel",
            "model_name": "resnet18",
            "num_classes": 4,
            "use_conv": False,
            "pretrained": False,
        },
        level=Level.B,
        refused="E_FORMAT",  # a CT is not a picture
        changes={"inferer": {"_target_": "SimpleInferer"}},
        before=(of_image("Resized", spatial_size=[64, 64]),),
        after=(),
        outputs={
            "pred": {
                "type": "probabilities",
                "format": "classes",
                "num_channels": 4,
                "spatial_shape": [1, 4],
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": False,
                "channel_def": dict(zip("0123", "ABCD", strict=True)),
            }
        },
    ),
    "nodule_detector": Kind(
        {
            "_target_": "RetinaNet",
            "spatial_dims": 3,
            "num_classes": 1,
            "num_anchors": 3,
            "feature_extractor": "@features",
            "size_divisible": [16, 16, 8],
        },
        level=Level.A,
        refused="E_BUNDLE",
        changes={
            "backbone": "$monai.networks.nets.resnet.resnet10(spatial_dims=3, n_input_channels=1)",
            "features": "$monai.apps.detection.networks.retinanet_network."
            "resnet_fpn_feature_extractor(@backbone, 3, False, [1, 2], None)",
            "inferer": {"_target_": "SimpleInferer"},
        },
        after=(),
        outputs={
            "pred": {
                "type": "object",
                "format": "bounding_box",
                "num_channels": 1,
                "spatial_shape": ["*", 6],
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": False,
                "channel_def": {"0": "box"},
            }
        },
    ),
    "anatomy_generator": Kind(
        network("UNet", 2, **UNET),
        level=Level.C,
        refused="E_UNTRUSTED",
        changes={"checkpoint": "$torch.load(@ckpt_path, weights_only=False)"},
    ),
}


def write_kind(name: str, folder: Path) -> Path:
    """Write a bundle of one kind, with random weights where its network can be built here.

    Args:
        name: a key of `KINDS`.
        folder: that it is written to.
    """
    return write_bundle(name, KINDS[name], folder)


def write_bundle(name: str, kind: Kind, folder: Path) -> Path:
    """Write a bundle, with random weights where its network can be built here.

    Args:
        name: of the bundle.
        kind: what it is like.
        folder: that it is written to.
    """
    config = inference(kind)
    for file, content in {"inference": config, "metadata": metadata(name, kind)}.items():
        _write(folder / "configs" / f"{file}.json", json.dumps(content, indent=4))
    if "list_path" in config:
        _write(folder / "configs" / "datalist.json", json.dumps({"testing": []}))
    _write(folder / "LICENSE", "Anybody may do with this test bundle whatever they like.")
    _write(
        folder / "docs" / "README.md",
        f"# {name}\nFor tests. Labels: background, " + ", ".join(kind.labels),
    )
    _write(folder / "docs" / "data_license.txt", "It was trained on nothing, so no terms apply.")
    for file, text in kind.scripts.items():
        _write(folder / "scripts" / file, text)
    (folder / "models").mkdir()
    torch.save(_weights(kind), folder / "models" / "model.pt")
    return folder


def inference(kind: Kind) -> Entry:
    """The inference.json of a kind, with the ids that the zoo uses."""
    read = of_image("LoadImaged", **({"reader": "@reader"} if "reader" in kind.changes else {}))
    usual = (
        of_image("Orientationd", axcodes="RAS"),
        of_image("Spacingd", pixdim=PIXEL_MM, mode="bilinear"),
        WINDOW,
        of_image("EnsureTyped"),
    )
    before = usual if kind.before is None else kind.before
    after = (TO_GRID, TO_LABELS) if kind.after is None else kind.after
    save = of_mask(
        "SaveImaged", output_dir="@output_dir", output_ext="@output_ext",
        output_dtype="@output_dtype", output_postfix="@output_postfix", separate_folder=True,
    )  # fmt: skip
    return {
        "imports": ["$import glob", "$import numpy", "$import os"],
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "output_ext": ".nii.gz",
        "output_dtype": "$numpy.float32",
        "output_postfix": "trans",
        "load_pretrain": True,
        "dataset_dir": "/workspace/data/Task",
        "ckpt_path": "$@bundle_root + '/models/model.pt'",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": kind.network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [
            read, of_image("EnsureChannelFirstd"), *before]},
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]",
                    "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": kind.roi, "sw_batch_size": 4,
                    "overlap": 0.25},
        "postprocessing": {"_target_": "Compose", "transforms": [
            of_mask("Activationsd", softmax=True), *after, save]},
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
        "evaluator": {
            "_target_": "SupervisedEvaluator", "device": "@device",
            "val_data_loader": "@dataloader", "network": "@network", "inferer": "@inferer",
            "postprocessing": "@postprocessing", "val_handlers": "@handlers", "amp": True},
        "checkpointloader": {"_target_": "CheckpointLoader", "load_path": "@ckpt_path",
                             "load_dict": {"model": "@network"}, "map_location": "@device"},
        "initialize": ["$monai.utils.set_determinism(seed=123)",
                       "$setattr(torch.backends.cudnn, 'benchmark', True)",
                       "$@checkpointloader(@evaluator) if @load_pretrain else None"],
        "run": ["$@evaluator.run()"],
        **kind.changes,
    }  # fmt: skip


def metadata(name: str, kind: Kind) -> Entry:
    """The metadata.json of a kind, as far as a program reads it."""
    image = {
        "type": "image", "format": "hounsfield", "modality": "CT", "num_channels": 1,
        "spatial_shape": kind.roi, "dtype": "float32", "value_range": [0, 1], "is_patch_data": True,
        "channel_def": {"0": "image"}, **kind.inputs,
    }  # fmt: skip
    names = ("background", *kind.labels)
    mask = {
        **image, "format": "segmentation", "num_channels": len(names),
        "channel_def": {str(value): label for value, label in enumerate(names)},
    }  # fmt: skip
    return {
        "schema": "https://example.org/meta_schema.json",
        "version": "0.2.0",
        "changelog": {"0.2.0": "for tests", "0.1.0": "first"},
        "monai_version": "1.6.1", "pytorch_version": "2.13.0", "numpy_version": "2.4.6",
        "required_packages_version": {},
        "name": name.replace("_", " "),
        "task": "segmentation of organs",
        "description": "A bundle for tests, whose weights are random.",
        "authors": "nobody", "copyright": "none",
        "intended_use": "tests", "data_source": "none",
        "network_data_format": {
            "inputs": {"image": image}, "outputs": kind.outputs or {"pred": mask},
        },
    }  # fmt: skip


def _weights(kind: Kind) -> dict[str, torch.Tensor]:
    """Random weights: of the bundle's network, unless it is one of scripts or cannot be built."""
    torch.manual_seed(3)
    if kind.scripts.get("networks.py"):
        scope: dict[str, Any] = {}
        exec(OWN_NETWORK, scope)  # the text above
        made: torch.nn.Module = scope["TwoLayers"](in_channels=1, out_channels=2)
    elif kind.network["_target_"] in ("TorchVisionFCModel", "RetinaNet"):  # perhaps not installed
        made = torch.nn.Conv3d(1, 2, 1)
    else:
        made = ConfigParser({"network": kind.network}).get_parsed_content("network")
    return made.state_dict()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
