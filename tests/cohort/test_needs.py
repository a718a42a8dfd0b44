# SPDX-License-Identifier: Apache-2.0
"""What a unit needs is what others of its bundle took."""

import pytest

from medvol.cohort.needs import Needs
from medvol.cohort.plan import Unit


def unit(case: str, size: int, bundle: str = "lungs") -> Unit:
    return Unit(case, f"{case}.nii.gz", bundle, size_bytes=size)


# in any order; one that is larger took less, and a bundle has no figures
MEASURED = [(unit("c", 400), 500), (unit("a", 100), 300), (unit("b", 200), 600),
            (unit("x", 50, "brain"), 0)]  # fmt: skip


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [
        (1, 360),  # 1.2 x 300 of the smallest that was measured
        (100, 360),
        (101, 720),  # as 200
        (300, 720),  # as 400, which took no more than 200, so that counts
        (800, 1440),  # twice the largest, twice the most
        (0, 720),  # unknown: as the largest
    ],
)
def test_a_unit_needs_what_a_measured_one_that_is_no_smaller_took(size: int, bytes_: int) -> None:
    assert Needs(MEASURED).bytes_of(unit("d", size)) == bytes_


def test_of_a_bundle_that_was_not_measured_nothing_is_known() -> None:
    assert Needs(MEASURED).bytes_of(unit("d", 100, "brain")) == 0
    assert Needs([]).bytes_of(unit("d", 100)) == 0
    assert Needs([(unit("a", 0), 100)]).bytes_of(unit("d", 7)) == 120  # sizes are not known


def test_of_several_that_are_as_large_the_one_that_took_most_counts() -> None:
    needs = Needs([(unit("a", 100), 900), (unit("b", 100), 300), (unit("c", 100), 600)])
    assert needs.bytes_of(unit("d", 100)) == needs.bytes_of(unit("d", 40)) == 1080
