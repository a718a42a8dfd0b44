# SPDX-License-Identifier: Apache-2.0
"""Names of cases: the suffix of the format goes, every other dot stays."""

from pathlib import Path

import pytest

from medvol.images.naming import case_name, unused_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("scans/ct.nii.gz", "ct"),
        ("CT.NII.GZ", "CT"),
        ("a.b.mha", "a.b"),
        ("study.zip", "study"),
        ("1.2.840.10", "1.2.840.10"),
        ("scans/1.2.840.11/", "1.2.840.11"),
        (".nii", ".nii"),
        ("scans/pa.DCM", "pa"),
        ("scans/a/..", "scans"),
    ],
)
def test_case_name(path: str, name: str) -> None:
    assert case_name(path) == case_name(Path(path)) == name


def test_a_name_that_is_taken_gets_the_next_number() -> None:
    taken: set[str] = set()
    for expected in ("ct", "ct_2", "ct_3"):
        assert unused_name("ct", taken) == expected
        taken.add(expected)
    assert unused_name("ct_2", taken) == "ct_2_2"
