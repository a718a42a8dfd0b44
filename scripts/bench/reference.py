# SPDX-License-Identifier: Apache-2.0
"""The reference: a bundle of MONAI's own parts in the zoo's shape, trained in a minute.

Its network is MONAI's `UNet` with 16 to 256 features, its windows 96 voxels a side with half of
each overlapping. Of two classes it knows the lungs, of four what a phantom's truth knows, of more
shades of grey; so that its masks have borders, as those of real bundles have.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

SPACING_MM = (1.5, 1.5, 1.5)
COARSE_MM = (3.0, 3.0, 3.0)
WINDOW_HU = (-1350, 150)
PATCH = 96
TRAINED_STEPS = 150
TRAINED_ON = ((216, 216, 180), (2.0, 2.0, 2.0))  # shape and mm of phantoms
TRAINED_PATCH, TRAINED_BATCH = 64, 2
FEATURES = (16, 32, 64, 128, 256)
SHADES_HU = (-1000, 150)  # between which more than four classes are shades of grey
NAMES = ("background", "ground-glass opacity", "consolidation", "lung (rest)")


def reference(folder: Path, name: str) -> Path:
    """The folder of a reference bundle, made when it is not there.

    Args:
        folder: where such bundles are kept.
        name: "reference-C" of C classes, background included; then perhaps "-crop", cropped to the
            body before the network, "-coarse", at 3 mm, "-random", not trained.

    Raises:
        ValueError: another name.
    """
    kind, number, *words = name.split("-")
    if kind != "reference" or not number.isdecimal() or set(words) - {"crop", "coarse", "random"}:
        raise ValueError(f"bundle is {name!r}; give reference-C, and perhaps -crop -coarse -random")
    classes, trained = int(number), "random" not in words
    bundle = folder / name
    weights = folder / f"reference-{classes}{'' if trained else '-random'}.pt"
    if not weights.is_file():
        _write_weights(weights, classes, TRAINED_STEPS if trained else 0)
    if not (bundle / "models" / "model.pt").is_file():
        _write(bundle, classes, words)
        (bundle / "models" / "model.pt").write_bytes(weights.read_bytes())
    return bundle


def weights_sha256(bundle: Path) -> str:
    """The hash of a bundle's weights."""
    return hashlib.sha256((bundle / "models" / "model.pt").read_bytes()).hexdigest()


def network_def(classes: int) -> dict[str, Any]:
    """The network as a config names it."""
    return {
        "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": classes,
        "channels": list(FEATURES), "strides": [2, 2, 2, 2], "num_res_units": 2, "norm": "batch",
    }  # fmt: skip


def _write(bundle: Path, classes: int, words: list[str]) -> None:
    for name in ("configs", "models", "docs"):
        (bundle / name).mkdir(parents=True, exist_ok=True)
    configs = {"inference": _inference(classes, words), "metadata": _metadata(classes)}
    for name, config in configs.items():
        text = json.dumps(config, indent=4)
        (bundle / "configs" / f"{name}.json").write_text(text, encoding="utf-8")


def _inference(classes: int, words: list[str]) -> dict[str, Any]:
    low, high = WINDOW_HU
    spacing_mm = COARSE_MM if "coarse" in words else SPACING_MM
    cropped = [{"_target_": "CropForegroundd", "keys": "image", "source_key": "image",
                "allow_smaller": True}]  # fmt: skip
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "/data",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$sorted(glob.glob(os.path.join(@dataset_dir, '*.nii.gz')))",
        "network_def": network_def(classes),
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": list(spacing_mm),
             "mode": "bilinear"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": low, "a_max": high,
             "b_min": 0, "b_max": 1, "clip": True},
            *(cropped if "crop" in words else []),
            {"_target_": "EnsureTyped", "keys": "image"},
        ]},
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]",
                    "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1,
                       "shuffle": False, "num_workers": 0},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [PATCH] * 3,
                    "sw_batch_size": 4, "overlap": 0.5},
        "postprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
             "orig_keys": "image", "nearest_interp": False, "to_tensor": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir",
             "output_dtype": "uint8", "resample": False},
        ]},
        "handlers": [{"_target_": "CheckpointLoader",
                      "load_path": "$@bundle_root + '/models/model.pt'",
                      "load_dict": {"model": "@network"}, "map_location": "@device"}],
        "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device",
                      "val_data_loader": "@dataloader", "network": "@network",
                      "inferer": "@inferer", "postprocessing": "@postprocessing",
                      "val_handlers": "@handlers"},
        "initialize": ["$setattr(torch.backends.cudnn, 'benchmark', True)"],
        "run": ["$@evaluator.run()"],
    }  # fmt: skip


