# SPDX-License-Identifier: Apache-2.0
"""medvol's own way from scores to labels, without copies, gives the mask, notes and place of the
same steps one after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from grids import GRIDS
from monai.data import MetaTensor
from monai.transforms import Activationsd, Compose, Rotated, Spacingd
from tiny_bundle import SHIPPED, SLABS, tiny_bundle, tiny_gated_bundle
from torch import Tensor

from medvol.bundle.spec import read_spec
from medvol.chains import lung_ct
from medvol.engine.pipeline import Pipeline
from medvol.engine.substitutes.most_probable import MostProbabled, probabilities_to_labels
from medvol.images.image import Image
from medvol.transforms.body import KeepInsideBodyd
from medvol.transforms.keys import notes_of
from medvol.transforms.lungs import KeepInsideLungsd
from medvol.transforms.restore import InvertLabelsd
from medvol.transforms.undecided import NoteUndecidedd

WHOLE = np.diag([-2.0, -2.0, 4.0, 1.0])


def chest(shape: tuple[int, int, int], *, empty: bool = False) -> npt.NDArray[np.int16]:
    """A body with two lungs of noise, on each side dense spots; or air alone."""
    made = np.random.default_rng(5).normal(-990, 8, shape)
    if not empty:
        x, y, z = (np.linspace(-a, a, n) for a, n in zip((1, 1, 0.6), shape, strict=True))
        at = np.meshgrid(x, y, z, indexing="ij")
        made[(np.abs(at[0]) < 0.85) & (np.abs(at[1]) < 0.8)] += 1030
        for side in (-0.42, 0.42):
            lung = (at[0] - side) ** 2 / 0.09 + at[1] ** 2 / 0.3 + at[2] ** 2 / 0.7 < 1
            spot = (at[0] - side) ** 2 / 0.01 + at[1] ** 2 / 0.05 + at[2] ** 2 / 0.1 < 1
            made[lung & ~spot] -= 880
    return np.rint(made).astype(np.int16)


def prepared(spacing_mm: Sequence[float] = (2.6, 3.1, 4.7), **shape: Any) -> tuple[Any, Any]:
    ct = MetaTensor(torch.from_numpy(chest(**shape)).float(), torch.from_numpy(WHOLE))
    chain = lung_ct(spacing_mm=spacing_mm, crop="chest", crop_margin_mm=5)
    data: dict[str, Any] = {"image": ct}
    for step in chain.transforms[1:]:
        data = dict(step(data))
    return chain, data


def steps_of(chain: Any, kinds: str = "sblui") -> list[Any]:
    made = {
        "s": Activationsd("pred", softmax=True),
        "b": KeepInsideBodyd("pred"),
        "l": KeepInsideLungsd("pred", lesion=[1, 2]),
        "u": NoteUndecidedd("pred", [1, 2], limit=0.01),
        "i": InvertLabelsd("pred", chain),
    }
    return [made[kind] for kind in kinds]


def scores_of(image: Tensor, classes: int = 4) -> Tensor:
    """Smooth noise, and lung where it is dark."""
    coarse = torch.randn(1, classes, 7, 6, 5, generator=torch.Generator().manual_seed(3))
    fine = torch.nn.functional.interpolate(coarse, image.shape[1:], mode="trilinear")[0] * 3
    fine[-1] += 4 * (image[0] < 0.6)
    return fine


@pytest.mark.parametrize("kinds", ["sblui", "slui", "sbi", "sui", "si"])
@pytest.mark.parametrize(
    "shape", [(41, 37, 13), (40, 29, 2), (23, 64, 30)], ids=["odd", "two", "tall"]
)
@pytest.mark.parametrize("parts", [1, 3, 1000])
def test_equal_to_the_steps_one_after_the_other(
    kinds: str, shape: tuple[int, int, int], parts: int
) -> None:
    chain, data = prepared(shape=shape)
    found = probabilities_to_labels([*steps_of(chain, kinds), max])
    assert found is not None
    assert (found.taken, found.step.gathers) == (len(kinds), kinds != "si")
    scores = scores_of(data["image"].as_tensor())
    expected = Compose(steps_of(chain, kinds))(
        {**data, "pred": MetaTensor(scores.clone(), data["image"].affine)}
    )
    called = found.step({**data, "pred": scores.clone()})
    streamed = found.step.stream(iter(scores.clone().split(parts, 1)), data)
    for own in (called, streamed):
        assert torch.equal(own["pred"].as_tensor(), expected["pred"].as_tensor())
        assert torch.equal(own["pred"].affine, expected["pred"].affine)
        assert own["pred"].shape == (1, *shape)
        assert own["pred"].applied_operations == expected["pred"].applied_operations
        assert notes_of(own) == notes_of(expected)
    assert len(expected["pred"].unique()) > 2
    assert bool(notes_of(expected)) == ("u" in kinds)


def test_what_is_given_as_a_whole_stays_and_what_streams_is_changed_where_it_is() -> None:
    chain, data = prepared(shape=(30, 30, 12))
    step = MostProbabled(steps_of(chain))
    scores = scores_of(data["image"].as_tensor())
    before = scores.clone()
    step({**data, "pred": scores})
    assert torch.equal(scores, before)
    step.stream(iter([scores]), data)
    torch.testing.assert_close(scores.sum(0), torch.ones(scores.shape[1:]))  # probabilities


def test_parts_that_are_one_voxel_seen_many_times_are_background() -> None:
    """So a gate gives what it has not looked at."""
    chain, data = prepared(shape=(30, 30, 12))
    sure = torch.tensor([1e4, -1e4, -1e4, -1e4])[:, None, None, None]
    for kinds in ("sblui", "si"):
        step = MostProbabled(steps_of(chain, kinds))
        nothing = iter([sure.expand(4, *data["image"].shape[1:])])
        assert not step.stream(nothing, data)["pred"].any()


def test_a_chain_that_is_not_along_the_axes_is_undone_class_by_class() -> None:
    chain = Compose([Rotated("image", (0.2, 0, 0)), Spacingd("image", 2.5)])
    data: Any = chain({"image": MetaTensor(torch.rand(1, 14, 12, 9), torch.eye(4))})
    scores = scores_of(data["image"].as_tensor())
    expected = Compose(steps_of(chain, "si"))({**data, "pred": scores.clone()})["pred"]
    own = MostProbabled(steps_of(chain, "si")).stream(iter(scores.split(2, 1)), data)["pred"]
    assert torch.equal(own.as_tensor(), expected.as_tensor())
    assert own.any()


def test_scores_that_are_not_finite_are_refused() -> None:
    chain, data = prepared(shape=(30, 30, 12))
    bad = scores_of(data["image"].as_tensor())
    bad[1, 4, 4, 4] = torch.nan
    with pytest.raises(ValueError, match="the network gave scores that are not finite"):
        MostProbabled(steps_of(chain, "si")).stream(iter(bad.split(2, 1)), data)


def test_what_it_does_not_know_is_left_as_it_stands() -> None:
    chain = Compose([Spacingd("image", 2)])
    softmax, invert = steps_of(chain, "si")
    assert probabilities_to_labels([softmax, invert]) is not None
    for others in (
        [softmax],
        [invert],
        [softmax, max, invert],
        [Activationsd("pred", sigmoid=True), invert],
        [Activationsd("pred", softmax=True, dim=1), invert],
        [Activationsd("other", softmax=True), invert],
        [Activationsd(["pred", "other"], softmax=True), InvertLabelsd(["pred", "other"], chain)],
        [softmax, KeepInsideBodyd("other"), invert],
    ):
        assert probabilities_to_labels(others) is None


def run(pipeline: Pipeline, image: Image, *, streams: bool) -> Any:
    pipeline.streams = streams
    return pipeline.run(image)


@pytest.mark.parametrize("shipped", [SHIPPED, SLABS, None], ids=["3d", "25d", "gated"])
def test_shipped_configs_restore_alike_on_awkward_volumes(
    shipped: Path | None, tmp_path: Path
) -> None:
    """One slice more than a window, fewer than it, oblique and left-handed, extremes of int16,
    nothing but air."""
    made = tiny_bundle(tmp_path / "b", shipped=shipped) if shipped else tiny_gated_bundle(tmp_path)
    pipeline = Pipeline(read_spec(made), device="cpu")
    assert pipeline.streams
    turned = GRIDS["oblique-left-handed"]
    extreme = chest((40, 36, 9))
    extreme[3, 4, 5], extreme[4, 5, 6] = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    found = []
    for array, affine in (
        (chest((64, 48, 9)), WHOLE),
        (chest((50, 41, 13)), turned),
        (extreme, WHOLE),
        (chest((24, 24, 6), empty=True), WHOLE),
    ):
        image = Image(array, affine, Path("ct.nii.gz"))
        own, whole = (run(pipeline, image, streams=streams) for streams in (True, False))
        assert torch.equal(own.data["pred"].as_tensor(), whole.data["pred"].as_tensor())
        assert own.data["pred"].shape == (1, *array.shape)
        assert own.run.notes == whole.run.notes
        found.append(len(own.data["pred"].unique()))
    assert max(found[:3]) > 2
    assert found[3] == 1
