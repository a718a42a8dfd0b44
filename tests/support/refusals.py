# SPDX-License-Identifier: Apache-2.0
"""Asserting that an input is refused with code, file, reason and remedy; disks that fail."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any

import pytest

from medvol.errors import InputError
from medvol.images import read_image


def refused(
    path: str | PathLike[str],
    code: str,
    reason: str,
    remedy: str,
    *,
    names: str | PathLike[str] | None = None,
    **options: Any,
) -> InputError:
    """Load an image; it must be refused with this code and these words, naming the file.

    `names` is the file at fault when it is another than `path`.
    """
    with pytest.raises(InputError) as caught:
        read_image(path, **options)
    error = caught.value
    assert (error.code, error.path) == (code, fspath(names or path))
    assert reason in error.reason, error.reason
    assert remedy in error.remedy, error.remedy
    assert "\n" not in str(error)
    return error


def refused_by(call: Callable[[], Any], code: str) -> InputError:
    """Call something; it must refuse with this code, in one line."""
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code, str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def children_s() -> float:
    """Seconds that all processes started here have worked: other programs do not slow it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def full_disk(limit_bytes: int = 400) -> Iterator[None]:
    """No file can grow past the limit, so that writing fails half-way as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
