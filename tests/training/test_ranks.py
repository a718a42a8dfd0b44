# SPDX-License-Identifier: Apache-2.0
"""Two processes share batches: the items of one process, its loss, and its training."""

from pathlib import Path

import pytest
import torch
from monai.data import DataLoader, Dataset
from refusals import refused_by
from torch.utils.data import RandomSampler
from two_ranks import two_ranks

from medvol.training.ranks import RankSampler, share

LOSS = """
from monai.losses import DiceLoss
from medvol.training.ranks import WholeBatchLoss
loss = DiceLoss(batch=True, smooth_nr=0, smooth_dr=0)
scores = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])[rank : rank + 1].requires_grad_()
targets = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])[rank : rank + 1]
value = WholeBatchLoss(loss)(scores, targets)
value.backward()
found = {"value": value.item(), "slope": scores.grad.flatten().tolist()}
"""
TRAINING = """
import copy
from monai.losses import DiceCELoss
from torch.nn.parallel import DistributedDataParallel
from medvol.networks.resunet import ResUNet
from medvol.networks.synchronised import synchronised
from medvol.training.averaging import WeightAveraging
from medvol.training.ranks import WholeBatchLoss
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
loss = DiceCELoss(to_onehot_y=True, softmax=True, batch=True)
alone = ResUNet(2, 1, 3, features=(4, 8), norm="batch")
together = DistributedDataParallel(synchronised(copy.deepcopy(alone)))
optimizers = [torch.optim.AdamW(n.parameters(), lr=0.01) for n in (alone, together)]
averages = [WeightAveraging(n, 0.3) for n in (alone, together)]
losses, rows = [], slice(2 * rank, 2 * rank + 2)
for _ in range(4):
    images, labels = torch.rand(4, 1, 12, 12), torch.randint(0, 3, (4, 1, 12, 12))
    for optimizer in optimizers:
        optimizer.zero_grad()
    one = loss(alone(images), labels)
    one.backward()
    two = WholeBatchLoss(loss)(together(images[rows]), labels[rows])
    two.backward()
    for optimizer in optimizers:
        optimizer.step()
    for average in averages:
        average.average.update_parameters(average.trained)
    losses.append([one.item(), two.item()])
def apart(one, other):
    return max(float((a - b).abs().max()) for a, b in zip(one.values(), other.values()))
states = (alone.state_dict(), together.module.state_dict())
averaged = [average.network.state_dict() for average in averages]
found = {"losses": losses, "names": list(states[0]) == list(states[1]) == list(averaged[1]),
         "apart": apart(*states), "averages": apart(*averaged)}
"""


def sampler(
    items: int, batch: int, rank: int, monkeypatch: pytest.MonkeyPatch, ranks: int = 2
) -> RankSampler:
    monkeypatch.setattr("torch.distributed.get_rank", lambda: rank)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: ranks)
    made = RankSampler(range(items), batch)
    made.generator = torch.Generator().manual_seed(5)
    return made


def test_ranks_take_together_the_batches_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = RandomSampler(range(11), generator=torch.Generator().manual_seed(5))
    batches = list(DataLoader(Dataset(range(11)), batch_size=4, sampler=stock, drop_last=True))
    parts = []
    for rank in range(2):
        made = sampler(11, 4, rank, monkeypatch)
        assert (made.per_rank, len(made), len(list(made))) == (2, 4, 4)
        made.generator.manual_seed(5)
        parts.append(list(DataLoader(Dataset(range(11)), batch_size=2, sampler=made)))
    together = [torch.cat(halves).tolist() for halves in zip(*parts, strict=True)]
    assert together == [batch.tolist() for batch in batches]


def test_fewer_items_than_a_batch_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [list(sampler(6, 8, rank, monkeypatch)) for rank in range(2)]
    assert [len(part) for part in parts] == [3, 3]
    assert sorted(parts[0] + parts[1]) == [0, 1, 2, 3, 4, 5]
    assert list(sampler(0, 8, 1, monkeypatch)) == []
    error = refused_by(lambda: sampler(5, 8, 0, monkeypatch), "E_BUNDLE")
    assert "2 processes cannot share a batch of 5" in error.reason


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [share(6, ranks) for ranks in (1, 2, 3, 6)] == [6, 3, 2, 1]
    error = refused_by(lambda: sampler(20, 6, 0, monkeypatch, ranks=4), "E_BUNDLE")
    assert "4 processes cannot share a batch of 6" in error.reason


def test_a_loss_over_the_batch_is_that_of_all(forked_python: str, tmp_path: Path) -> None:
    """Both 1, sums 3 and 1: 1 - 2/4 = 0.5; a slope of -(2 t 4 - 2) / 16 for target t, twice as
    large, since the mean over the two processes follows."""
    found = two_ranks(forked_python, LOSS, tmp_path)
    assert [rank["value"] for rank in found] == [0.5, 0.5]
    assert found[0]["slope"] == pytest.approx([-0.75, 0.25])
    assert found[1]["slope"] == pytest.approx([0.25, 0.25])


def test_a_training_is_that_of_one_process(forked_python: str, tmp_path: Path) -> None:
    """In float64 to the rounding: what float32 differs by is rounding, too."""
    for rank in two_ranks(forked_python, TRAINING, tmp_path):
        assert rank["names"]
        assert rank["apart"] < 1e-9
        assert rank["averages"] < 1e-9
        losses = torch.tensor(rank["losses"])
        assert torch.allclose(losses[:, 0], losses[:, 1], rtol=1e-12)
        assert float(losses[0, 0] - losses[-1, 0]) > 1e-3  # it does train
