# SPDX-License-Identifier: Apache-2.0
"""Receiving: what is installed, what is refused and why; of what is refused nothing stays."""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packed import bundle_files, digest_of, pack, unzipped, zipped
from refusals import refused_by
from tiny_bundle import tiny_radiograph_bundle

from medvol.bundle.find import find_bundle, shipped_bundles
from medvol.bundle.permission import _PERMITS, permit
from medvol.bundle.store import (
    installed,
    installed_at,
    installed_bundle,
    received_folder,
    verify,
)
from medvol.errors import InputError
from medvol.manifest import MANIFEST, manifest_of
from medvol.sharing import receive as module
from medvol.sharing import trust, updates
from medvol.sharing.golden import GoldenResult
from medvol.sharing.keys import make_key, public_key, read_key
from medvol.sharing.pack import pack as pack_bundle
from medvol.sharing.pack import write_zip
from medvol.sharing.prepare import prepared
from medvol.sharing.receive import agrees, receive, try_golden
from medvol.sharing.remove import clean, remove
from medvol.sharing.signing import sign
from medvol.sharing.updates import is_shipped_one

CODE = {"scripts/mine.py": b"x = 1\n"}  # of level B


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of lab C; nothing may stay in its quarantine."""
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MEDVOL_BUNDLES", raising=False)
    yield tmp_path / "home"
    assert [*(tmp_path / "home" / "quarantine").glob("*")] == []


@pytest.fixture(scope="module")
def lab_a(tmp_path_factory: pytest.TempPathFactory):
    return _key(tmp_path_factory.mktemp("a") / "lab_a.key")


@pytest.fixture(scope="module")
def lab_b(tmp_path_factory: pytest.TempPathFactory):
    return _key(tmp_path_factory.mktemp("b") / "lab_b.key")


def _key(path: Path):
    make_key(path)
    return read_key(path, ask=lambda: None)


def refusal(path: Path, words: str, code: str = "E_UNTRUSTED", **options: str) -> InputError:
    """The refusal of a file, of which nothing is installed."""
    before = [bundle.title for bundle in installed()], sorted(received_folder().rglob("*"))
    error = refused_by(lambda: receive(path, **options), code)
    assert words in error.reason, error.reason
    assert (
        [bundle.title for bundle in installed()],
        sorted(received_folder().rglob("*")),
    ) == before
    return error


def test_level_a_is_installed_under_name_version_and_digest(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    received = receive(path)
    bundle, digest = received.bundle, digest_of(path)
    assert (received.before, received.signer) == (False, None)
    assert (bundle.title, bundle.digest, bundle.level) == ("lungs@1.0.0", digest, "A")
    assert (bundle.accepted, bundle.signer, bundle.key) == (False, None, None)
    place = received_folder() / "lungs" / f"1.0.0-{digest[:12]}" / "lungs"
    assert bundle.folder == place == find_bundle("lungs")
    assert {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*.*")} == {
        name: content for name, content in unzipped(path).items() if "." in name
    }
    assert installed() == [bundle]
    verify(bundle)


@pytest.mark.skipif(os.name != "posix", reason="rights of files as POSIX has them")
def test_nothing_is_written_into_what_was_received(tmp_path: Path) -> None:
    place = receive(pack(tmp_path / "a.zip", bundle_files())).bundle.folder
    for path in (place, *place.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o555 if path.is_dir() else 0o444)


def test_again_changes_nothing_and_mends_what_was_changed(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    first = receive(path).bundle
    again = receive(path)
    assert (again.before, again.bundle) == (True, first)
    licence = first.folder / "LICENSE"
    licence.chmod(0o600)
    licence.write_bytes(b"frei")
    refused_by(lambda: verify(first), "E_UNTRUSTED")
    assert not receive(path).before
    verify(installed_bundle("lungs"))
    assert licence.read_bytes() == b"free"


def test_without_a_manifest_nobody_knows_whether_it_is_whole(tmp_path: Path) -> None:
    refusal(zipped(tmp_path / "a.zip", bundle_files()), "no manifest", "E_BUNDLE")


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    files = unzipped(path)
    for name, content, words in (("LICENSE", b"frei", "LICENSE is not what"),
                                 ("more.txt", b"", "more.txt is not in its manifest")):  # fmt: skip
        refusal(zipped(path, {**files, name: content}), words)


def test_code_needs_a_word(tmp_path: Path, lab_a) -> None:
    path = pack(tmp_path / "a.zip", {**bundle_files(), **CODE})
    digest = digest_of(path)
    error = refusal(path, "level B: scripts/mine.py")
    assert error.remedy.endswith(f"medvol bundle receive {path} --accept {digest}")
    refusal(path, "a digest has 64 hexadecimal digits", accepted=digest[:12])
    refusal(path, "another one was accepted", accepted="0" * 64)
    bundle = receive(path, accepted=digest.upper()).bundle
    assert (bundle.level, bundle.accepted, bundle.signer) == ("B", True, None)
    assert receive(path).before  # the word was given for these files
    remove("lungs", forget=True)
    refusal(path, "level B: scripts/mine.py")
    sign(path, lab_a)
    trust.trust("lab_a", public_key(lab_a))
    bundle = receive(path).bundle
    assert (bundle.level, bundle.accepted, bundle.signer) == ("B", False, "lab_a")


def test_level_c_is_refused_whoever_stands_for_it(tmp_path: Path, lab_a) -> None:
    evil = {"models/model.pt": pickle.dumps(Evil())}
    path = pack(tmp_path / "a.zip", {**bundle_files(), **evil})
    sign(path, lab_a)
    trust.trust("lab_a", public_key(lab_a))
    error = refusal(path, "level C: models/model.pt", accepted=digest_of(path))
    assert "medvol never runs" in error.reason


def test_who_signed_it(tmp_path: Path, lab_a, lab_b) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    refusal(path, "signed by nobody, and not by lab_a", signed_by="lab_a")
    sign(path, lab_a)
    refusal(path, "a key that is not trusted here")
    trust.trust("lab_a", public_key(lab_a))
    trust.trust("lab_b", public_key(lab_b))
    refusal(path, "and not by lab_b", signed_by="lab_b")
    bundle = receive(path, signed_by="lab_a").bundle
    assert (bundle.signer, bundle.key) == ("lab_a", trust.trusted_keys()[0].fingerprint)


def test_a_key_that_is_not_trusted_needs_the_digest(tmp_path: Path, lab_a) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    sign(path, lab_a)
    bundle = receive(path, accepted=digest_of(path)).bundle
    assert (bundle.signer, bundle.accepted) == (None, True)
    assert bundle.key is not None


def test_a_revoked_key_ends_all_that_it_signed(tmp_path: Path, lab_a) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    sign(path, lab_a)
    trust.trust("lab_a", public_key(lab_a))
    bundle = receive(path).bundle
    assert trust.revoke("lab_a")[1] == [bundle]
    assert "revoked" in refused_by(lambda: verify(installed_bundle("lungs")), "E_UNTRUSTED").reason
    refusal(path, "a revoked key", accepted=digest_of(path))
    trust.trust("lab_a", public_key(lab_a), again=True)
    receive(path)
    verify(installed_bundle("lungs"))


def test_the_same_files_without_the_signature(tmp_path: Path, lab_a) -> None:
    bare = pack(tmp_path / "bare.zip", bundle_files())
    path = pack(tmp_path / "a.zip", bundle_files())
    sign(path, lab_a)
    trust.trust("lab_a", public_key(lab_a))
    first = receive(path).bundle
    again = receive(bare)
    assert (again.before, again.bundle) == (True, first)  # it is known who signed them
    trust.revoke("lab_a")
    refusal(bare, "1.0.0 was signed, and nobody whom you trust signed this one")
    remove("lungs")
    refusal(bare, "1.0.0 was signed")
    assert receive(bare, accepted=digest_of(bare)).bundle.accepted


def test_a_revoked_key_ends_what_was_permitted_since_it_signed(tmp_path: Path, lab_a) -> None:
    path = pack(tmp_path / "a.zip", {**bundle_files(), **CODE})
    sign(path, lab_a)
    trust.trust("lab_a", public_key(lab_a))
    bundle = receive(path).bundle
    assert permit(bundle.folder).level == "B"
    copy = shutil.copytree(bundle.folder, tmp_path / "copy" / "lungs")
    assert permit(copy).level == "B"
    trust.revoke("lab_a")
    _PERMITS.clear()  # as in the next process
    for folder in (bundle.folder, copy):
        refused_by(lambda at=folder: permit(at), "E_UNTRUSTED")


def test_three_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab_a, lab_b) -> None:
    """Packed and signed in A, received in B, altered there: C, which trusts A, refuses it."""
    path = pack(tmp_path / "a.zip", bundle_files())
    sign(path, lab_a)
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home_b"))
    trust.trust("lab_a", public_key(lab_a))
    place = receive(path).bundle.folder
    altered = {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*")
               if p.is_file()}  # fmt: skip
    altered["LICENSE"] += b"x"
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    trust.trust("lab_a", public_key(lab_a))
    refusal(zipped(tmp_path / "b.zip", altered), "LICENSE is not what its manifest says.")
    del altered[MANIFEST]
    signature = altered.pop("manifest.sig")
    again = pack(tmp_path / "b.zip", altered)
    zipped(again, {**unzipped(again), "manifest.sig": signature})
    refusal(again, "it was changed after somebody signed it")
    sign(pack(again, altered), lab_b)
    refusal(again, "a key that is not trusted here")
    assert receive(path).signer.startswith("lab_a")


def test_older_altered_and_replayed_ones_are_refused(tmp_path: Path) -> None:
    old, new = (pack(tmp_path / f"{v}.zip", bundle_files(v)) for v in ("1.9.0", "1.10.0"))
    first = receive(old).bundle
    receive(new)
    assert receive(old).before  # it is there
    assert [x.version for x in installed()] == ["1.9.0", "1.10.0"]
    other = pack(tmp_path / "other.zip", {**bundle_files("1.10.0"), "LICENSE": b"frei"})
    refusal(other, "holds something else than 1.10.0", accepted=digest_of(other))
    older = pack(tmp_path / "older.zip", bundle_files("1.10.0rc1"))
    refusal(older, "is older than 1.10.0, which was received", accepted=digest_of(older))
    remove("lungs@1.9.0")
    assert not first.folder.exists()
    refusal(old, "is older than 1.10.0")
    remove("lungs")
    assert installed() == []
    refusal(old, "is older than 1.10.0")  # also when nothing of it is left
    refusal(other, "holds something else than 1.10.0")
    receive(new)
    remove("lungs", forget=True)
    receive(old)


def test_what_was_signed_is_updated_by_whom_one_trusts(tmp_path: Path, lab_a) -> None:
    old, new = (pack(tmp_path / f"{v}.zip", bundle_files(v)) for v in ("1.0.0", "1.0.1"))
    sign(old, lab_a)
    trust.trust("lab_a", public_key(lab_a))
    receive(old)
    remove("lungs")
    refusal(new, "1.0.0 was signed, and nobody whom you trust signed this one")
    assert receive(new, accepted=digest_of(new)).bundle.accepted
    newest = pack(tmp_path / "3.zip", bundle_files("3.0"))
    refusal(newest, "1.0.1 was signed")  # the name stays one of signed bundles
    sign(newest, lab_a)
    receive(newest)


def test_a_shipped_name(tmp_path: Path, lab_a, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "covid_ct_lesion_3d"
    own = json.loads((shipped_bundles()[name] / "configs" / "metadata.json").read_text())["version"]
    path = tmp_path / "a.zip"
    refusal(pack(path, bundle_files("0.0.1"), name=name), f"older than {own}, which came with")
    trust.trust("lab_a", public_key(lab_a))
    for version in (own, "99.0"):
        refusal(pack(path, bundle_files(version), name=name), f"take the place of {name} {own}")
        sign(path, lab_a)
        assert receive(path).bundle.folder == find_bundle(name)
        remove(name, forget=True)
    monkeypatch.setattr(updates, "is_shipped_one", lambda *_: True)
    receive(pack(path, bundle_files(own), name=name))
    refusal(pack(path, bundle_files(), name=name.upper()), "by capitals alone", "E_BUNDLE")


@pytest.mark.parametrize("version", ["", "new", "1.0/..", "..", "1.0 ", "1" * 41, "v1.0", "1!2"])
def test_what_is_not_a_version(tmp_path: Path, version: str) -> None:
    refusal(pack(tmp_path / "a.zip", bundle_files(version)), "is not a version", "E_BUNDLE")


def test_a_file_replaced_while_it_is_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    other = pack(tmp_path / "b.zip", {**bundle_files(), **CODE})
    digest, read = digest_of(path), module.read_sealed

    def swapping(folder: Path):
        sealed = read(folder)
        shutil.copyfile(other, path)
        return sealed

    monkeypatch.setattr(module, "read_sealed", swapping)
    bundle = receive(path).bundle
    assert bundle.digest == digest == manifest_of(bundle.folder).digest
    assert not (bundle.folder / "scripts").exists()


KILLED = """
import os, pathlib, signal, sys
from medvol.sharing import receive as module
place = {"before": "_move", "after": "newer"}[sys.argv[2]]
setattr(module, place, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
module.receive(pathlib.Path(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_half_way_nothing_is_installed(
    tmp_path: Path, moment: str, forked_python: str
) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    done = subprocess.run([forked_python, "-c", KILLED, str(path), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert installed() == []
    refused_by(lambda: find_bundle("lungs"), "E_BUNDLE")
    there = [*received_folder().glob("*/*/lungs")]
    assert len(there) == (moment == "after")
    if there:  # whoever names the folder is refused too
        refused_by(lambda: installed_at(there[0]), "E_UNTRUSTED")
    if moment == "before":
        assert [one.what for one in clean()] == ["something in quarantine"]
    else:
        said = clean()
        assert "not received whole" in " ".join(one.what for one in said)
        assert not there[0].exists()
    assert clean() == []
    receive(path)


def _receive(path: Path, queue) -> None:
    try:
        queue.put(receive(path).before)
    except InputError as error:
        queue.put(error.reason)


def test_two_processes_at_once(tmp_path: Path) -> None:
    paths = [pack(tmp_path / f"{n}.zip", bundle_files("1.0.0", **{"docs/x.txt": b"%d" % n}))
             for n in (0, 0, 1)]  # fmt: skip
    work = multiprocessing.get_context("fork")
    queue = work.Queue()
    others = [work.Process(target=_receive, args=(path, queue)) for path in paths]
    for other in others:
        other.start()
    said = [queue.get(timeout=60) for _ in others]
    for other in others:
        other.join()
    (bundle,) = installed()
    verify(bundle)
    assert [*received_folder().glob("*/*")] == [bundle.folder.parent]
    refused = [x for x in said if isinstance(x, str)]
    assert len(refused) in (1, 2)
    assert all("holds something else than 1.0.0" in x for x in refused)
    assert False in said


def test_a_golden_case_agrees_up_to_a_threshold() -> None:
    assert agrees(GoldenResult({"lung": 0.99}, 5.0, None))
    assert not agrees(GoldenResult({"lung": 1.0, "lesion": 0.9899}, 0.0, None))
    assert agrees(GoldenResult({}, 0.0, 0.05))
    assert not agrees(GoldenResult({}, 0.0, 0.0501))
    assert not agrees(GoldenResult({"lung": float("nan")}, 0.0, None))
    assert not agrees(GoldenResult({}, 0.0, float("nan")))


def test_what_was_received_runs_its_golden_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medvol.sharing.pack.check_apart", lambda *_, **__: [])
    folder = tiny_radiograph_bundle(tmp_path / "own" / "tiny")
    (folder / "LICENSE").write_text("free")
    packed = pack_bundle(folder, tmp_path / "tiny.zip")
    bundle = receive(tmp_path / "tiny.zip").bundle
    assert bundle.digest == packed.manifest.digest
    result = try_golden(bundle)
    assert (result.score_difference, result.probability_difference) == (0.0, 0.0)
    assert agrees(result)
    verify(bundle)  # running it left nothing there
    assert try_golden(receive(pack(tmp_path / "a.zip", bundle_files())).bundle) is None


@pytest.mark.slow
def test_a_shipped_bundle_that_was_packed_here_is_that_one(tmp_path: Path) -> None:
    folder = shipped_bundles()["chest_xray_pneumonia"]
    prepared(folder, tmp_path / folder.name)
    manifest = manifest_of(tmp_path / folder.name)
    assert is_shipped_one(manifest, folder)
    write_zip(tmp_path / folder.name, tmp_path / "none.zip")
    refusal(tmp_path / "none.zip", "no manifest", "E_BUNDLE")
    (tmp_path / folder.name / MANIFEST).write_bytes(manifest.canonical)
    write_zip(tmp_path / folder.name, tmp_path / "a.zip")
    assert receive(tmp_path / "a.zip").bundle.level == "A"
    (tmp_path / folder.name / "LICENSE").write_text("another")
    assert not is_shipped_one(manifest_of(tmp_path / folder.name), folder)
