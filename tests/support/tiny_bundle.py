# SPDX-License-Identifier: Apache-2.0
"""Bundles that run in milliseconds: the shipped configs around a network of four thresholds.

The network is one 1 x 1 x 1 convolution (of the 2.5D bundle 1 x 1, on the middle slice) whose
largest score is, from dark to bright, background below -930 HU, rest of lung to -690, ground-glass
to -330, and consolidation above. So a test knows the mask of every voxel, and geometry is judged
without training anything.
"""

import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from medvol.bundle.find import shipped_bundles
from medvol.networks.residual_classifier import ResidualClassifier
from medvol.networks.weights import with_record
from medvol.trained import Trained

SHIPPED = shipped_bundles()["covid_ct_lesion_3d"]
SLABS = shipped_bundles()["covid_ct_lesion_25d"]
BRAIN = shipped_bundles()["brain_mri_tumor"]
CLASSIFIER = shipped_bundles()["covid_ct_slice_classifier"]
THRESHOLDS_HU = (-930, -690, -330)
ORDER = (0, 3, 1, 2)  # labels from dark to bright
GAIN = 100.0  # so steep that probabilities are nearly 0 or 1
TINY = {
    "network_def": {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 4,
                    "kernel_size": 1},
    "patch_size": [16, 16, 8],
    "preprocessing#spacing_mm": [2.0, 2.0, 4.0],
    "inferer#inferer#overlap": 0.5,
}  # fmt: skip
TINY_SLABS = {
    "slices": 3,
    "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 4,
                    "kernel_size": 1},
    "preprocessing#spacing_mm": [2.0, 2.0, 4.0],
}  # fmt: skip

TINY_BRAIN = {
    "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 2,
                    "kernel_size": 1},
    "gate_def": "$torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1), torch.nn.AdaptiveMaxPool2d(1), "
    "torch.nn.Flatten())",
    "gate_threshold": 0.5,
    "gate_margin": 0,
    "gate_gap": 0,
}  # fmt: skip


def threshold_weights() -> dict[str, torch.Tensor]:
    """The state dict of the convolution; its input is the lung window as 0 to 1."""
    weight, bias, below = torch.zeros(4, 1, 1, 1, 1), torch.zeros(4), 0.0
    for step, (label, border_hu) in enumerate(zip(ORDER[1:], THRESHOLDS_HU, strict=True), start=1):
        below -= GAIN * (border_hu + 1350) / 1500
        weight[label], bias[label] = GAIN * step, below
    return {"weight": weight, "bias": bias}


def slab_weights() -> dict[str, torch.Tensor]:
    """The same of a slab of three slices; the outer two count nothing."""
    state = threshold_weights()
    weight = torch.zeros(4, 3, 1, 1)
    weight[:, 1] = state["weight"][:, 0, 0]
    return {"weight": weight, "bias": state["bias"]}


def brighter_in_flair(classes: int) -> dict[str, torch.Tensor]:
    """Of a convolution of three sequences, above 0 where FLAIR is 2 above t1: in the tumour."""
    weight, bias = torch.zeros(classes, 3, 1, 1), torch.zeros(classes)
    weight[-1, :, 0, 0] = GAIN * torch.tensor([-1.0, 1.0, 0.0])
    bias[-1] = -2 * GAIN
    return {"weight": weight, "bias": bias}


def tiny_brain_bundle(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """The shipped brain bundle around two convolutions that know the tumour of `tiny_brain`."""
    made = tiny_bundle(folder, changes, weights=brighter_in_flair(2), shipped=BRAIN)
    gate = {f"0.{name}": value for name, value in brighter_in_flair(1).items()}
    save_gate(folder, gate)
    return made


TINY_FLAIR = {
    "network_def": {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 2,
                    "kernel_size": 1},
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "medvol.images.reader.load_imaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key",
             "channel_dim": "no_channel"},
        ],
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}],
    },
}  # fmt: skip
FLAIR_METADATA = {
    "reference_organ": None,
    "display_window_hu": None,
    "network_data_format#inputs#image#modality": "MR",
    "focus_labels": [1],
    "focus_name": "tumour",
    "label_table": [{"value": 1, "name": "brain tumour", "color": [235, 70, 70]}],
}


