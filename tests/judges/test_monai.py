# SPDX-License-Identifier: Apache-2.0
"""Every shipped bundle before MONAI's own tools and the demands of the model zoo, from anywhere.

`scripts/judges.sh` runs them in other environments too, with MONAI Label and MONAI Deploy.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from judges.bundle_in_federation import copy_for_a_lab, federated
from judges.bundle_in_monai import CHECKS, verify_metadata, zoo_files
from tiny_bundle import SHIPPED, tiny_bundle

import medvol.sharing
from medvol.bundle.find import shipped_bundles
from medvol.cli import main

SCHEMA = Path(medvol.sharing.__file__).with_name("metadata_schema.json")
BUNDLES = shipped_bundles()
each_bundle = pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
# MONAI says at every run that a config can run code; logging.conf is left out on purpose
pytestmark = [
    pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*execut:UserWarning"),
    pytest.mark.filterwarnings("ignore:Default logging file:UserWarning"),
]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@each_bundle
def test_it_passes(
    check: Any, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    before = sorted(bundle.rglob("*"))
    check(bundle, SCHEMA, tmp_path)
    assert sorted(bundle.rglob("*")) == before


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, folder / SHIPPED.name))


def test_the_judges_find_what_is_wrong(tmp_path: Path) -> None:
    bundle = copied(tmp_path)
    metadata = bundle / "configs" / "metadata.json"
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(text.replace('"changelog": {', '"changelog": {}, "older": {'))
    with pytest.raises(ValueError, match="not in the changelog"):
        zoo_files(bundle, SCHEMA, tmp_path)
    metadata.write_text(text.replace('"task":', '"tasks":'))
    with pytest.raises(ValueError, match="'task' is a required property"):
        verify_metadata(bundle, SCHEMA, tmp_path)
    metadata.write_text(text)
    (bundle / "LICENSE").unlink()
    with pytest.raises(ValueError, match=r"missing \['LICENSE'\]"):
        zoo_files(bundle, SCHEMA, tmp_path)


def test_a_lab_with_two_cases_takes_part_in_a_federation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cases that come once are fewer than a batch, and an epoch all the same.

    The weights of the copy are of another network: what is measured is what the server sent.
    """
    data = tmp_path / "data"
    assert (
        main(["data", "phantom", "-o", str(data), "--count", "2", "--spacing", "6", "6", "8"]) == 0
    )
    monkeypatch.chdir(tmp_path)
    small = {
        "patch_size": [32, 32, 16], "crop_size": [32, 32, 16], "spacing_mm": [6.0, 6.0, 8.0],
        "network_def#features": [4, 8, 8, 8, 8], "batch_size": 4,
    }  # fmt: skip
    copy = copy_for_a_lab(tiny_bundle(tmp_path / "tiny"), data, tmp_path / "lab", **small)
    found = federated(copy)
    assert 0 <= found["lesion_dice"] <= 1
    assert found["weights"] > 0
