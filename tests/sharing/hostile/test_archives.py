# SPDX-License-Identifier: Apache-2.0
"""No hostile archive leaves anything, inside or outside the quarantine, and each is said why."""

import re
from pathlib import Path

import pytest
from sharing.hostile.in_archives import CASES, NAME
from sharing.hostile.kit import zipped
from tiny_bundle import tiny_bundle

from medvol.errors import InputError
from medvol.sharing.archive import quarantined


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("good")
    (tiny_bundle(folder / NAME) / "docs").mkdir()
    (folder / NAME / "docs" / "README.md").write_text("A bundle that somebody sent.\n")
    return zipped(folder / NAME, folder / f"{NAME}.zip").read_bytes()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_good_one_is_unpacked(good: bytes, home: Path, tmp_path: Path) -> None:
    (tmp_path / "gift.zip").write_bytes(good)
    with quarantined(tmp_path / "gift.zip") as folder:
        assert folder.is_relative_to(home / "quarantine")
        assert (folder / "configs" / "inference.json").is_file()
    assert [*(home / "quarantine").iterdir()] == []


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile's, of what is written
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_archive_leaves_nothing(
    name: str, good: bytes, home: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "gift.zip"
    path.write_bytes(CASES[name].change(good, mark))
    with pytest.raises(InputError) as caught, quarantined(path):
        pass
    assert re.search(CASES[name].reason, caught.value.reason)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gift.zip", "home"]
    assert [*(home / "quarantine").iterdir()] == []
