# SPDX-License-Identifier: Apache-2.0
"""The golden case: what it holds, and what it says of a bundle that answers otherwise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bundle import tiny_brain_bundle, tiny_flair_bundle, tiny_radiograph_bundle

from medvol.engine.child import Child
from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.writing import write_mask
from medvol.sharing.golden import (
    GOLDEN,
    INPUT,
    MASK,
    NUMBERS,
    GoldenResult,
    make_golden,
    run_golden,
)


def with_case(bundle: Path) -> Path:
    assert make_golden(bundle, bundle / GOLDEN)
    return bundle


def shifted(bundle: Path, by: float) -> None:
    """Raise the score of the last label everywhere."""
    path = bundle / "models" / "model.pt"
    state = torch.load(path, weights_only=True)
    state["bias"][-1] += by
    torch.save(state, path)


def test_the_same_bundle_answers_the_same(tmp_path: Path) -> None:
    bundle = with_case(tiny_brain_bundle(tmp_path / "brain"))
    inputs = sorted(path.name for path in (bundle / GOLDEN / INPUT).iterdir())
    assert inputs == ["head_flair.nii.gz", "head_t1.nii.gz", "head_t1c.nii.gz"]
    found = run_golden(bundle)
    assert found == GoldenResult({"brain tumour": 1.0}, 0.0, 0.0)
    assert str(found) == (
        "mean Dice 1.0000 (brain tumour 1.0000), largest score difference 0, "
        "largest probability difference 0"
    )
    before = {p: p.read_bytes() for p in (bundle / GOLDEN).rglob("*") if p.is_file()}
    make_golden(bundle, tmp_path / "again")
    for path, content in before.items():
        assert (tmp_path / "again" / path.relative_to(bundle / GOLDEN)).read_bytes() == content


def test_scores_that_differ_are_said(tmp_path: Path) -> None:
    bundle = with_case(tiny_flair_bundle(tmp_path / "flair"))
    shifted(bundle, 0.5)
    found = run_golden(bundle)
    assert found is not None
    assert found.score_difference == pytest.approx(0.5, abs=1e-3)
    assert found.probability_difference is None


def test_a_mask_that_differs_is_said(tmp_path: Path) -> None:
    """Half of the tumour in the expected mask gives 2 * 1 / (2 + 1) = 2/3."""
    bundle = with_case(tiny_flair_bundle(tmp_path / "flair"))
    path = bundle / GOLDEN / MASK
    image = read_image(path, "mask")
    marked = np.argwhere(image.array)
    half = image.array.copy()
    half[tuple(marked[: len(marked) // 2].T)] = 0
    write_mask(path, half, image.affine)
    found = run_golden(bundle)
    assert found is not None
    left = len(marked) - len(marked) // 2
    assert found.mean_dice == pytest.approx(2 * left / (left + len(marked)))
    assert found.score_difference == 0


def test_classes_have_no_dice(tmp_path: Path) -> None:
    bundle = with_case(tiny_radiograph_bundle(tmp_path / "rays"))
    found = run_golden(bundle)
    assert found == GoldenResult({}, 0.0, 0.0)
    assert found.mean_dice is None
    assert not (bundle / GOLDEN / MASK).exists()


def test_a_bundle_without_a_case_has_no_result(tmp_path: Path) -> None:
    assert run_golden(tiny_flair_bundle(tmp_path / "flair")) is None


@pytest.mark.parametrize("spoil", ["missing", "text", "other", "pickle"])
def test_a_case_that_is_not_whole_is_refused(spoil: str, tmp_path: Path) -> None:
    bundle = with_case(tiny_flair_bundle(tmp_path / "flair"))
    path = bundle / GOLDEN / NUMBERS
    path.unlink()
    if spoil == "text":
        path.write_text("no numbers")
    elif spoil == "other":
        np.savez(path, scores=np.zeros(3, np.float32), shape=np.ones(2, np.int64))
    elif spoil == "pickle":
        np.savez(path, scores=np.array([{}], object), shape=np.ones(2, np.int64))
    with pytest.raises(InputError, match=r"E_BUNDLE .*golden.*cannot be compared"):
        run_golden(bundle)


def test_a_case_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    bundle = with_case(tiny_flair_bundle(tmp_path / "flair"))
    with Child("medvol.sharing.golden:runner") as child:
        found = child.ask(bundle)
    assert found.score_difference == 0
