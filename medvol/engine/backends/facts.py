# SPDX-License-Identifier: Apache-2.0
"""What a measurement of speed depends on: the machine, the packages, the network's weights."""

import hashlib
import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

COUNT = ("model name", "flags", "Features")  # lines of /proc/cpuinfo, the last that of ARM
PACKAGES = ("torch", "openvino")


@cache
def machine_facts() -> dict[str, Any]:
    """Processor with what it can, cores that this process may use, versions of what computes."""
    return {
        "processor": _processor(Path("/proc/cpuinfo")),
        "cores": cores(),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def weights_sha256(weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of the names, kinds, shapes and values of a network's weights.

    Args:
        weights: its state dict.

    Example:
        >>> one, other = ({"bias": torch.zeros(2)}, {"bias": torch.zeros(2, 1)})
        >>> weights_sha256(one) == weights_sha256({**one}), weights_sha256(one) == (
        ...     weights_sha256(other))
        (True, False)
    """
    digest = hashlib.sha256()
    for name, tensor in weights.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _processor(cpuinfo: Path) -> str:
    """Name of the first processor and what it can; elsewhere than on Linux its name alone."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    rows = (line.partition(":") for line in first.splitlines())
    found = {name.strip(): value.strip() for name, _, value in rows}
    return "; ".join(found[name] for name in COUNT if name in found) or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
