# SPDX-License-Identifier: Apache-2.0
"""A tiny bundle, and cohorts whose images are words for `cohort_work`."""

from functools import partial
from pathlib import Path

import pytest
from cohort_work import MakeCohort, cohort_of
from tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")


@pytest.fixture
def make_cohort(bundle: Path, tmp_path: Path) -> MakeCohort:
    return partial(cohort_of, tmp_path, bundle)
