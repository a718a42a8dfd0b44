# SPDX-License-Identifier: Apache-2.0
"""Refusals and notes: one line each, whatever a file is called."""

import pickle
from pathlib import Path

import pytest

from medvol.codes import ERROR_CODES, NOTE_CODES
from medvol.errors import InputError, Note, refusal_behind, require


def test_code_file_reason_and_remedy_in_one_line() -> None:
    error = InputError("E_EMPTY", Path("scans") / "ct.nii.gz", "it has 0 bytes.", "Copy it again.")
    assert str(error) == "E_EMPTY scans/ct.nii.gz: it has 0 bytes. Copy it again."
    assert (error.code, error.path) == ("E_EMPTY", "scans/ct.nii.gz")
    assert (error.reason, error.remedy) == ("it has 0 bytes.", "Copy it again.")


def test_a_name_with_line_breaks_and_escape_codes_stays_one_harmless_line() -> None:
    error = InputError("E_PATH", "a\nb\x1b[31m\u202e.nii", "no such file.", "Check it.")
    assert str(error) == r"E_PATH a\nb\x1b[31m\u202e.nii: no such file. Check it."


def test_names_in_other_scripts_are_printed_as_they_are() -> None:
    assert "Röntgen 胸部.nii" in str(InputError("E_PATH", "Röntgen 胸部.nii", "x.", "y."))


def test_a_name_that_is_no_utf8_can_be_printed() -> None:
    line = str(InputError("E_PATH", b"ct\xff.nii".decode("utf-8", "surrogateescape"), "x.", "y."))
    assert line == r"E_PATH ct\udcff.nii: x. y."
    line.encode("utf-8")


def test_it_survives_another_process() -> None:
    error = InputError("E_DIMS", "a.nii", "it is 2D.", "Give 3D.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code, again.path) == (str(error), "E_DIMS", "a.nii")


def test_an_unknown_code_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="unknown error code 'E_ODD'; allowed are E_PATH, E_EMPTY"):
        InputError("E_ODD", "a.nii", "x.", "y.")


def test_codes_tell_their_kind_and_cannot_be_changed() -> None:
    assert all(code.startswith("E_") for code in ERROR_CODES)
    assert all(code.startswith("N_") for code in NOTE_CODES)
    with pytest.raises(TypeError):
        ERROR_CODES["E_NEW"] = ERROR_CODES["E_PATH"]  # type: ignore[index]


def test_a_note_reads_as_code_and_text() -> None:
    assert str(Note("N_UNITS", "metres were scaled.")) == "N_UNITS metres were scaled."
    assert [*Note("N_UNITS", "x")] == ["N_UNITS", "x"]


def test_a_refusal_is_found_behind_what_wraps_it_and_before_what_caused_it() -> None:
    refusal = InputError("E_BUNDLE", "gate.pt", "it cannot be read.", "Copy it.")
    refusal.__cause__, wrapper = FileNotFoundError(2, "x"), RuntimeError("applying transform")
    wrapper.__cause__ = refusal
    assert refusal_behind(wrapper) is refusal
    assert refusal_behind(refusal) is refusal
    assert refusal_behind(refusal.__cause__) is None


def test_a_package_that_is_there_is_given() -> None:
    assert require("json", feature="reading", install="json").dumps([1]) == "[1]"


def test_a_missing_package_is_named_with_feature_and_command() -> None:
    with pytest.raises(ImportError) as caught:
        require("no_such_package", feature="Drawing curves", install="medvol[train]")
    assert str(caught.value) == (
        "Drawing curves needs the package 'no_such_package'; "
        "install it with: pip install 'medvol[train]'"
    )
