# SPDX-License-Identifier: Apache-2.0
"""Large tensors in memory of their own: zeros, and given back when the last view of them goes."""

import psutil
import pytest
import torch

from medvol.pages import LEAST_BYTES, zeros_in_own_memory

MIB = 1 << 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int32])
@pytest.mark.parametrize("rows", [0, 3, LEAST_BYTES // 4, LEAST_BYTES])
def test_zeros_of_any_size_and_type(rows: int, dtype: torch.dtype) -> None:
    made = zeros_in_own_memory((rows, 4), dtype)
    assert made.shape == (rows, 4)
    assert made.dtype == dtype
    assert not made.any()
    made += 1
    assert (made == 1).all()


def test_on_another_device() -> None:
    assert zeros_in_own_memory((2, LEAST_BYTES), torch.uint8, "meta").device.type == "meta"


def test_memory_is_there_while_a_view_is_and_goes_with_it() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    made = zeros_in_own_memory((2, 32 * MIB), torch.uint8)
    made += 7
    view = made[1]
    del made
    assert process.memory_info().rss > before + 60 * MIB
    assert view[-1] == 7
    del view
    assert process.memory_info().rss < before + 8 * MIB


def test_what_the_system_does_not_have_is_a_memory_error() -> None:
    """So that the engine tries with less; 2^60 bytes are more than any machine maps."""
    with pytest.raises(MemoryError, match="1152921504606846976 bytes"):
        zeros_in_own_memory((1 << 60,), torch.uint8)
