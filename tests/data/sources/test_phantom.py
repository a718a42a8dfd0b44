# SPDX-License-Identifier: Apache-2.0
"""Phantoms as a data set: a case, a person and a fold each."""

import pytest

from medvol.data.sources.phantom import read


def test_set_lists_one_person_a_case(tmp_path):
    datalist = read(tmp_path, count=2, seed=5, spacing=(8.0, 8.0, 12.0))
    assert [(r["case"], r["patient"]) for r in datalist.parts["training"]] == [
        ("phantom_005", "phantom_005"), ("phantom_006", "phantom_006")
    ]  # fmt: skip
    assert sorted(r["fold"] for r in datalist.parts["training"]) == [0, 1]
    with pytest.raises(ValueError, match="count is 0"):
        read(tmp_path, count=0)
