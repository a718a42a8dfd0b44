# SPDX-License-Identifier: Apache-2.0
"""Processes of this folder's tests have torch and MONAI loaded when they start."""

from collections.abc import Iterator

import pytest
from warm_python import warm_children


@pytest.fixture(scope="module", autouse=True)
def warm_processes(forked_python: str) -> Iterator[None]:
    with warm_children(forked_python):
        yield
