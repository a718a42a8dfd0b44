# SPDX-License-Identifier: Apache-2.0
"""Telling HU from what only looks like a CT, on phantoms and on real volumes."""

from pathlib import Path

import numpy as np
import pytest
from phantoms import TINY_AFFINE, tiny_chest

from medvol.data.sources.medseg import read as read_medseg
from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.image import Image
from medvol.images.modality import (
    CT,
    GREY,
    OFFSET_CT,
    OTHER,
    SCALED_CT,
    UNIT,
    checked_ct,
    grey_window,
    guess_modality,
    sampled,
)

CHEST = tiny_chest(noise_hu=20).ct.astype(np.float32)
LUNG = tiny_chest().labels > 0

WRONG = {
    "offset": (lambda hu: hu + 1024, OFFSET_CT, "Subtract 1024"),
    "offset-clipped-at-0": (lambda hu: np.clip(hu + 1024, 0, 4095), OFFSET_CT, "Subtract 1024"),
    "grey-0-255": (lambda hu: np.clip((hu + 1350) / 1500, 0, 1) * 255, GREY, "grey / 255"),
    "0-1": (lambda hu: np.clip((hu + 1350) / 1500, 0, 1), UNIT, "value * (high - low)"),
    "offset-subtracted-twice": (lambda hu: hu - 1024, OTHER, "Hounsfield"),
    "thousandth": (lambda hu: hu / 300, OTHER, "Hounsfield"),
    "z-score": (lambda hu: (hu - hu.mean()) / hu.std(), OTHER, "Hounsfield"),
    "abdomen-window": (lambda hu: np.clip(hu, -160, 240), OTHER, "Hounsfield"),
    "half": (lambda hu: hu * 0.5, SCALED_CT, "rescale slope"),
    "three-quarters": (lambda hu: hu * 0.75, SCALED_CT, "rescale slope"),
    "double": (lambda hu: hu * 2.0, OTHER, "Hounsfield"),
    "shift-of-300": (lambda hu: hu + 300, OTHER, "Hounsfield"),
}
RIGHT = {
    "as-it-is": lambda hu: hu,
    "padding--2000": lambda hu: np.where(hu < -950, -2000, hu),
    "padding--3024": lambda hu: np.where(hu < -950, -3024, hu),
    "lung-window": lambda hu: np.clip(hu, -1350, 150),
    "int16": lambda hu: np.rint(hu).astype(np.int16),
    "float64": lambda hu: hu.astype(np.float64),
}


def ct_image(values: np.ndarray, affine: np.ndarray = TINY_AFFINE, **facts: str) -> Image:
    return Image(values, affine, Path("ct.nii.gz"), facts=facts)


@pytest.mark.parametrize("name", RIGHT)
def test_hu_is_accepted(name):
    values = RIGHT[name](CHEST)
    assert guess_modality(values) == CT
    image = ct_image(values)
    assert checked_ct(image).array is values


def test_a_crop_to_the_lungs_is_accepted():
    assert guess_modality(CHEST[6:14, 10:22, 4:12]) == OTHER  # nothing but lung: no vessel here
    assert guess_modality(CHEST[5:14, 10:22, 4:12]) == CT


@pytest.mark.parametrize("mean", [0, -200, -400, -600])
def test_noise_is_refused(mean: float) -> None:
    noise = np.random.default_rng(0).normal(mean, 300, CHEST.shape).astype(np.float32)
    with pytest.raises(InputError, match=r"E_MODALITY .* look like MR or other"):
        checked_ct(ct_image(noise))


@pytest.mark.parametrize("name", WRONG)
def test_other_values_are_refused(name):
    convert, guess, remedy = WRONG[name]
    values = convert(CHEST)
    assert guess_modality(values) == guess
    with pytest.raises(InputError) as caught:
        checked_ct(ct_image(values))
    assert (caught.value.code, caught.value.path) == ("E_MODALITY", "ct.nii.gz")
    assert f"look like {guess}" in caught.value.reason
    assert remedy in caught.value.remedy


def tissue_and_bone(tissue: int, offset: float) -> np.ndarray:
    """1,000 voxels: gas of lungs at 100 different HU, `tissue` of soft tissue, the rest bone."""
    gas = np.linspace(-940, -880, 100)
    hu = np.concatenate([gas, np.full(tissue, 40.0), np.full(900 - tissue, 1000.0)])
    return (hu + offset).reshape(10, 10, 10)


@pytest.mark.parametrize(
    ("tissue", "offset", "guess"),
    [(150, 1024, OFFSET_CT), (149, 1024, OTHER), (2, 0, CT), (1, 0, OTHER)],
    ids=["15 % with an offset", "less with an offset", "0.2 % in HU", "less in HU"],
)
def test_how_much_soft_tissue_a_ct_has(tissue: int, offset: float, guess: str) -> None:
    assert guess_modality(tissue_and_bone(tissue, offset)) == guess


@pytest.mark.parametrize(("air", "guess"), [(20, CT), (19, OTHER)])
def test_how_much_air_a_ct_has(air: int, guess: str) -> None:
    hu = np.concatenate([np.linspace(-1000, -900, air), np.full(1000 - air, 40.0)])
    assert guess_modality(hu.reshape(10, 10, 10)) == guess


