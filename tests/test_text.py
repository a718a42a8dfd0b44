# SPDX-License-Identifier: Apache-2.0
"""Numbers and tables as readers see them."""

import pytest

from medvol.text import aligned, digits, hu_text, minus, ml_text, percent_text


def test_numbers_for_readers() -> None:
    assert [ml_text(v) for v in (0, 0.004, 0.27, 43.21, 4913.4)] == [
        "0.00",
        "< 0.01",
        "0.27",
        "43.2",
        "4,913",
    ]
    assert [hu_text(v) for v in (None, -569.6, 12.2)] == ["–", "−570", "12"]
    assert [percent_text(v) for v in (None, 0, 0.04, 12.37)] == ["–", "0.0", "< 0.1", "12.4"]


def test_decimals_change_at_their_limits() -> None:
    volumes = (0.0099, 0.01, 9.99, 10.0, 10.5, 999.9, 1000.0, 1000.5)
    assert [ml_text(v) for v in volumes] == [
        "< 0.01", "0.01", "9.99", "10.0", "10.5", "999.9", "1,000", "1,000"
    ]  # fmt: skip
    assert [percent_text(v) for v in (0.09, 0.1, 0.5, 1.1)] == ["< 0.1", "0.1", "0.5", "1.1"]


def test_numbers_for_programs() -> None:
    assert [digits(v) for v in (None, 0.0, 1234567.0, 1.5e-9)] == [
        "",
        "0",
        "1.23457e+06",
        "1.5e-09",
    ]
    assert minus("z -1.5 mm") == "z −1.5 mm"


def test_columns_stand_below_each_other() -> None:
    rows = [("fold", "patients", "part"), ("0", "7", "test"), ("all", "1,234", "")]
    assert aligned(rows).splitlines() == [
        "fold  patients  part",
        "0     7         test",
        "all   1,234",
    ]
    assert aligned(rows, right=[1]).splitlines()[2] == "all      1,234"
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        aligned([("a", "b"), ("c",)])
