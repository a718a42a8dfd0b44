# SPDX-License-Identifier: Apache-2.0
"""AUC over the slices of several volumes, by hand."""

import pytest
import torch

from medvol.metrics.slice_auc import SliceAUC


def said(*positive: float) -> torch.Tensor:
    row = torch.tensor(positive)
    return torch.stack([1 - row, row])


def test_pairs_counted_by_hand() -> None:
    """Positive 0.9 and 0.4, negative 0.5, 0.1 and 0.2: 5 of 6 pairs are in order."""
    metric = SliceAUC()
    metric([said(0.9, 0.5)], [torch.tensor([1, 0])])
    metric([said(0.4, 0.1, 0.2)], [torch.tensor([2, 0, 0])])
    assert metric.aggregate().item() == pytest.approx(5 / 6)


def test_slices_of_one_kind_have_none() -> None:
    metric = SliceAUC()
    metric([said(0.9, 0.5)], [torch.tensor([0, 0])])
    assert metric.aggregate().isnan()


def test_truth_is_needed() -> None:
    with pytest.raises(ValueError, match="needs the true classes"):
        SliceAUC()([said(0.5)])