def test_the_message_says_what_was_seen():
    grey = np.repeat(np.float32([0, 10, 255]), [100, 800, 100]).reshape(10, 10, 10)
    with pytest.raises(InputError, match="go from 0 to 255, median 10, and look like windowed"):
        checked_ct(ct_image(grey, np.diag([8.0, 8.0, 8.0, 1.0])))


def test_the_dicom_header_outweighs_the_values():
    with pytest.raises(InputError, match=r"E_MODALITY ct.* its DICOM header says MR; a CT is"):
        checked_ct(ct_image(CHEST, Modality="MR"))
    checked_ct(ct_image(CHEST, Modality="CT"))


def test_a_chest_of_36_mm_is_refused() -> None:
    with pytest.raises(InputError, match=r"E_GEOMETRY .* it is 36 x 36 x 64 mm in size, too small"):
        checked_ct(ct_image(CHEST, np.diag([1.125, 1.125, 4.0, 1.0])))
    checked_ct(ct_image(CHEST, np.diag([1.1876, 1.1876, 4.0, 1.0])))  # 38.003 mm


def test_a_shift_is_remarked() -> None:
    image = checked_ct(ct_image(CHEST + 150))
    (note,) = image.notes
    assert note.code == "N_SHIFT"
    assert "gas lies near -840 HU" in note.text or "gas lies near -860 HU" in note.text
    assert checked_ct(ct_image(CHEST)).notes == ()


def test_a_sample_is_a_regular_sub_grid():
    small = np.arange(60).reshape(3, 4, 5)
    np.testing.assert_array_equal(sampled(small), small.ravel())
    large = np.zeros((256, 256, 128), np.int16)  # 42 times 200,000: every 3rd along each axis
    large[::3, ::3, ::3] = 7
    assert np.unique(sampled(large)).tolist() == [7]
    assert sampled(large).size == 86 * 86 * 43


CASES = [
    *(f"ct_radiopaedia/rp{n}_ct.nii.gz" for n in (1, 2, 3, 4, 6, 7, 8, 9)),
    *(f"ct_coronacases/coronacases_{n:03}_ct.nii.gz" for n in (1, 3, 4, 6, 7, 8, 9)),
    "ct_coronacases/radiopaedia_14_85914_0_ct.nii.gz",
    *(f"ct_hounsfield/{name}_ct.nii.gz" for name in ("P001", "P002", "cap001", "normal001")),
    "ct_formats/CTChest4.nrrd",
    "ct_formats/totalseg_example_ct_sm.nii.gz",
    "ct_formats/dicom_P002_z78-89",
]


BURNT_IN = {f"ct_radiopaedia/rp{n}_ct.nii.gz" for n in range(1, 9)}  # corners below any air
SCALES = ("half", "three-quarters", "double", "shift-of-300")  # whatever they are called


@pytest.mark.parametrize("case", CASES)
def test_real_ct(real_data, case):
    image = read_image(real_data / case)
    assert checked_ct(image).notes == image.notes
    hu = image.array[::2, ::2].astype(np.float32)
    for name in RIGHT:
        assert guess_modality(RIGHT[name](hu)) == CT, name
    for name, (convert, guess, _) in WRONG.items():
        if name not in SCALES:
            assert guess_modality(convert(hu)) == guess, name
        elif case not in BURNT_IN:
            assert guess_modality(convert(hu)) != CT, name


@pytest.mark.slow
def test_real_slices_of_sick_lungs(real_data, tmp_path):
    """All 98 MedSeg slices, cropped to the lungs; in some there is hardly any gas."""
    read_medseg(real_data / "ct_medseg_slices", tmp_path)
    paths = sorted(tmp_path.rglob("*_ct.nii.gz"))
    assert len(paths) == 98
    for path in paths:
        image = read_image(path)
        assert checked_ct(image).notes == image.notes


@pytest.mark.parametrize("case", [1, 2, 3, 4, 6, 7, 8, 9])
@pytest.mark.parametrize("fill", [-1024, -2000, 0])
def test_real_lungs_alone(real_data, case, fill):
    folder = real_data / "ct_radiopaedia"
    lung = read_image(folder / f"rp{case}_lung.nii.gz", kind="mask").array > 0
    hu = read_image(folder / f"rp{case}_ct.nii.gz").array
    assert guess_modality(np.where(lung, hu, np.float32(fill))) == CT


@pytest.mark.parametrize("case", ["fla", "t1", "t1c"])
def test_real_mr(real_data, case):
    values = read_image(real_data / "mri_volume_tcga_fg_6692" / f"{case}.nii.gz").array
    assert guess_modality(values) == OTHER


def test_window_of_an_image_without_units() -> None:
    image = np.zeros((10, 10, 10), np.float32)
    image[:5] = 100
    image[9, 9, 9] = 4000  # a vessel: one of 1,000 voxels
    assert grey_window(image) == (0, 100)
    image[0, 0, 0] = -7
    assert grey_window(image) == (-7, 100)


def test_window_of_an_image_that_is_nearly_all_air() -> None:
    image = np.zeros((20, 20, 20), np.float32)
    image[3, 3, 3] = 50
    assert grey_window(image) == (0, 50)
