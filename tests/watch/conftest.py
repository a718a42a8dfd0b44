# SPDX-License-Identifier: Apache-2.0
"""A tiny bundle for all tests of this folder."""

from pathlib import Path

import pytest
from tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")
