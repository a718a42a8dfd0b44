# SPDX-License-Identifier: Apache-2.0
"""What the system raises becomes a refusal with a code, the file and a remedy."""

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from medvol.errors import InputError
from medvol.failures import (
    failure,
    of_the_system,
    out_of_memory,
    raised_by_us,
    refusing,
    write_error,
)
from medvol.labels import match_names


def said(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (said(errno.ENOENT, "a/b.nii"), "E_PATH", "no such file or folder."),
        (said(errno.EACCES, "a/b.nii"), "E_PATH", "not look into a folder above it."),
        (
            said(errno.ENAMETOOLONG, "a/b.nii"),
            "E_PATH",
            "it cannot be opened (File name too long).",
        ),
        (said(errno.ELOOP, "a/b.nii"), "E_PATH", "it cannot be opened (Too many levels"),
        (said(errno.ESTALE, "a/b.nii"), "E_PATH", "network share does not answer (Stale"),
        (said(errno.ENOTCONN, "a/b.nii"), "E_PATH", "does not answer (Transport endpoint"),
        (said(errno.EIO, "a/b.nii"), "E_PATH", "does not answer (Input/output error)"),
        (said(errno.ENOSPC, "a/b.nii"), "E_NOSPACE", "could not be written (No space left"),
        (said(errno.EROFS, "a/b.nii"), "E_NOSPACE", "could not be written (Read-only"),
        (said(errno.EMFILE, "a/b.nii"), "E_FAILED", "OSError: [Errno 24] Too many open files"),
    ],
)
def test_the_system_names_the_file(error: OSError, code: str, words: str) -> None:
    refusal = failure(error, "case")
    assert (refusal.code, refusal.path) == (code, "case" if code == "E_FAILED" else "a/b.nii")
    assert words in refusal.reason


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "Free some space, or "), (errno.EROFS, "Choose another output folder."),
     (errno.EACCES, "Ask for permission, close it in other programs, or ")],
)  # fmt: skip
def test_the_remedy_of_what_cannot_be_written(number: int, remedy: str) -> None:
    assert write_error("out", said(number)).remedy.startswith(remedy)


def test_a_file_that_is_not_named_is_what_was_worked_on() -> None:
    assert failure(said(errno.ENOSPC), "case").path == "case"


def test_memory_that_ends_is_too_big() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty((1 << 62,), np.uint8)
    assert failure(caught.value, "ct.nii").code == "E_TOO_BIG"
    of_torch = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
    assert out_of_memory(of_torch)
    assert out_of_memory(type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."))
    assert out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert out_of_memory(said(errno.ENOMEM))
    assert out_of_memory(ImportError("libtorch.so: failed to map segment from shared object"))
    assert not out_of_memory(RuntimeError("shapes differ"))


def test_what_monai_wraps_is_still_what_the_system_said() -> None:
    for inner, code in ((MemoryError(), "E_TOO_BIG"), (said(errno.ESTALE, "a.nii"), "E_PATH")):
        wrapper = RuntimeError("applying transform")
        wrapper.__cause__ = inner
        assert of_the_system(wrapper)
        assert failure(wrapper, "ct.nii").code == code
    assert not of_the_system(said(errno.ENOENT))


def test_anything_else_says_what_and_where() -> None:
    with pytest.raises(ValueError, match="have no") as caught:
        match_names({1: "a"}, {2: "b"}, {"c": "b"})
    refusal = failure(caught.value, "ct.nii")
    assert refusal.code == "E_FAILED"
    assert refusal.reason.startswith("ValueError: ")
    assert "(at medvol.labels:" in refusal.reason
    assert "MEDVOL_DEBUG=1" in refusal.remedy
    with pytest.raises(ZeroDivisionError) as other:
        _ = 1 / 0
    assert f"(at {__name__}:" in failure(other.value, "ct.nii").reason
    assert failure(KeyError(), "ct.nii").reason == "KeyError (at unknown)."


def test_who_raised_it() -> None:
    with pytest.raises(ValueError, match="have no") as ours:
        match_names({1: "a"}, {2: "b"}, {"c": "b"})
    with pytest.raises(ValueError, match="invalid literal") as other:
        int("x")
    assert raised_by_us(ours.value)
    assert not raised_by_us(other.value)
    assert not raised_by_us(ValueError())


def test_a_refusal_stays_as_it_is_and_is_found_behind_what_wraps_it() -> None:
    refusal = InputError("E_EMPTY", "a", "it has 0 bytes.", "Copy it.")
    wrapper = RuntimeError("applying transform")
    wrapper.__cause__ = refusal
    assert failure(wrapper, "case") is refusal
    with pytest.raises(InputError) as caught, refusing("case"):
        raise refusal
    assert caught.value is refusal
    with pytest.raises(InputError, match="E_FAILED case: KeyError: 'x'"), refusing("case"):
        raise KeyError("x")
    with pytest.raises(InputError, match="E_FAILED case: SystemExit: 3"), refusing("case"):
        sys.exit(3)


def test_the_traceback_is_shown_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail() -> None:
        with refusing("case"):
            (tmp_path / "none").read_bytes()

    with pytest.raises(InputError, match="E_PATH"):
        fail()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MEDVOL_DEBUG", "1")
    with pytest.raises(InputError, match="E_PATH"):
        fail()
    assert "Traceback" in capsys.readouterr().err