def tiny_flair_bundle(folder: Path) -> Path:
    """MR of one channel, any volume: tumour is what is brighter than 135, as in `tiny_brain`."""
    weights = {"weight": torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1, 1),
               "bias": torch.tensor([0.0, -135.0])}  # fmt: skip
    return tiny_bundle(folder, TINY_FLAIR, metadata=FLAIR_METADATA, weights=weights)


def tiny_bundle(
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
    shipped: Path = SHIPPED,
) -> Path:
    """Write a bundle: the shipped configs, of which inference and metadata have changes.

    Args:
        folder: to make.
        changes: id such as "preprocessing#spacing_mm" to value in inference.json; None takes the
            entry out.
        metadata: the same for metadata.json.
        weights: state dict of models/model.pt; None is that of the thresholds.
        shipped: whose configs, `SHIPPED`, `SLABS` or `BRAIN`.
    """
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    for path in (shipped / "configs").glob("*.json"):
        shutil.copy(path, folder / "configs")
    # not the chain of the shipped weights; phantoms of 64 mm cover nothing, and have other lungs
    own_chain = {
        "chain_fingerprint": None, "coverage": None, "lung_regions": None,
        "organ_levels_hu": None, **(metadata or {}),
    }  # fmt: skip
    tiny = {SHIPPED: TINY, SLABS: TINY_SLABS, BRAIN: TINY_BRAIN}.get(shipped, {})
    for name, wanted in (("inference", {**tiny, **(changes or {})}), ("metadata", own_chain)):
        path = shipped / "configs" / f"{name}.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        for key, value in wanted.items():
            _change(config, key.split("#"), value)
        (folder / "configs" / path.name).write_text(json.dumps(config), encoding="utf-8")
    if weights is None:
        weights = threshold_weights() if shipped == SHIPPED else slab_weights()
    said = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    trained = Trained(task=str(said.get("medvol_task") or ""))  # so that nothing is to be noted
    torch.save(with_record(weights, trained), folder / "models/model.pt")
    return folder


def _change(config: Any, keys: list[str], value: Any) -> None:
    *parents, last = [int(key) if key.lstrip("-").isdigit() else key for key in keys]
    for key in parents:
        config = config[key]
    if value is None:
        config.pop(last, None)
    else:
        config[last] = deepcopy(value)


GATE = {  # which slices hold a lesion of `tiny_chest`: see `gate_weights`
    "_target_": "medvol.inferers.gated.SliceGate",
    "network": "$torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), "
    "torch.nn.Conv2d(2, 1, 1), torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())",
    "inferer": {"_target_": "medvol.inferers.slice_stack.SliceStackInferer", "slices": 1},
    "weights": "$@bundle_root + '/models/slice_gate/weights.pt'",
    "threshold": "@gate_threshold",
    "margin": 1,
    "gap": 1,
}


def gate_weights() -> dict[str, torch.Tensor]:
    """Of a network whose score is above 0 from -700 to -20 HU, and below -4 for lung and tissue.

    In units of the window, x, it is 100 * (relu(x - 0.4333) - 6 * relu(x - 0.8)) - 5, at the
    brightest such place of the slice: ground-glass (x = 0.513) has 3, consolidation (0.833) has 15.
    """
    return {
        "0.weight": torch.ones(2, 1, 1, 1),
        "0.bias": torch.tensor([-0.4333, -0.8]),
        "2.weight": torch.tensor([100.0, -600.0]).reshape(1, 2, 1, 1),
        "2.bias": torch.tensor([-5.0]),
    }


def save_gate(bundle: Path, weights: Mapping[str, torch.Tensor]) -> None:
    (place := bundle / "models" / "slice_gate").mkdir()
    torch.save(weights, place / "weights.pt")


