# SPDX-License-Identifier: Apache-2.0
"""Where gas and tissue lie in made and real CTs, and a slice that contradicts its neighbours."""

from pathlib import Path

import numpy as np
import pytest
from phantoms import tiny_chest

from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.hounsfield import are_neighbours_alike, check_slices, levels_of

CHEST = tiny_chest(noise_hu=20).ct.astype(np.float32)
PATH = Path("ct.nii.gz")


def levels(values: np.ndarray):
    return levels_of(values.astype(np.float32).ravel())


def test_levels_of_a_chest() -> None:
    found = levels(CHEST)  # air at -1000, tissue at 40, both with a spread of 20
    assert (found.gas, found.tissue, found.beyond) == (pytest.approx(-1000, abs=20), 40, False) or (
        found.tissue in (30, 50)
    )
    assert found.darkest == pytest.approx(-1000 - 2.3 * 20, abs=8)  # the normal's lowest 1 %
    assert found.are_hu
    assert found.notes() == []


@pytest.mark.parametrize(
    ("slope", "are_hu", "noted"),
    [(0.5, False, True), (0.76, False, True), (0.80, True, True), (1, True, False),
     (1.12, True, True), (1.25, False, True), (2, False, True)],
)  # fmt: skip
def test_a_scale_moves_the_gas(slope: float, are_hu: bool, noted: bool) -> None:
    found = levels(CHEST * slope)
    assert found.are_hu == are_hu
    if are_hu:
        assert bool(found.notes()) == noted


@pytest.mark.parametrize(
    ("shift", "are_hu", "codes"),
    [(-300, False, None), (-150, True, ["N_SHIFT"]), (-60, True, []), (60, True, []),
     (150, True, ["N_SHIFT"]), (300, False, None)],
)  # fmt: skip
def test_a_shift_is_remarked_or_refused(shift: int, are_hu: bool, codes: list[str] | None) -> None:
    found = levels(CHEST + shift)
    assert found.are_hu == are_hu
    assert codes is None or [note.code for note in found.notes()] == codes


@pytest.mark.parametrize(
    ("slope", "are_hu", "noted"),
    [(0.5, False, True), (0.7, False, True), (0.85, True, True), (0.95, True, False),
     (1.05, True, False), (1.1, True, True), (1.25, False, True), (2, False, True)],
)  # fmt: skip
def test_a_scale_of_what_was_stored_moves_the_tissue(
    slope: float, are_hu: bool, noted: bool
) -> None:
    """Stored numbers count from -1024: air stays where it is, and tissue, at 40, does not."""
    found = levels((CHEST + 1024) * slope - 1024)
    assert found.are_hu == are_hu
    if are_hu:
        assert bool(found.notes()) == noted


def test_vessels_in_contrast_and_lungs_cut_out_are_no_scale() -> None:
    bright = np.where((CHEST > 0) & (np.random.default_rng(1).random(CHEST.shape) < 0.3), 300, 0)
    found = levels(CHEST + bright)
    assert found.are_hu
    assert found.notes() == []
    lungs = np.where((CHEST > -950) & (CHEST < -500), CHEST, -1024)
    assert levels(lungs).are_hu  # no tissue, and no air but one value all around


def test_a_shift_down_that_was_cut_at_the_lowest_value() -> None:
    (note,) = levels(np.maximum(CHEST - 150, -1024)).notes()
    assert "soft tissue near -1" in note.text


@pytest.mark.parametrize("fill", [-2000, -3024, -32768])
def test_padding_is_not_looked_at(fill: int) -> None:
    padded = CHEST.copy()
    padded[:3] = fill
    assert levels(padded).are_hu
    assert levels(padded).notes() == []


def test_noise_is_not_alike_beside_itself() -> None:
    noise = np.random.default_rng(0).normal(-600, 300, (30, 30, 30))
    assert not are_neighbours_alike(noise, 1)
    smooth = noise.copy()
    smooth[1:] += noise[:-1]  # neighbours share half: correlation 0.5
    assert are_neighbours_alike(smooth, 1)
    weak = noise.copy()
    weak[1:] += noise[:-1] * 0.2  # 0.2 / 1.04 = 0.19
    assert not are_neighbours_alike(weak, 1)
    assert are_neighbours_alike(CHEST, 1)


def changed_slice(k: int, change) -> np.ndarray:
    volume = CHEST.copy()
    volume[:, :, k] = change(volume[:, :, k])
    return volume


@pytest.mark.parametrize("k", [0, 1, 7, 15])
def test_a_slice_of_another_slope(k: int) -> None:
    steep = changed_slice(k, lambda hu: (hu + 1024) * 4 - 1024)
    with pytest.raises(InputError, match=rf"E_VALUES .*: slice {k + 1} of 16 differs"):
        check_slices(steep, PATH)
    check_slices(CHEST, PATH)


@pytest.mark.parametrize(("shift", "refused"), [(170, False), (230, True)])
def test_a_slice_that_is_shifted(shift: int, refused: bool) -> None:
    flat = np.repeat(CHEST[:, :, :1], 5, axis=2)
    flat[:, :, 2] += shift
    if refused:
        with pytest.raises(InputError, match=f"slice 3 of 5 .* by {shift} HU in the mean"):
            check_slices(flat, PATH)
    else:
        check_slices(flat, PATH)


@pytest.mark.parametrize(("shift", "refused"), [(190, False), (210, True)])
def test_a_part_that_is_shifted(shift: int, refused: bool) -> None:
    flat = np.repeat(CHEST[:, :, :1], 6, axis=2)
    flat[:, :, 4:] += shift
    if refused:
        with pytest.raises(InputError, match="HU or more between slices 4 and 5 of 6"):
            check_slices(flat, PATH)
    else:
        check_slices(flat, PATH)


def test_a_body_that_begins_is_no_part() -> None:
    body = np.full((24, 24, 12), -1000, np.float32)
    body[:2] -= 20  # all of it air
    body[2:22, 2:22, 5:] = 40
    check_slices(body, PATH)


def test_an_empty_slice() -> None:
    with pytest.raises(InputError, match=r"slice 8 of 16 has one value everywhere \(-1024\)"):
        check_slices(changed_slice(7, lambda hu: hu * 0 - 1024), PATH)
    check_slices(changed_slice(0, lambda hu: hu * 0 - 1024), PATH)  # padding at the end
    check_slices(changed_slice(15, lambda hu: hu * 0), PATH)


def test_values_that_no_metal_has() -> None:
    metal = changed_slice(4, lambda hu: np.where(hu > 90, 32767, hu))
    check_slices(metal, PATH)
    with pytest.raises(
        InputError, match=r"E_MODALITY .* slice 5 of 16 holds 64000; no HU is above"
    ):
        check_slices(changed_slice(4, lambda hu: np.where(hu > 90, 64000, hu)), PATH)


def test_a_thorax_in_two_or_three_slices() -> None:
    for count in (2, 3):
        check_slices(CHEST[:, :, 3 : 3 + count], PATH)


def test_real_series(real_data: Path) -> None:
    hu = read_image(real_data / "ct_formats" / "dicom_P002_z78-89").array
    check_slices(hu, PATH)
    odd = hu.copy()
    odd[:, :, 5] = (odd[:, :, 5] + 1024) * 4 - 1024
    with pytest.raises(InputError, match="slice 6 of 12 differs"):
        check_slices(odd, PATH)
