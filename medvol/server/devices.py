# SPDX-License-Identifier: Apache-2.0
"""The devices of this machine, one for each worker, found without loading torch."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
_GPU = re.compile(r"nvidia\d+")


def workers_for(
    device: str, *, variables: Mapping[str, str] | None = None, folder: Path = Path("/dev")
) -> list[str]:
    """What each worker may see of the GPUs, as `CUDA_VISIBLE_DEVICES` has it.

    Args:
        device: "auto", "cpu" or "cuda".
        variables: of the environment; None for that of this process.
        folder: of the system's devices.

    Returns:
        One entry a worker: the number or name of its GPU; empty where it has none of its own, or
        takes the only one there is.

    Example:
        >>> workers_for("cpu"), workers_for("auto", variables={"CUDA_VISIBLE_DEVICES": "0,3"})
        ([''], ['0', '3'])
    """
    if device == "cpu":
        return [""]
    said = (os.environ if variables is None else variables).get(VISIBLE)
    if said is not None:
        gpus = [word.strip() for word in said.split(",") if word.strip()]
    else:
        found = sorted(
            int(path.name[6:]) for path in folder.glob("nvidia*") if _GPU.fullmatch(path.name)
        )
        gpus = [str(number) for number, _ in enumerate(found)]
    return gpus if len(gpus) > 1 else [""]
