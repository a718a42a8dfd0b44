# SPDX-License-Identifier: Apache-2.0
"""One prediction by medvol: read, prepare, network, restore, and the mask as NIfTI.

It uses what medvol had before there were backends too, so that another checkout can be a side.
"""

import time
from pathlib import Path
from typing import Any

from .clock import Clock

NETWORK = "forward"


def run(
    bundle: str,
    image: Path,
    out: Path,
    *,
    backend: str = "auto",
    precision: str | None = None,
    crop: str | None = None,
) -> dict[str, Any]:
    """Predict one image.

    Args:
        bundle: its folder or name.
        image: the file.
        out: folder that its mask is written to.
        backend: that runs the network.
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        crop: "lungs", or None.

    Returns:
        Seconds from reading to the written mask, and of each stage.
    """
    from medvol.images.writing import write_volume
    from medvol.tasks.task import load_bundle

    asked: dict[str, Any] = {"device": "cpu"}
    try:
        from medvol.engine.settings import EngineSettings
    except ImportError:  # a checkout of before
        pass
    else:
        asked["engine"] = EngineSettings(backend=backend, crop=crop)
    loaded = load_bundle(bundle, precision=precision, trust=True, **asked)
    clock, pipeline = Clock(), loaded.pipeline
    running = getattr(pipeline, "backend", None)
    if running is None:
        clock.times(pipeline.network, "forward", NETWORK)
    else:
        clock.times(type(running), "__call__", NETWORK)
    started = time.perf_counter()
    answer = loaded.predict(image)
    wrote = time.perf_counter()
    path = out / "mask.nii.gz"
    try:
        from medvol.outputs.registry import OUTPUTS
        from medvol.outputs.save import Saving

        OUTPUTS["nii"].write(path, Saving(answer, [OUTPUTS["nii"]], out))
    except (ImportError, TypeError):
        write_volume(path, answer.mask, answer.image.affine)
    ended = time.perf_counter()
    return {
        "seconds": ended - started, "stages": {**answer.run.times_s, "write": ended - wrote},
        "forward_s": clock.seconds().get(NETWORK, 0.0), "calls": len(clock.calls[NETWORK]),
        "settings": {k: str(v) for k, v in answer.run.settings.items()},
        "remarks": list(answer.run.remarks), "mask": str(path),
    }  # fmt: skip
