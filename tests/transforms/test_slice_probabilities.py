# SPDX-License-Identifier: Apache-2.0
"""Probabilities of a network's slices reach the input's own slices, whatever the chain did."""

from pathlib import Path

import numpy as np
import pytest
import torch
from grids import each_grid
from monai.data.meta_tensor import MetaTensor
from phantoms import save_nifti, tiny_chest

from medvol.chains import lung_ct
from medvol.spatial import feet_head_axis, slice_z_mm
from medvol.transforms.slice_probabilities import (
    GateProbabilityd,
    InvertSlicesd,
    on_input_slices,
)

THICK = np.diag([2.0, 2.0, 10.0, 1.0])  # slices at 0, 10, 20, 30 mm


def grid(z_spacing_mm: float, first_mm: float = 0.0) -> np.ndarray:
    affine = np.diag([1.0, 1.0, z_spacing_mm, 1.0])
    affine[2, 3] = first_mm
    return affine


def test_between_two_slices_it_is_interpolated() -> None:
    values = torch.tensor([[0.0, 1.0, 0.5, 0.0]])
    found = on_input_slices(values, THICK, (3, 3, 7), grid(5.0))
    assert found.tolist() == [[0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]]


def test_half_a_slice_beyond_the_ends_the_last_is_repeated_and_then_nothing_was_looked_at() -> None:
    """Slices of the network reach from -5 to 35 mm; the input has some at -8, -4, 0 ... 40 mm."""
    values = torch.tensor([[0.9, 0.9, 0.9, 0.9]])
    found = on_input_slices(values, THICK, (3, 3, 13), grid(4.0, -8.0))
    looked_at = [0] + [1] * 10 + [0] * 2
    assert np.allclose(found[0], 0.9 * np.array(looked_at))


def test_of_several_classes_the_first_is_certain_where_nothing_was_looked_at() -> None:
    values = torch.tensor([[0.25, 0.25], [0.75, 0.75]])
    found = on_input_slices(values, THICK, (3, 3, 3), grid(10.0, -10.0))
    assert found.tolist() == [[1.0, 0.25, 0.25], [0.0, 0.75, 0.75]]


def test_slices_from_head_to_feet_are_turned() -> None:
    values = torch.tensor([[0.0, 0.5, 1.0]])
    assert on_input_slices(values, THICK, (3, 3, 3), grid(-10.0, 20.0)).tolist() == [[1, 0.5, 0]]


def test_tilted_slices_are_refused() -> None:
    tilted = THICK.copy()
    tilted[2, 0] = 0.1
    with pytest.raises(ValueError, match="tilted against those of the input"):
        on_input_slices(torch.zeros(1, 3), tilted, (3, 3, 3), THICK)


@each_grid
def test_each_slice_comes_back_to_its_place_behind_the_chain(
    affine: np.ndarray, tmp_path: Path
) -> None:
    """What is said of the chain's slices is their z; so the input's slices get their own."""
    made = tiny_chest()
    ct = save_nifti(tmp_path / "ct.nii", made.ct, affine)
    image = lung_ct(spacing_mm=(2.0, 2.0, 2.5), crop=None)({"image": str(ct)})["image"]
    z_mm = slice_z_mm(image.shape[1:], image.affine.numpy())
    assert np.all(np.diff(z_mm) > 0)
    data = {"image": image, "slices": torch.from_numpy(z_mm)[None]}
    found = InvertSlicesd("slices")(data)["slices"][0].numpy()
    expected = slice_z_mm(made.ct.shape, affine)
    assert len(found) == made.ct.shape[feet_head_axis(affine)]
    inner = (expected > z_mm[0]) & (expected < z_mm[-1])
    assert inner.sum() >= len(found) - 2
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-2)


def test_a_missing_item_is_passed_over() -> None:
    image = MetaTensor(torch.zeros(1, 2, 2, 2), meta={
        "spatial_shape": [2, 2, 2], "original_affine": np.eye(4)})  # fmt: skip
    assert list(InvertSlicesd("slices")({"image": image})) == ["image"]


class Gate:
    def __init__(self, probability: torch.Tensor | None) -> None:
        self.probability = probability


def test_what_the_gate_said_joins_the_data() -> None:
    said = torch.tensor([[0.1, 0.9]])
    assert torch.equal(GateProbabilityd("slices", Gate(said))({"a": 1})["slices"], said)
    assert GateProbabilityd("slices", Gate(None))({"a": 1}) == {"a": 1}
    with pytest.raises(ValueError, match="seen 2 volumes at once; give a batch size of 1"):
        GateProbabilityd("slices", Gate(said.expand(2, 2)))({})
