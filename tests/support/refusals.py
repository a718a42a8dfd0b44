# SPDX-License-Identifier: Apache-2.0
"""Asserting that an input is refused as `input_errors` promise: code, file, reason, remedy."""

from collections.abc import Callable
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
