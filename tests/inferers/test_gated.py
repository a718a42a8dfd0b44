# SPDX-License-Identifier: Apache-2.0
"""A gate before a segmenter: equal bit by bit where it passes, background where it does not."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers import Inferer, SimpleInferer, SliceInferer, SlidingWindowInferer
from torch import Tensor, nn

from medvol.errors import InputError
from medvol.inferers.gated import GatedInferer, SliceGate
from medvol.inferers.precision import PrecisionInferer
from medvol.inferers.slice_stack import SliceStackInferer
from medvol.inferers.sliding_window import BACKGROUND_SCORE, FastSlidingWindowInferer
from medvol.networks.resunet import ResUNet

BRIGHT = 3.0  # above every other voxel of `volume`
Make = Callable[..., SliceGate]


class Brightest(nn.Module):
    """Of a slab its brightest voxel, less 2, times the weight: it needs no training.

    With `scores` = 1 it gives that score alone; with 2 that of class 1, where class 0 has 0.
    """

    def __init__(self, scores: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.scores = scores

    def forward(self, slabs: Tensor) -> Tensor:
        score = self.weight * (slabs.flatten(1).amax(1, keepdim=True) - 2)
        return score if self.scores == 1 else torch.cat([torch.zeros_like(score), score], 1)


class Counted(nn.Module):
    """A network that counts the windows it was given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.windows = 0

    def forward(self, windows: Tensor) -> Tensor:
        self.windows += len(windows)
        scores: Tensor = self.network(windows)
        return scores


@pytest.fixture
def make_gate(tmp_path: Path) -> Make:
    """A gate that passes slices with a bright voxel: sigmoid(1) = 0.73, the others below 0.27."""
    torch.save({"weight": torch.ones(1)}, tmp_path / "gate.pt")

    def make(threshold: float | None = 0.5, *, scores: int = 1, **options: Any) -> SliceGate:
        return SliceGate(
            Brightest(scores), SliceStackInferer(slices=1), weights=tmp_path / "gate.pt",
            threshold=threshold, **options,
        )  # fmt: skip

    return make


def volume(*bright: int, depth: int = 20) -> Tensor:
    """(1, 1, 16, 16, depth) noise in [0, 1] with a bright voxel in the slices named."""
    made = torch.rand(1, 1, 16, 16, depth, generator=torch.Generator().manual_seed(5))
    for z in bright:
        made[0, 0, 8, 8, z] = BRIGHT
    return made


def resunet(dims: int, channels: int = 1) -> ResUNet:
    torch.manual_seed(1)
    return ResUNet(dims, channels, 3, features=(4, 8)).eval()


WINDOWS = SlidingWindowInferer((8, 8, 4), sw_batch_size=3, overlap=0.5, mode="gaussian")
PADDING = SlidingWindowInferer((32, 8, 6), overlap=0.25)
SEGMENTERS: dict[str, tuple[Inferer, nn.Module]] = {
    "windows": (WINDOWS, resunet(3)),
    "fast-windows": (FastSlidingWindowInferer.equal_to(WINDOWS), resunet(3)),
    "windows-that-pad": (PADDING, resunet(3)),
    "fast-windows-that-pad": (FastSlidingWindowInferer.equal_to(PADDING), resunet(3)),
    "slabs": (SliceStackInferer(slices=5, sw_batch_size=3), resunet(2, 5)),
    "slices": (SliceInferer(2, (8, 8), sw_batch_size=2, overlap=0.5), resunet(2)),
}
each_segmenter = pytest.mark.parametrize("name", SEGMENTERS)


def plain_and_gated(name: str, gate: SliceGate, inputs: Tensor) -> tuple[Tensor, Tensor, int, int]:
    """Scores without and with the gate, and the windows that were computed for each."""
    inferer, network = SEGMENTERS[name]
    counted = [Counted(network), Counted(network)]
    gated = GatedInferer(inferer, gate, classes=3)
    with torch.inference_mode():
        plain = PrecisionInferer(inferer)(inputs, counted[0])
        scores = PrecisionInferer(gated)(inputs, counted[1])
    return plain, scores, counted[0].windows, counted[1].windows


@each_segmenter
def test_gate_off_equals_plain_bit_by_bit(make_gate: Make, name: str) -> None:
    plain, gated, *windows = plain_and_gated(name, make_gate(None), volume(3))
    assert torch.equal(plain, gated)
    assert windows[0] == windows[1]


@each_segmenter
def test_gate_that_passes_everything_equals_plain_bit_by_bit(make_gate: Make, name: str) -> None:
    plain, gated, *windows = plain_and_gated(name, make_gate(0.0), volume(3))
    assert torch.equal(plain, gated)
    assert windows[0] == windows[1]


@each_segmenter
def test_what_passes_is_equal_bit_by_bit_and_the_rest_is_background(
    make_gate: Make, name: str
) -> None:
    gate = make_gate(0.5, margin=1)
    plain, gated, of_plain, of_gated = plain_and_gated(name, gate, volume(0, 6, 7))
    passing = [0, 1, 5, 6, 7, 8]
    rest = [z for z in range(20) if z not in passing]
    assert torch.equal(gated[..., passing], plain[..., passing])
    assert (gated[:, 0][..., rest] == BACKGROUND_SCORE).all()
    assert (gated[:, 1:][..., rest] == -BACKGROUND_SCORE).all()
    assert 0 < of_gated < of_plain


def test_slabs_are_computed_for_passing_slices_only(make_gate: Make) -> None:
    _, _, of_plain, of_gated = plain_and_gated("slabs", make_gate(0.5, margin=1), volume(0, 6, 15))
    assert (of_plain, of_gated) == (20, 2 + 3 + 3)


