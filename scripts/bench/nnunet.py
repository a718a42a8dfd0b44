# SPDX-License-Identifier: Apache-2.0
"""One prediction by nnU-Net's own predictor with the network of a reference bundle.

The same network and weights, spacing, window of HU, windows of the same size with half of each
overlapping; no mirroring. nnU-Net weighs windows by a Gaussian and spreads them evenly, so that its
mask is not the reference's voxel for voxel. It runs in an environment of its own, without medvol.
"""

import json
import time
from pathlib import Path
from typing import Any

from .clock import Clock

INSTALL = (
    "python -m venv .judges/nnunet && "
    ".judges/nnunet/bin/pip install torch==2.13.0 monai==1.6.1 nnunetv2 psutil"
)
NETWORK = "forward"


def run(bundle: Path, image: Path, out: Path) -> dict[str, Any]:
    """Predict one image.

    Args:
        bundle: folder of a reference bundle.
        image: the file.
        out: folder that its mask is written to.

    Returns:
        Seconds from reading to the written mask, and of each stage.
    """
    import torch
    from monai.networks import nets
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    config = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    words = dict(config["network_def"])
    network = getattr(nets, words.pop("_target_"))(**words)
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    steps = {step["_target_"]: step for step in config["preprocessing"]["transforms"]}
    plans = PlansManager(_plans(steps, config["inferer"]["roi_size"]))
    predictor = nnUNetPredictor(
        tile_step_size=1 - config["inferer"]["overlap"], use_gaussian=True, use_mirroring=False,
        perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False,
    )  # fmt: skip
    classes = words["out_channels"]
    labels = {"background": 0, **{f"class {n}": n for n in range(1, classes)}}
    predictor.manual_initialization(
        network, plans, plans.get_configuration("3d_fullres"), [state],
        {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"},
        "nnUNetTrainer", None,
    )  # fmt: skip
    network.eval()
    clock = Clock()
    clock.times(network, "forward", NETWORK)
    clock.times(predictor, "predict_logits_from_preprocessed_data", "network")
    started = time.perf_counter()
    predictor.predict_from_files_sequential([[str(image)]], [str(out / "mask")], False, True, None)
    seconds = time.perf_counter() - started
    spent = clock.seconds()
    return {
        "seconds": seconds, "stages": {"network": spent["network"],
                                       "all but the network": seconds - spent["network"]},
        "forward_s": spent[NETWORK], "calls": len(clock.calls[NETWORK]),
        "mask": str(out / "mask.nii.gz"),
    }  # fmt: skip


def _plans(steps: dict[str, Any], patch: list[int]) -> dict[str, Any]:
    """Plans that say what the reference's transforms do."""
    window = steps["ScaleIntensityRanged"]
    low, high = float(window["a_min"]), float(window["a_max"])
    resample = "resample_data_or_seg_to_shape"
    linear = {"order": 1, "order_z": 0, "force_separate_z": False}
    return {
        "dataset_name": "Dataset000_reference", "plans_name": "reference",
        "image_reader_writer": "SimpleITKIO", "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2], "experiment_planner_used": "none",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": low, "std": high - low, "percentile_00_5": low, "percentile_99_5": high},
        },
        "configurations": {"3d_fullres": {
            "data_identifier": "reference", "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 2, "patch_size": patch,
            "spacing": list(reversed(steps["Spacingd"]["pixdim"])),
            "normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False],
            **{f"resampling_fn_{of}": resample for of in ("data", "seg", "probabilities")},
            **{f"resampling_fn_{of}_kwargs": {"is_seg": of == "seg", **linear}
               for of in ("data", "seg", "probabilities")},
            "batch_dice": False,  # not used, as the architecture, but asked for
            "architecture": {"network_class_name": "given", "arch_kwargs": {},
                             "_kw_requires_import": []},
        }},
    }  # fmt: skip
