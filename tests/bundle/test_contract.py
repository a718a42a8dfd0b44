# SPDX-License-Identifier: Apache-2.0
"""What every shipped bundle must do; a new one gets these tests by lying in `bundles/`.

`check_bundle` says whether files are strict, every `_target_` is there and takes what it is given,
every reference leads somewhere, labels agree and pages are whole; that it finds what is wrong is
tested in tests/sharing.
"""

import os
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from medvol.bundle.build import build_files, stale_files
from medvol.bundle.fields import TASKS
from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.files import read_json
from medvol.sharing.check import check_bundle

BUNDLES = shipped_bundles()

each_bundle = pytest.mark.parametrize("folder", BUNDLES.values(), ids=BUNDLES)


@each_bundle
def test_it_is_clean_as_it_stands(folder: Path) -> None:
    assert list(map(str, check_bundle(folder, run=False))) == []


@pytest.mark.slow
@each_bundle
def test_it_is_clean_when_run(folder: Path) -> None:
    assert list(map(str, check_bundle(folder))) == []


@each_bundle
def test_its_configs_are_what_its_source_gives(folder: Path) -> None:
    assert [path.name for path in stale_files(folder)] == []
    assert {*build_files(folder)} == {*folder.glob("configs/*.json")}


@each_bundle
def test_monai_reads_its_configs_as_they_stand(folder: Path) -> None:
    assert os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] == "1"
    for path in folder.glob("configs/*.json"):
        read = ConfigParser.load_config_file(path)
        assert read.keys() == read_json(path, what="config", remedy="Mend it.").keys()


def test_there_are_bundles_of_each_task() -> None:
    assert {read_spec(name).task for name in BUNDLES} == set(TASKS)
