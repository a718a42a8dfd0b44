# SPDX-License-Identifier: Apache-2.0
"""One prediction by MONAI as it is: the workflow that `python -m monai.bundle run` runs.

The bundle's own config, its evaluator and its handlers; timed are its transforms by name, its
inferer and the network inside it.
"""

import json
import time
from pathlib import Path
from typing import Any

from .clock import Clock

STAGES = {
    "LoadImaged": "read", "SaveImaged": "write", "Activationsd": "restore", "Invertd": "restore",
    "AsDiscreted": "restore", "KeepLargestConnectedComponentd": "restore",
}  # fmt: skip
INFERER, NETWORK = "inferer", "forward"
# of medvol's own steps, those that change scores before they go back to the image's grid
KEPT = ("Activationsd", "KeepInsideBodyd", "KeepInsideLungsd")


def run(
    bundle: Path, image: Path, out: Path, *, windows: int | None = None, parts: bool = False
) -> dict[str, Any]:
    """Predict one image.

    Args:
        bundle: its folder.
        image: the file.
        out: folder that its mask is written to.
        windows: that go through the network at once; None for what the bundle says.
        parts: a bundle of medvol's for CT, with MONAI's transforms in the place of its own.

    Returns:
        Seconds from reading to the written mask, and of each stage.
    """
    from monai.bundle import ConfigWorkflow

    clock = Clock()
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "inference.json"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        workflow_type="infer", logging_file=False, bundle_root=str(bundle),
        dataset_dir=str(image.parent), output_dir=str(out),
        **{"dataset#data": [{"image": str(image)}]}, **(_of_stock_parts(bundle) if parts else {}),
    )  # fmt: skip
    workflow.initialize()
    parser = workflow.parser
    sliding = parser.get_parsed_content("inferer")
    network = parser.get_parsed_content("network" if "network" in parser else "network_def")
    while hasattr(sliding, "inferer"):
        sliding = sliding.inferer
    if windows is not None:
        sliding.sw_batch_size = windows
    # built before the clock starts, as medvol's pipeline is
    for name in ("preprocessing", "postprocessing", "dataloader", "evaluator"):
        parser.get_parsed_content(name)
    chains = [parser.get_parsed_content(f"{part}processing") for part in ("pre", "post")]
    for kind in {type(step) for chain in chains for step in chain.flatten().transforms}:
        clock.times(kind, "__call__", kind.__name__)
    clock.times(type(sliding), "__call__", INFERER)
    clock.times(network, "forward", NETWORK)
    started = time.perf_counter()
    workflow.run()
    seconds = time.perf_counter() - started
    steps = clock.seconds()
    stages: dict[str, float] = {}
    for name, spent in steps.items():
        if name != NETWORK:
            stage = "network" if name == INFERER else STAGES.get(name, "prepare")
            stages[stage] = stages.get(stage, 0.0) + spent
    return {
        "seconds": seconds, "stages": stages, "forward_s": steps.get(NETWORK, 0.0), "steps": steps,
        "windows": sliding.sw_batch_size, "calls": len(clock.calls[NETWORK]),
        "mask": str(next(out.rglob("*.nii.gz"))),
    }  # fmt: skip


def _of_stock_parts(bundle: Path) -> dict[str, Any]:
    """Overrides for a config of medvol's: MONAI's transforms where it has some of the kind.

    `Spacingd` picks thin slices where medvol averages them, so that masks compare only for volumes
    whose slices are as thick as the network's.
    """
    from medvol.chains import CROP_MARGIN_MM

    config = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    low, high = config["window_hu"]
    spacing_mm = config["preprocessing"]["spacing_mm"]
    if isinstance(spacing_mm, str):
        spacing_mm = config[spacing_mm.strip("@")]
    kept = [step for step in config["postprocessing"]["transforms"]
            if step["_target_"].rpartition(".")[2] in KEPT]  # fmt: skip
    margin = [0, 0, round(CROP_MARGIN_MM / spacing_mm[2])]
    return {
        "check_chain": None,
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader",
             "ensure_channel_first": True},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": spacing_mm, "mode": "bilinear"},
            {"_target_": "CropForegroundd", "keys": "image", "source_key": "image",
             "select_fn": {"_target_": "medvol.transforms.body.Foreground", "find": "chest"},
             "allow_smaller": True, "margin": margin},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": low, "a_max": high,
             "b_min": 0.0, "b_max": 1.0, "clip": True},
        ]},
        "postprocessing": {"_target_": "Compose", "transforms": [
            *kept,
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
             "orig_keys": "image", "nearest_interp": False},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir",
             "output_dtype": "uint8", "resample": False},
        ]},
    }  # fmt: skip
