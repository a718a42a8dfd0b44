# SPDX-License-Identifier: Apache-2.0
"""Batch normalisation over two processes: figures worked out by hand, and torch's on one."""

from pathlib import Path

import pytest
import torch
from torch import nn
from two_ranks import two_ranks

from medvol.networks.synchronised import SynchronisedBatchNorm, synchronised

BY_HAND = """
from medvol.networks.synchronised import synchronised
norm = synchronised(torch.nn.BatchNorm1d(1, eps=0.0))
x = torch.tensor([[[1.0, 2.0]], [[3.0, 6.0]]])[rank : rank + 1].requires_grad_()
made = norm(x)
made.square().sum().backward()
norm.eval()
found = {"made": made.flatten().tolist(), "slope": x.grad.flatten().tolist(),
         "mean": float(norm.running_mean), "variance": float(norm.running_var),
         "seen": int(norm.num_batches_tracked), "weight": float(norm.weight.grad),
         "bias": float(norm.bias.grad), "names": list(norm.state_dict()),
         "still": float(norm(torch.tensor([[[0.3]]])))}
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU it is torch's own")
def test_two_processes(forked_python: str, tmp_path: Path) -> None:
    """Of 1, 2 | 3, 6: mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5, or 14 / 3 as an estimate."""
    first, second = two_ranks(forked_python, BY_HAND, tmp_path)
    root = 3.5**0.5
    assert first["made"] == pytest.approx([-2 / root, -1 / root])
    assert second["made"] == pytest.approx([0, 3 / root], abs=1e-6)
    for rank in (first, second):
        assert rank["slope"] == pytest.approx([0, 0], abs=1e-6)  # the sum of squares is always 4
        assert (rank["mean"], rank["variance"]) == pytest.approx((0.3, 0.9 + 0.1 * 14 / 3))
        assert rank["seen"] == 1
        assert rank["names"] == list(nn.BatchNorm1d(1).state_dict())
        assert rank["still"] == pytest.approx(
            0, abs=1e-6
        )  # in evaluation without the other process
    # each has the part of its own values: 2 x' x', and 2 x'
    assert (first["weight"], first["bias"]) == pytest.approx((2 * 5 / 3.5, -6 / root))
    assert (second["weight"], second["bias"]) == pytest.approx((2 * 9 / 3.5, 6 / root))


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU it is torch's own")
def test_all_of_a_network_but_what_is_no_batch_normalisation() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2, momentum=0.3)), nn.InstanceNorm2d(2)
    )
    names, parameters = list(network.state_dict()), list(network.parameters())
    made = synchronised(network)
    assert [type(m).__name__ for m in made.modules() if not list(m.children())] == [
        "Conv2d", "SynchronisedBatchNorm", "InstanceNorm2d",
    ]  # fmt: skip
    assert list(made.state_dict()) == names
    assert all(a is b for a, b in zip(made.parameters(), parameters, strict=True))
    (norm,) = (m for m in made.modules() if isinstance(m, SynchronisedBatchNorm))
    assert norm.momentum == 0.3
    with pytest.raises(ValueError, match=r"needs \(B, C, \.\.\.\)"):
        norm(torch.zeros(3))
