# SPDX-License-Identifier: Apache-2.0
"""Warnings are hidden while any thread wants it, and shown as before when none does."""

import warnings
from threading import Event, Thread

import pytest

from medvol.quiet import quiet, quiet_readers

PATIENCE_S = 60.0


def test_two_threads_hide_warnings_until_both_have_ended() -> None:
    first_ended, second_began, second_ends = Event(), Event(), Event()
    raised: list[Warning] = []

    def second() -> None:
        with quiet():
            second_began.set()
            first_ended.wait(PATIENCE_S)
            try:
                warnings.warn("odd value", stacklevel=1)  # an error where it is shown
            except UserWarning as warning:
                raised.append(warning)
            second_ends.wait(PATIENCE_S)

    before = [*warnings.filters]
    thread = Thread(target=second)
    with quiet():
        thread.start()
        assert second_began.wait(PATIENCE_S)
    first_ended.set()
    second_ends.set()
    thread.join()
    assert raised == []
    assert warnings.filters == before
    with pytest.raises(UserWarning, match="odd value"):
        warnings.warn("odd value", stacklevel=1)


def test_what_is_raised_inside_shows_them_again() -> None:
    before = [*warnings.filters]
    with pytest.raises(KeyError), quiet(), quiet():
        raise KeyError
    assert warnings.filters == before


def test_pydicom_says_nothing_of_odd_files() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quiet_readers()
        for module in ("pydicom", "pydicom.valuerep", "pydicomics"):
            warnings.warn_explicit("odd value", UserWarning, "file.py", 1, module=module)
    assert len(said) == 1