def tiny_gated_bundle(
    folder: Path, changes: Mapping[str, Any] | None = None, *, threshold: float | None = 0.5
) -> Path:
    """`tiny_bundle` with a gate that passes the slices with a lesion and one on either side."""
    config = json.loads((SHIPPED / "configs" / "inference.json").read_text(encoding="utf-8"))
    windows = {**config["inferer"]["inferer"], "overlap": 0.5}
    steps = config["postprocessing"]["transforms"]
    slices = [
        {"_target_": "medvol.transforms.restore.GateProbabilityd", "keys": "slices",
         "inferer": "@gated"},
        {"_target_": "medvol.transforms.restore.InvertSlicesd", "keys": "slices"},
    ]  # fmt: skip
    table = {"_target_": "medvol.outputs.slice_table.SaveSlices", "key": "slices",
             "output_dir": "@output_dir"}  # fmt: skip
    own = {
        "gate_threshold": "$None" if threshold is None else threshold,
        "gate": GATE,
        "gated": {"_target_": "medvol.inferers.gated.GatedInferer", "inferer": windows,
                  "gate": "@gate", "classes": 4},
        "inferer#inferer": "@gated",
        "postprocessing#transforms": [*steps, *slices],
        "handlers": [*config["handlers"], table],
    }  # fmt: skip
    made = tiny_bundle(folder, {**own, **(changes or {})})
    save_gate(folder, gate_weights())
    return made


def tiny_classifier_bundle(folder: Path) -> Path:
    """The shipped slice classifier's configs around the network of `gate_weights`."""
    network = GATE["network"].replace(
        "torch.nn.Flatten()", "torch.nn.Flatten(), torch.nn.Linear(1, 2)"
    )
    changes = {"slices": 1, "network_def": network, "preprocessing#spacing_mm": [2.0, 2.0, 4.0]}
    halves = {"5.weight": torch.tensor([[-0.5], [0.5]]), "5.bias": torch.zeros(2)}
    return tiny_bundle(folder, changes, weights={**gate_weights(), **halves}, shipped=CLASSIFIER)


PNEUMONIA = shipped_bundles()["chest_xray_pneumonia"]
SIZE = 32
TINY_RADIOGRAPH = {"image_size": SIZE, "depth": 18, "width": 4}
# the mean of each quarter of a picture: top left, top right, bottom left, bottom right
QUARTERS = "$torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.AdaptiveAvgPool2d(2), "
QUARTERS += "torch.nn.Flatten(), torch.nn.Linear(4, 2))"


def tiny_network(seed: int = 0) -> ResidualClassifier:
    """A residual network of the bundle's kind with random weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResidualClassifier(1, 2, depth=18, width=4, dropout=0.3).eval()


def tiny_radiograph_bundle(
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """The bundle for pneumonia around `tiny_network`, on pictures of 32 x 32.

    Args:
        folder, changes, metadata: as for `tiny_bundle`.
        weights: state dict of models/model.pt; None is that of `tiny_network`.
    """
    state = tiny_network().state_dict() if weights is None else weights
    return tiny_bundle(
        folder, {**TINY_RADIOGRAPH, **(changes or {})},
        metadata=metadata, weights=state, shipped=PNEUMONIA,
    )  # fmt: skip


def quarter_bundle(folder: Path, quarter: int = 0) -> Path:
    """A bundle whose score for pneumonia is 8 times the mean grey of one quarter of a picture.

    Args:
        folder: to make.
        quarter: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
    """
    last = torch.zeros(2, 4)
    last[1, quarter] = 8.0
    weights = {"0.weight": torch.ones(1, 1, 1, 1), "0.bias": torch.zeros(1),
               "3.weight": last, "3.bias": torch.zeros(2)}  # fmt: skip
    changes = {"network_def": QUARTERS, "normalise": "none"}
    return tiny_radiograph_bundle(folder, changes, weights=weights)
