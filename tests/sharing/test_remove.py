# SPDX-License-Identifier: Apache-2.0
"""Taking away: received bundles, what was left of them, and never anything else."""

import os
from pathlib import Path

import pytest
from packed import bundle_files, digest_of, pack
from refusals import refused_by

from medvol.bundle.find import shipped_bundles
from medvol.bundle.known import known
from medvol.bundle.permission import permit
from medvol.bundle.store import installed, received_folder
from medvol.scratch import machine
from medvol.sharing.receive import receive
from medvol.sharing.remove import Gone, clean, remove, take_away

NOBODY = 2**22 + 1  # no process has this number


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MEDVOL_BUNDLES", raising=False)
    return tmp_path / "home"


def test_one_version_and_all(tmp_path: Path) -> None:
    for version in ("1.0", "1.1", "1.2"):
        receive(pack(tmp_path / "a.zip", bundle_files(version)))
    receive(pack(tmp_path / "a.zip", bundle_files(), name="livers"))
    (gone,) = remove("lungs@1.1")
    size = sum(p.stat().st_size for p in received_folder().glob("lungs/1.0-*/lungs/**/*")
               if p.is_file())  # fmt: skip
    assert gone == Gone("lungs@1.1", size)
    assert [one.what for one in remove("lungs")] == ["lungs@1.0", "lungs@1.2"]
    assert [bundle.title for bundle in installed()] == ["livers@1.0.0"]
    assert not (received_folder() / "lungs").exists()


def test_own_and_shipped_ones_stay(home: Path) -> None:
    own = home / "bundles" / "mine" / "configs"
    own.mkdir(parents=True)
    (own / "metadata.json").write_text("{}")
    for name in ("mine", "covid_ct_lesion_3d"):
        assert "stays in" in refused_by(lambda n=name: remove(n), "E_BUNDLE").remedy
    assert "Received are: none." in refused_by(lambda: remove("nothing"), "E_BUNDLE").remedy
    refused_by(lambda: remove("mine@1.0", forget=True), "E_BUNDLE")
    clean(old=True)
    assert (own / "metadata.json").exists()
    assert "covid_ct_lesion_3d" in shipped_bundles()


def test_old_versions_go_with_a_word(tmp_path: Path) -> None:
    for version in ("1.9", "1.10"):
        receive(pack(tmp_path / "a.zip", bundle_files(version)))
    assert clean() == []
    assert [one.what for one in clean(old=True)] == ["lungs@1.9"]
    assert [bundle.title for bundle in installed()] == ["lungs@1.10"]


def test_what_is_removed_is_not_accepted_any_more(tmp_path: Path) -> None:
    for version in ("1.9", "1.10"):
        path = pack(tmp_path / "a.zip", bundle_files(version))
        folder = receive(path, accepted=digest_of(path)).bundle.folder
        permit(folder)
    old, new = (bundle.digest for bundle in installed())
    assert (known(old) is None, known(new) is None) == (False, False)
    clean(old=True)
    assert (known(old) is None, known(new) is None) == (True, False)
    remove("lungs")
    assert known(new) is None


def test_what_killed_processes_left_goes_and_what_is_in_use_stays(home: Path) -> None:
    quarantine = home / "quarantine"
    left, used = (
        quarantine / f".medvol-{process}-{machine()}-x" for process in (NOBODY, os.getpid())
    )
    for folder in (left, used):
        (folder / "lungs").mkdir(parents=True)
        (folder / "lungs" / "x").write_bytes(bytes(1000))
        (folder / "lungs").chmod(0o555)
    strange = received_folder() / "lungs" / "1.0-0123456789ab"
    strange.mkdir(parents=True)
    (gone, other) = sorted(clean(), key=lambda one: one.size, reverse=True)
    assert gone == Gone("something in quarantine", 1000)
    assert str(gone) == "something in quarantine removed (0.0 MB)"
    assert other.what == "lungs/1.0-0123456789ab, which was not received whole,"
    assert not left.exists()
    assert used.exists()
    assert not strange.parent.exists()
    take_away(used)


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "kept")
    for name in ("link", "folder", "none"):
        take_away(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["kept"]
