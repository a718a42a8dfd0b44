# SPDX-License-Identifier: Apache-2.0
"""Only the lungs go through a bundle, and what is found lies where the lungs lie."""

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from phantoms import AIR_HU, save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.answer import Answer
from medvol.engine.lung_box import lung_box, on_the_whole, part_with_lungs
from medvol.engine.settings import EngineSettings
from medvol.images.image import Image
from medvol.tasks.task import load_bundle

PAD = ((12, 12), (12, 12), (14, 14))  # voxels of air around the chest: 2 x 2 x 4 mm
CHEST = tiny_chest()
CT = np.pad(CHEST.ct, PAD, constant_values=AIR_HU)
LUNGS = CHEST.ct < -400
LUNGS[:3], LUNGS[29:], LUNGS[:, :5], LUNGS[:, 27:] = False, False, False, False
LUNGS = np.pad(LUNGS, PAD)


def image(array: np.ndarray, affine: np.ndarray = CHEST.affine) -> Image:
    return Image(array, affine, Path("ct.nii.gz"))


def test_the_box_is_the_lungs_and_a_margin() -> None:
    """Lungs 18-37 x 22-33 x 18-25; 10 voxels beside, above and below; coarse by 2, 2 and 1."""
    found = lung_box(CT, CHEST.affine)
    assert found is not None
    for side, (first, last) in zip(found, [(18, 37), (22, 33), (18, 25)], strict=True):
        assert first - 16 <= side.start <= first - 9
        assert last + 11 <= side.stop <= last + 17


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SPL", "AIR", "IRP"])
def test_the_same_part_in_any_orientation(codes: str) -> None:
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(codes))
    affine = CHEST.affine @ inv_ornt_aff(turn, CT.shape)
    part = part_with_lungs(image(apply_orientation(CT, turn), affine))
    whole = image(apply_orientation(CT, turn), affine)
    assert part.box is not None
    assert apply_orientation(LUNGS, turn)[part.box].sum() == LUNGS.sum()
    assert part.image.array.size < CT.size / 2
    first = [side.start for side in part.box]
    assert np.allclose(part.image.affine @ [0, 0, 0, 1], whole.affine @ [*first, 1])


def test_a_lung_without_air_is_in_the_box_of_the_other() -> None:
    dense = CT.copy()
    dense[30:38, 22:34, 18:26] = 30  # the left lung
    part = part_with_lungs(image(dense))
    assert part.box is not None
    assert part.box[0].start <= 18
    assert part.box[0].stop >= 38


def test_without_lungs_all_of_it_is_looked_at() -> None:
    part = part_with_lungs(image(np.full((20, 20, 20), 40, np.int16)))
    assert part.box is None
    assert part.remark == "No lungs were found, so nothing was cropped."
    assert on_the_whole({"pred": 1}, part, part.image, pred="pred", slices="slices") == {"pred": 1}


@pytest.mark.parametrize(("classes", "beyond"), [(1, [0.0]), (2, [1.0, 0.0])])
def test_what_was_not_looked_at_is_background(classes: int, beyond: list[float]) -> None:
    whole = image(CT)
    part = part_with_lungs(whole)
    assert part.box is not None
    size = part.image.array.shape
    data = {"pred": MetaTensor(torch.full((1, *size), 3, dtype=torch.uint8)),
            "slices": torch.full((classes, size[2]), 0.25)}  # fmt: skip
    found = on_the_whole(data, part, whole, pred="pred", slices="slices")
    assert found["pred"].shape == (1, *CT.shape)
    assert int((found["pred"] == 3).sum()) == part.image.array.size
    assert np.array_equal(found["pred"].affine, CHEST.affine)
    assert found["slices"].shape == (classes, CT.shape[2])
    assert found["slices"][:, 0].tolist() == beyond
    assert float(found["slices"][0, 20]) == 0.25


def test_a_bundle_finds_in_the_box_what_it_finds_in_the_whole(tmp_path: Path) -> None:
    """The tiny bundle labels each voxel by its HU alone, so a crop changes nothing in it."""
    path = save_nifti(tmp_path / "chest.nii.gz", CT, CHEST.affine)
    folder = tiny_bundle(tmp_path / "thresholds")
    whole, lungs = (
        load_bundle(folder, engine=engine).predict(path)
        for engine in (EngineSettings(), EngineSettings(crop="lungs"))
    )
    assert isinstance(whole, Answer)
    assert whole.mask is not None and lungs.mask is not None  # noqa: PT018
    box = lung_box(CT, CHEST.affine)
    assert box is not None
    inside = np.zeros(CT.shape, bool)
    inside[box] = True
    assert np.array_equal(lungs.mask[LUNGS], whole.mask[LUNGS])
    assert not lungs.mask[~inside].any()
    assert any(remark.startswith("Cropped to the lungs") for remark in lungs.run.remarks)


def test_another_word_than_lungs_is_no_crop() -> None:
    with pytest.raises(ValueError, match="crop is 'heart'"):
        EngineSettings(crop="heart")
