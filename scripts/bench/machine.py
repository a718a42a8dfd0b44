# SPDX-License-Identifier: Apache-2.0
"""The machine that a benchmark ran on: processor, memory, versions, and its measured peak."""

import platform
import statistics
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

GIB = 1 << 30
SIDE = 2048  # of the square matrices that are multiplied
TRIES = 9
# of the instructions that decide how fast a network runs; in the names of /proc/cpuinfo
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")
BF16 = ("avx512_bf16", "amx_bf16")
PACKAGES = ("torch", "monai", "openvino", "nnunetv2", "numpy", "SimpleITK", "nibabel")


def facts(*, measure: bool = True) -> dict[str, Any]:
    """What a reader needs to know of the machine.

    Args:
        measure: its peak too, which takes a few seconds.
    """
    flags = flags_of_cpu()
    found: dict[str, Any] = {
        "cpu": _cpu_name(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }
    if measure:
        found["gemm_gflops"] = {"fp32": round(gemm_gflops("float32"))}
        if has_bf16():
            found["gemm_gflops"]["bf16"] = round(gemm_gflops("bfloat16"))
    return found


def line(found: dict[str, Any]) -> str:
    """The same in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    peak = ", ".join(f"{value} GFLOP/s {kind}" for kind, value in
                     found.get("gemm_gflops", {}).items())  # fmt: skip
    return (
        f"{found['cpu']}, {found['cores']} cores ({' '.join(found['flags'])}), "
        f"{found['memory_gib']} GiB, GEMM {peak or 'not measured'}; Python {found['python']}, "
        f"{versions}"
    )


def flags_of_cpu() -> set[str]:
    """Instructions of the processor; empty where the system does not tell."""
    return set(_cpuinfo("flags").split())


def has_bf16() -> bool:
    """Whether the processor computes bf16; where it does not, torch does so very slowly."""
    return not flags_of_cpu().isdisjoint(BF16)


def gemm_gflops(dtype: str) -> float:
    """Operations a second of a large matrix product, all threads, in 1e9: the best of some tries.

    Args:
        dtype: of torch, by name.
    """
    import torch

    torch.set_num_threads(psutil.cpu_count(logical=False) or 1)
    one = torch.randn(SIDE, SIDE).to(getattr(torch, dtype))
    seconds = []
    for _ in range(TRIES):
        started = time.perf_counter()
        torch.mm(one, one)
        seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(seconds) / 1e9


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most of figures."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(name: str) -> str:
    path = Path("/proc/cpuinfo")
    for row in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        key, _, value = row.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
