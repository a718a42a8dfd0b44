# SPDX-License-Identifier: Apache-2.0
"""From grey to HU by two tissues, worked by hand; spacing by the size of lungs."""

import numpy as np
import pytest

from medvol.data.grey_ct import grey_to_hu, lung_box_spacing_mm, soft_tissue_grey


def picture(**pixels: int) -> np.ndarray:
    """Greys by name `g<grey>` with how many pixels each has."""
    return np.concatenate([np.full(n, int(name[1:]), np.uint8) for name, n in pixels.items()])


def test_two_tissues_give_the_line() -> None:
    grey = picture(g30=100, g210=80, g120=10, g183=20)
    hu = dict(zip(grey.tolist(), grey_to_hu(grey).tolist(), strict=True))
    # 970 HU over 180 greys
    assert hu == {30: -930, 210: 40, 120: -445, 183: -106}


def test_the_dark_end_is_a_low_percentile_of_what_is_darker_than_soft_tissue() -> None:
    # 200 pixels are lung; the third percentile lies at 5.97 of them, among the 10 of airway
    grey = picture(g20=10, g60=190, g200=500)
    assert grey_to_hu(np.array([20, 200], np.uint8).repeat([1, 1])).tolist() == [-930, 40]
    assert sorted(set(grey_to_hu(grey).tolist())) == [-930, round(40 - 140 * 970 / 180), 40]


def test_borders_and_what_the_window_cut_off_do_not_count() -> None:
    plain = picture(g30=100, g210=80)
    marked = np.concatenate([plain, picture(g0=500, g255=500)])
    assert grey_to_hu(marked)[: len(plain)].tolist() == grey_to_hu(plain).tolist()


def test_soft_tissue_beyond_the_window_is_at_its_end() -> None:
    assert soft_tissue_grey(picture(g30=100, g225=20, g251=300)) >= 250
    assert soft_tissue_grey(picture(g30=100, g225=200, g251=20)) == 225


def test_a_picture_without_lung_is_refused() -> None:
    with pytest.raises(ValueError, match="shows no lung"):
        grey_to_hu(picture(g200=100, g180=10))


def test_a_slice_is_as_large_as_lungs_allow() -> None:
    assert lung_box_spacing_mm(550, 300) == 0.5  # by its width
    assert lung_box_spacing_mm(100, 480) == 0.5  # by its depth
