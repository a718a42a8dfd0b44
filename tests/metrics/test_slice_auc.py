# SPDX-License-Identifier: Apache-2.0
"""Slices of all volumes ranked together, against pairs counted by hand."""

import math

import pytest
import torch

from medvol.metrics.slice_auc import SliceAUC


def probabilities(*positive: float) -> torch.Tensor:
    """(2, Z)."""
    return torch.tensor([[1 - p for p in positive], list(positive)])


def test_slices_of_all_volumes_are_ranked_together() -> None:
    """Positives 0.6 and 0.9, negatives 0.7 and 0.1: three of four pairs stand right."""
    metric = SliceAUC()
    metric([probabilities(0.6, 0.7)], [torch.tensor([2, 0])])
    metric([probabilities(0.9, 0.1)], [torch.tensor([1, 0])])
    assert metric.aggregate().item() == 0.75


def test_a_slice_with_a_little_lesion_is_left_out() -> None:
    metric = SliceAUC(smallest=50.0)
    metric([probabilities(0.6, 0.9, 0.1)], [torch.tensor([50.0, 49.0, 0.0])])
    assert metric.aggregate().item() == 1.0


def test_one_kind_of_slices_has_no_auc() -> None:
    metric = SliceAUC()
    metric([probabilities(0.6, 0.9)], [torch.tensor([0, 0])])
    assert math.isnan(metric.aggregate().item())


def test_truth_is_needed() -> None:
    with pytest.raises(ValueError, match="needs the true classes"):
        SliceAUC()([probabilities(0.6)])
