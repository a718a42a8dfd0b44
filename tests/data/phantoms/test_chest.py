# SPDX-License-Identifier: Apache-2.0
"""The chest phantom: one person on any grid, tissues in HU, labels that match."""

from functools import lru_cache
from itertools import permutations, product

import numpy as np
import pytest

from medvol.data.phantoms import chest as phantom_module
from medvol.data.phantoms.chest import Phantom, chest_ct_on_grid, chest_ct_phantom
from medvol.spatial import orientation, spacing_mm, voxel_volume_ml

COARSE = (4.0, 4.0, 6.0)
GROUND_GLASS, CONSOLIDATION, LUNG = 1, 2, 3


@lru_cache  # the same few phantoms serve many tests; none of them writes into one
def phantom(spacing=COARSE, code="LPS", seed=0, lesions=None) -> Phantom:
    return chest_ct_phantom(spacing_mm=spacing, orientation=code, seed=seed, lesions=lesions)


def ml(made: Phantom, *values: int) -> float:
    return float(np.isin(made.labels, values).sum()) * voxel_volume_ml(made.affine)


def test_form():
    made = phantom()
    assert made.ct.shape == made.labels.shape == (90, 78, 52)  # 360 x 312 x 312 mm
    assert (made.ct.dtype, made.labels.dtype) == (np.int16, np.uint8)
    assert spacing_mm(made.affine) == COARSE
    assert orientation(made.affine) == "LPS"
    assert set(np.unique(made.labels)) == {0, GROUND_GLASS, CONSOLIDATION, LUNG}
    assert made.ct.min() >= -1024


def test_same_seed_same_voxels_other_seed_other_person():
    again = chest_ct_phantom(spacing_mm=COARSE)
    assert np.array_equal(again.ct, phantom().ct)
    assert np.array_equal(again.labels, phantom().labels)
    assert not np.array_equal(phantom(seed=1).labels, again.labels)


@pytest.mark.parametrize("seed", range(3))
def test_tissues_have_their_hu(seed):
    made = phantom((3.0, 3.0, 5.0), seed=seed)
    mean = {v: made.ct[made.labels == v].mean() for v in (GROUND_GLASS, CONSOLIDATION, LUNG)}
    assert -670 < mean[GROUND_GLASS] < -480  # as measured in COVID-19 CTs
    assert -430 < mean[CONSOLIDATION] < -40
    assert -870 < mean[LUNG] < -725
    assert 1 < ml(made, GROUND_GLASS, CONSOLIDATION) < 900
    assert 2500 < ml(made, GROUND_GLASS, CONSOLIDATION, LUNG) < 7000
    corner = made.ct[:8, :8]
    assert -1010 < corner.mean() < -990


def test_body_around_the_lungs_holds_fat_muscle_and_bone():
    made = phantom((3.0, 3.0, 5.0), lesions=0)
    body = made.ct[made.labels == 0]
    litres = {
        "fat": ((body > -140) & (body < -60)).sum(),
        "soft": ((body > 0) & (body < 110)).sum(),
        "bone": (body > 200).sum(),
    }
    litres = {k: v * voxel_volume_ml(made.affine) / 1000 for k, v in litres.items()}
    assert 1.5 < litres["fat"] < 9
    assert 5 < litres["soft"] < 14
    assert 0.3 < litres["bone"] < 2


def test_no_lesions_is_a_healthy_chest():
    made = phantom(lesions=0)
    assert set(np.unique(made.labels)) == {0, LUNG}
    assert ml(made, LUNG) == pytest.approx(
        ml(phantom(), GROUND_GLASS, CONSOLIDATION, LUNG), rel=1e-3
    )


def test_lesions_lie_in_the_lungs_of_the_healthy_chest():
    healthy, ill = phantom(lesions=0), phantom()
    lesion = np.isin(ill.labels, (GROUND_GLASS, CONSOLIDATION))
    assert (healthy.labels[lesion] == LUNG).all()
    added = ill.ct[lesion].astype(int) - healthy.ct[lesion]
    assert np.median(added) > 150  # HU


def test_volumes_do_not_depend_on_spacing():
    fine, coarse = phantom((2.0, 2.0, 3.0)), phantom()
    for value, within in ((GROUND_GLASS, 0.04), (CONSOLIDATION, 0.06), (LUNG, 0.01)):
        assert ml(coarse, value) == pytest.approx(ml(fine, value), rel=within)


CODES = ["".join(p) for axes in product("LR", "PA", "IS") for p in permutations(axes)]


def test_there_are_48_orientations():
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("code", CODES)
def test_orientation_turns_the_array_not_the_patient(code, monkeypatch):
    for twigs in ("ARTERY_TWIGS", "VEIN_TWIGS", "AIRWAY_TWIGS"):  # labels do not depend on them
        monkeypatch.setattr(phantom_module, twigs, 2)
    made, usual = phantom((24.0, 24.0, 24.0), code), phantom((24.0, 24.0, 24.0))
    assert orientation(made.affine) == code
    turned = np.transpose(made.labels, [next(i for i, c in enumerate(code) if c in pair)
                                        for pair in ("LR", "PA", "IS")])  # fmt: skip
    flips = [axis for axis, letter in enumerate("LPS") if letter not in code]
    assert np.array_equal(np.flip(turned, flips), usual.labels)
    assert set(np.unique(usual.labels)) >= {0, GROUND_GLASS, LUNG}


def test_sides_are_those_of_the_patient():
    made = phantom((4.0, 4.0, 6.0), "RAS", lesions=0)
    lung = np.argwhere(made.labels == LUNG) @ made.affine[:3, :3].T + made.affine[:3, 3]
    right = lung[:, 0] > 0
    assert right.sum() > 1.05 * (~right).sum()  # the heart takes its place from the left lung
    soft = np.argwhere(made.ct > 250) @ made.affine[:3, :3].T + made.affine[:3, 3]
    middle = soft[np.abs(soft[:, 0]) < 20]
    assert (middle[:, 1] < -40).sum() > 2 * (middle[:, 1] > 40).sum()  # the spine is at the back


def test_oblique_left_handed_grid_shows_the_same_chest():
    angle = np.deg2rad(20)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-4.0, 4.0, 5.0])
    shape = (90, 96, 84)
    affine[:3, 3] = np.array([0.0, -16, -8]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    made = chest_ct_on_grid(shape, affine)
    assert np.linalg.det(made.affine[:3, :3]) < 0
    for values in ((GROUND_GLASS, CONSOLIDATION), (LUNG,)):
        assert ml(made, *values) == pytest.approx(ml(phantom(), *values), rel=0.04)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"spacing_mm": (0.0, 1.0, 1.0)}, "must be positive"),
        ({"shape": (0, 10, 10)}, "must be positive"),
        ({"orientation": "LPX"}, "'LPX' is not a code"),
        ({"orientation": "LRS"}, "'LRS' is not a code"),
        ({"lesions": -1}, "lesions is -1"),
    ],
    ids=["spacing", "shape", "letter", "axis twice", "lesions"],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        chest_ct_phantom(**{"spacing_mm": COARSE, **settings})


def test_shape_cuts_a_part_around_the_centre():
    whole, part = phantom(), chest_ct_phantom(spacing_mm=COARSE, shape=(60, 58, 30))
    assert part.ct.shape == (60, 58, 30)
    assert np.array_equal(part.labels, whole.labels[15:75, 10:68, 11:41])
