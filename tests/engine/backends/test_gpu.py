# SPDX-License-Identifier: Apache-2.0
"""How torch computes on a GPU: float32 that is none other, and when it is through."""

from typing import Any

import pytest
import torch
from far import gpu

from medvol.engine.backends import gpu as own
from medvol.engine.backends.gpu import gpu_name, lacks_compiler, wait_for, without_tf32


def test_float32_is_float32_while_it_computes_and_what_was_set_comes_back() -> None:
    def state() -> tuple[Any, ...]:
        cudnn = torch.backends.cudnn
        return (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic,
                torch.get_float32_matmul_precision())  # fmt: skip

    before = state()
    torch.set_float32_matmul_precision("high")
    try:
        with without_tf32(benchmark=True):
            assert state() == (False, True, True, "highest")
        assert state() == (*before[:3], "high")
    finally:
        torch.set_float32_matmul_precision("highest")


def test_what_a_gpu_was_given_is_waited_for_and_a_cpu_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    wait_for(torch.device("cpu"))
    wait_for(torch.device("cuda"))
    assert waited == [torch.device("cuda")]


def test_a_compiler_is_the_package_and_a_gpu_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    with gpu():
        assert gpu_name().startswith("a stand-in, CUDA ")
        monkeypatch.setattr(own, "find_spec", lambda _: None)
        assert lacks_compiler(torch.device("cuda", 1)) == "the package triton is not installed."
        monkeypatch.setattr(own, "find_spec", lambda _: object())
        assert lacks_compiler(torch.device("cuda", 1)) == ""
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda x: (7 - x.index, 1))
        assert lacks_compiler(torch.device("cuda", 1)) == "the GPU is too old for triton."
