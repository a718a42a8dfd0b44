# SPDX-License-Identifier: Apache-2.0
"""One side of `bench_gpu.py` in a process of its own: `python -m bench.gpu_side SIDE ...`."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .clock import GIB, peak_gib

RADIOGRAPHS = "chest_xray_pneumonia"
Predict = Callable[[], Any]


def main() -> int:
    """Predict one volume again and again, or many radiographs, and write what it took as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("side", help="stock, stock-on-device, radiographs, or medvol:BACKEND")
    parser.add_argument("--bundle")
    parser.add_argument("--image", type=Path, help="or a folder of radiographs")
    parser.add_argument("--out", type=Path, required=True, help="empty folder")
    parser.add_argument("--device", required=True)
    parser.add_argument("--precision")
    parser.add_argument("--times", type=int, default=1, help="a volume, or so many radiographs")
    args = parser.parse_args()
    found = _radiographs(args) if args.side == "radiographs" else _volumes(args)
    found |= {"device_peak_gib": _device_peak_gib(args.device), "peak_gib": peak_gib()}
    (args.out / "figures.json").write_text(json.dumps(found), encoding="utf-8")
    return 0


def _volumes(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each prediction, from reading the file to the written mask; loading not in it."""
    predict = _medvol(args) if args.side.startswith("medvol:") else _stock(args)
    seconds, found = [], {}
    for _ in range(args.times):
        started = time.perf_counter()
        found = predict()
        _wait_for(args.device)
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "mask": str(next(args.out.rglob("*.nii.gz"))), **found}


def _medvol(args: argparse.Namespace) -> Predict:
    from medvol.engine.settings import EngineSettings
    from medvol.outputs.registry import OUTPUTS
    from medvol.outputs.save import Saving
    from medvol.tasks.task import load_bundle

    engine = EngineSettings(args.side.partition(":")[2])
    loaded = load_bundle(
        args.bundle, device=args.device, precision=args.precision, engine=engine, trust=True
    )

    def predict() -> dict[str, Any]:
        answer = loaded.predict(args.image)
        output = OUTPUTS["nii"]
        output.write(args.out / "mask.nii.gz", Saving(answer, [output], args.out))
        return {"stages": answer.run.times_s, "remarks": list(answer.run.remarks)}

    return predict


def _stock(args: argparse.Namespace) -> Predict:
    """The bundle as `monai.bundle run` runs it; its transforms on the device where that is said."""
    from monai.bundle import ConfigWorkflow

    config = Path(args.bundle) / "configs" / "inference.json"
    changes: dict[str, Any] = {"device": f"$torch.device({args.device!r})"}
    if args.side == "stock-on-device":
        steps = json.loads(config.read_text(encoding="utf-8"))["preprocessing"]["transforms"]
        changes["preprocessing#transforms"] = on_device(steps)
    workflow = ConfigWorkflow(
        config_file=str(config), meta_file=str(config.with_name("metadata.json")),
        workflow_type="infer", logging_file=False, bundle_root=args.bundle,
        dataset_dir=str(args.image.parent), output_dir=str(args.out),
        **{"dataset#data": [{"image": str(args.image)}]}, **changes,
    )  # fmt: skip
    workflow.initialize()
    evaluator = workflow.parser.get_parsed_content("evaluator")

    def predict() -> dict[str, Any]:
        evaluator.run()
        return {}

    return predict


def on_device(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The transforms of a config, all behind the reading of files on the config's device.

    Args:
        steps: of a `Compose`; the first two read an image and give it an axis of channels.
    """
    return [*steps[:2], {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
            *steps[2:]]  # fmt: skip


def _radiographs(args: argparse.Namespace) -> dict[str, Any]:
    """Pictures a second, from file to answer, once those before have set things up."""
    from medvol.tasks.task import load_bundle

    loaded = load_bundle(RADIOGRAPHS, device=args.device, precision=args.precision)
    paths = sorted(args.image.glob("*.jpg"))[: args.times]
    list(loaded.predict_many(paths[:32]))
    started = time.perf_counter()
    number = len(list(loaded.predict_many(paths)))
    return {"rate": number / (time.perf_counter() - started), "pictures": number}


def _wait_for(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _device_peak_gib(device: str) -> float | None:
    """Most of the device's memory that torch had at once, what it kept for later included."""
    import torch

    return torch.cuda.max_memory_reserved() / GIB if device == "cuda" else None


if __name__ == "__main__":
    raise SystemExit(main())