@pytest.mark.parametrize("name", ["windows", "fast-windows"])
def test_windows_are_computed_where_a_slice_of_them_passes(make_gate: Make, name: str) -> None:
    """Windows of 4 slices every 2: slice 6 lies in those from 4 and 6, each 3 x 3 in plane."""
    _, _, of_plain, of_gated = plain_and_gated(name, make_gate(0.5), volume(6))
    assert (of_plain, of_gated) == (9 * 9, 2 * 9)


@each_segmenter
def test_nothing_passes_and_no_segmenter_runs(make_gate: Make, name: str) -> None:
    _, gated, _, windows = plain_and_gated(name, make_gate(0.5), volume())
    assert windows == 0
    assert gated.shape == (1, 3, 16, 16, 20)
    assert (gated.argmax(1) == 0).all()


def test_another_inferer_is_given_each_run_alone(make_gate: Make) -> None:
    seen: list[tuple[int, ...]] = []

    def network(part: Tensor) -> Tensor:
        seen.append(tuple(part.shape))
        return torch.cat([part, part + 1, part + 2], 1)

    inputs = volume(2, 9, 10)
    scores = GatedInferer(SimpleInferer(), make_gate(), classes=3)(inputs, network)
    assert seen == [(1, 1, 16, 16, 1), (1, 1, 16, 16, 2)]
    assert torch.equal(scores[0, 1, ..., [2, 9, 10]], inputs[0, 0, ..., [2, 9, 10]] + 1)
    assert (scores[0, 0, ..., 3] == BACKGROUND_SCORE).all()


@pytest.mark.parametrize("scores", [1, 2])
def test_probability_of_each_slice(make_gate: Make, scores: int) -> None:
    """sigmoid(weight * (brightest - 2)), from one score or from two."""
    gate = make_gate(scores=scores)
    inputs = torch.cat([volume(4), volume()])
    expected = torch.sigmoid(inputs.amax((1, 2, 3)) - 2)
    torch.testing.assert_close(gate(inputs), expected)
    gated = GatedInferer(SliceStackInferer(slices=5), gate, classes=3)
    gated(inputs, resunet(2, 5))
    assert gated.probability is not None
    torch.testing.assert_close(gated.probability, expected)
    assert gated.passing is not None
    assert gated.passing.nonzero().tolist() == [[0, 4]]


def test_each_volume_of_a_batch_has_its_own_slices(make_gate: Make) -> None:
    inferer, network = SEGMENTERS["slabs"]
    gated = GatedInferer(inferer, make_gate(0.5, margin=2), classes=3)
    with torch.inference_mode():
        scores = gated(torch.cat([volume(2), volume(), volume(12)]), network)
    found = [(x[0, 0, 0] != BACKGROUND_SCORE).nonzero().flatten().tolist() for x in scores]
    assert found == [[0, 1, 2, 3, 4], [], [10, 11, 12, 13, 14]]


def test_nothing_of_the_last_volume_is_left_when_the_gate_is_off(make_gate: Make) -> None:
    inferer, network = SEGMENTERS["slabs"]
    gated = GatedInferer(inferer, make_gate(), classes=3)
    gated(volume(2), network)
    assert gated.passing is not None
    gated.gate.threshold = None
    gated(volume(2), network)
    assert gated.passing is None
    assert gated.probability is None


@each_segmenter
def test_scores_keep_their_place_in_the_patient(make_gate: Make, name: str) -> None:
    inferer, network = SEGMENTERS[name]
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0]))
    for bright in ([2], []):
        inputs = MetaTensor(volume(*bright), affine=affine)
        scores = GatedInferer(inferer, make_gate(), classes=3)(inputs, network)
        assert isinstance(scores, MetaTensor)
        assert torch.equal(scores.affine, inputs.affine)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_background_is_certain_after_softmax_and_sigmoid(make_gate: Make, dtype: Any) -> None:
    scores = GatedInferer(SimpleInferer(), make_gate(), classes=4)(volume(), nn.Identity())
    voxel = scores[0, :, 0, 0, 0].to(dtype)
    assert voxel.softmax(0).tolist() == [1, 0, 0, 0]
    assert voxel.sigmoid().tolist() == [1, 0, 0, 0]
    assert voxel.isfinite().all()


def test_the_gate_is_off_and_its_weights_are_not_there(tmp_path: Path) -> None:
    none = tmp_path / "none.pt"
    SliceGate(Brightest(), SimpleInferer(), weights=none, threshold=None)
    with pytest.raises(InputError, match=r"none\.pt: the weights cannot be read") as caught:
        SliceGate(Brightest(), SimpleInferer(), weights=none, threshold=0.5)
    assert caught.value.code == "E_BUNDLE"


def test_the_gate_does_not_train(make_gate: Make) -> None:
    gate = make_gate()
    assert not gate.network.training
    assert not gate(volume()).requires_grad


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.5}, "threshold is 1.5; give 0 to 1, or None"),
        ({"margin": -1}, "margin is -1 and gap 0 slices; give 0 or more"),
        ({"gap": -2}, "margin is 0 and gap -2 slices"),
    ],
)
def test_bad_gates_are_refused(make_gate: Make, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        make_gate(**options)


def test_bad_inferers_are_refused(make_gate: Make) -> None:
    with pytest.raises(ValueError, match="classes is 1; give 2 or more"):
        GatedInferer(SimpleInferer(), make_gate(), classes=1)
    with pytest.raises(ValueError, match=re.escape("give PrecisionInferer(GatedInferer(...))")):
        GatedInferer(PrecisionInferer(SimpleInferer()), make_gate(), classes=2)
