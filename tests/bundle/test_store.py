# SPDX-License-Identifier: Apache-2.0
"""The list of received bundles: names, versions, what is still the same, what is refused."""

import json
import multiprocessing
from pathlib import Path

import pytest
from refusals import refused_by

from medvol.audit.verdict import Level
from medvol.bundle import store
from medvol.bundle.find import all_bundles, find_bundle, shipped_bundles
from medvol.bundle.listing import listed
from medvol.bundle.permission import changing
from medvol.bundle.store import Installed, Seen, changing_store, installed_bundle, verify
from medvol.manifest import manifest_of


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MEDVOL_BUNDLES", raising=False)
    return tmp_path / "home"


def receive(name: str, version: str, *, key: str | None = None) -> Installed:
    """A bundle of two files where a received one lies, and its entry."""
    root = Path(store.received_folder(), name, "new", name)
    (root / "configs").mkdir(parents=True)
    (root / "configs" / "metadata.json").write_text(json.dumps({"version": version}))
    (root / "LICENSE").write_text("free")
    manifest = manifest_of(root)
    (root / "manifest.json").write_bytes(manifest.canonical)
    bundle = Installed(name, version, manifest.digest, Level.A, None, key, False, "2026-01-01")
    root.parent.rename(bundle.folder.parent)
    with changing_store() as holder:
        holder[0] = holder[0]._replace(bundles=(*holder[0].bundles, bundle))
    return bundle


def test_nothing_is_there_before_something_was_received(home: Path) -> None:
    assert store.installed() == []
    assert installed_bundle("lungs") is None
    assert not home.exists()


def test_names_and_versions() -> None:
    new, old = receive("lungs", "1.10.0"), receive("lungs", "1.9.0")
    other = receive("livers", "0.1")
    assert store.installed() == [other, old, new]
    assert store.newest() == [other, new]
    assert installed_bundle("lungs") == installed_bundle("lungs@1.10.0") == new
    assert installed_bundle("lungs@1.9.0") == old
    assert installed_bundle("lungs@2.0.0") is None
    assert find_bundle("lungs") == new.folder
    assert find_bundle("lungs@1.9.0") == old.folder
    assert (new.folder.name, new.title) == ("lungs", "lungs@1.10.0")
    remedy = refused_by(lambda: find_bundle("lungs@3"), "E_BUNDLE").remedy
    assert remedy == "Received are lungs@1.9.0, lungs@1.10.0."


def test_own_comes_before_received_before_shipped(home: Path) -> None:
    name = "covid_ct_lesion_3d"
    assert find_bundle(name) == shipped_bundles()[name]
    received = receive(name, "9.0.0")
    assert find_bundle(name) == all_bundles()[name] == received.folder
    own = home / "bundles" / name
    (own / "configs").mkdir(parents=True)
    (own / "configs" / "metadata.json").write_text("{}")
    assert find_bundle(name) == own
    assert find_bundle(f"{name}@9.0.0") == received.folder


def test_a_folder_is_known_by_its_place(tmp_path: Path) -> None:
    bundle = receive("lungs", "1.0.0")
    (tmp_path / "link").symlink_to(bundle.folder)
    assert store.installed_at(bundle.folder) == store.installed_at(tmp_path / "link") == bundle
    assert store.installed_at(tmp_path) is None
    refused_by(lambda: store.installed_at(bundle.folder / "configs"), "E_UNTRUSTED")


def test_what_was_changed_is_refused_by_name() -> None:
    bundle = receive("lungs", "1.0.0")
    verify(bundle)
    (bundle.folder / "LICENSE").write_text("fred")
    error = refused_by(lambda: verify(bundle), "E_UNTRUSTED")
    assert "LICENSE is not what its manifest says." in error.reason
    assert "medvol bundle remove lungs@1.0.0" in error.remedy
    (bundle.folder / "more.py").write_text("")
    error = refused_by(lambda: verify(bundle), "E_UNTRUSTED")
    assert "more.py is not in its manifest. And 1 more." in error.reason
    manifest = manifest_of(bundle.folder)
    (bundle.folder / "manifest.json").write_bytes(manifest.canonical)
    error = refused_by(lambda: verify(bundle), "E_UNTRUSTED")
    assert "manifest.json is not the one that was received" in error.reason
    (bundle.folder / "LICENSE").unlink()
    (bundle.folder / "LICENSE").symlink_to("/etc/passwd")
    assert "a link lies" in refused_by(lambda: verify(bundle), "E_UNTRUSTED").reason


def test_what_was_received_is_not_changed(tmp_path: Path) -> None:
    bundle = receive("lungs", "1.0.0")
    for change in (lambda: store.check_changeable(bundle.folder),
                   lambda: changing(bundle.folder).__enter__()):  # fmt: skip
        assert "was received" in refused_by(change, "E_OUTPUT").reason
    store.check_changeable(tmp_path)


def test_a_revoked_key_takes_its_bundles_with_it() -> None:
    signed, other = receive("lungs", "1.0.0", key="K1"), receive("livers", "1.0.0", key="K2")
    assert store.withdraw("K1") == [signed]
    assert "revoked" in refused_by(lambda: verify(installed_bundle("lungs")), "E_UNTRUSTED").reason
    verify(installed_bundle("livers"))
    assert installed_bundle("livers") == other


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 2, "bundles": [], "seen": {}}',
    '{"format": 1, "bundles": [{"name": "a"}], "seen": {}}',
    '{"format": 1, "bundles": [{"name": "a", "version": "../..", "digest": "", "level": "A", '
    '"signer": null, "key": null, "accepted": false, "received": "", "withdrawn": false}], '
    '"seen": {}}'])  # fmt: skip
def test_a_damaged_list_is_refused(home: Path, text: str) -> None:
    home.mkdir()
    (home / store.LIST).write_text(text)
    error = refused_by(store.installed, "E_CORRUPT")
    assert error.path == str(home / store.LIST)


def test_a_block_that_raises_changes_nothing() -> None:
    receive("lungs", "1.0.0")

    def fail() -> None:
        with changing_store() as holder:
            holder[0] = store.Store((), {})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [bundle.name for bundle in store.installed()] == ["lungs"]


def _see(numbers: range) -> None:
    for number in numbers:
        with changing_store() as holder:
            seen = {**holder[0].seen, f"n{number}": Seen("1", "", False)}
            holder[0] = holder[0]._replace(seen=seen)


def test_two_processes_that_write_lose_nothing() -> None:
    work = multiprocessing.get_context("fork")
    others = [work.Process(target=_see, args=(range(k, k + 10),)) for k in (0, 10)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert len(store.read_store().seen) == 20


def test_the_list_says_where_each_comes_from() -> None:
    old, new = receive("lungs", "1.0.0"), receive("lungs", "2.0.0")
    found = {bundle.folder: bundle for bundle in listed()}
    assert {folder: found[folder].origin for folder in (old.folder, new.folder)} == {
        old.folder: "received", new.folder: "received",
    }  # fmt: skip
    assert found[new.folder].to_json()["digest"] == new.digest
    assert {x.origin for x in found.values()} == {"shipped", "received"}
    assert all(found[folder].shipped for folder in shipped_bundles().values())
