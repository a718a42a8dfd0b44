# SPDX-License-Identifier: Apache-2.0
"""One GPU for each worker of a machine, without loading torch."""

import os
import re
import subprocess

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE_S = 30.0  # a driver that sleeps takes some seconds to answer


def visible_gpus() -> list[str]:
    """The GPUs of NVIDIA that a process may use, as `CUDA_VISIBLE_DEVICES` names them.

    By that variable where it is set, as batch systems do; else by `nvidia-smi`; none without it.
    """
    if (given := os.environ.get(VISIBLE)) is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    try:
        said = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return re.findall(r"UUID: (GPU-[^)\s]+)", said.stdout)


def keep_one_gpu(number: int) -> None:
    """Let this process, and all that it starts, see one GPU of several.

    Args:
        number: of the worker; those of different numbers see different ones, as far as there are.
    """
    if len(gpus := visible_gpus()) > 1:
        os.environ[VISIBLE] = gpus[number % len(gpus)]