def _metadata(classes: int) -> dict[str, Any]:
    names = _names(classes)
    return {
        "version": "0.1.0", "monai_version": "1.6.1", "pytorch_version": "2.13.0",
        "numpy_version": "2.4.6", "name": f"reference of {classes} classes",
        "task": "reference for benchmarks", "description": "Of MONAI's own parts.",
        "authors": "the medvol authors", "copyright": "Copyright (c) the medvol authors",
        "intended_use": "Benchmarks only.", "data_type": "nifti",
        "network_data_format": {
            "inputs": {"image": {
                "type": "image", "format": "hounsfield", "modality": "CT", "num_channels": 1,
                "spatial_shape": [PATCH] * 3, "dtype": "float32", "value_range": [0, 1],
                "is_patch_data": True, "channel_def": {"0": "image"},
            }},
            "outputs": {"pred": {
                "type": "image", "format": "segmentation", "num_channels": classes,
                "spatial_shape": [PATCH] * 3, "dtype": "float32", "value_range": [0, 1],
                "is_patch_data": True,
                "channel_def": {str(n): name for n, name in enumerate(names)},
            }},
        },
    }  # fmt: skip


def _names(classes: int) -> list[str]:
    if classes == 2:
        return ["background", "lung"]
    if classes == 4:
        return list(NAMES)
    return ["background", *(f"shade {n}" for n in range(1, classes))]


def _write_weights(path: Path, classes: int, steps: int) -> None:
    """Train the network on phantoms for so many steps, and write its weights."""
    import torch
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    words = {key: value for key, value in network_def(classes).items() if key != "_target_"}
    network = UNet(**words)
    if steps:
        _train(network, classes, steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)


def _train(network: Any, classes: int, steps: int) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    images, truths = zip(*(_example(seed, classes) for seed in (0, 1)), strict=True)
    drawn = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    began = time.monotonic()
    for _ in range(steps):
        x, y = [], []
        for _ in range(TRAINED_BATCH):
            one = int(drawn.integers(len(images)))
            corner = drawn.integers(0, np.array(images[one].shape) - TRAINED_PATCH)
            place = tuple(slice(k, k + TRAINED_PATCH) for k in corner)
            x.append(images[one][place][None])
            y.append(truths[one][place])
        loss = cross_entropy(network(torch.stack(x)), torch.stack(y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    took, end = time.monotonic() - began, loss.item()
    print(f"trained {classes} classes: {steps} steps, {took:.0f} s, loss {end:.3f}", flush=True)


def _example(seed: int, classes: int) -> tuple[Any, Any]:
    """(X, Y, Z) of a phantom in RAS as the network sees it, and its labels, of torch."""
    import torch

    from medvol.data.phantoms.chest import chest_ct_phantom

    shape, spacing = TRAINED_ON
    made = chest_ct_phantom(seed=seed + 10, shape=shape, spacing_mm=spacing, orientation="RAS")
    low, high = WINDOW_HU
    ct = torch.from_numpy(made.ct.astype(np.float32))
    truth = torch.from_numpy(made.labels.astype(np.int64))
    if classes == 2:
        truth = (truth > 0).long()
    elif classes != 4:
        edges = torch.linspace(*SHADES_HU, classes - 1)
        smooth = torch.nn.functional.avg_pool3d(ct[None, None], 3, stride=1, padding=1)[0, 0]
        truth = torch.bucketize(smooth, edges)
    return ((ct - low) / (high - low)).clip(0, 1), truth
