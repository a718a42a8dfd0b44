# SPDX-License-Identifier: Apache-2.0
"""A signature is of one manifest and one key; all that was changed afterwards is refused."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from packed import bundle_files, digest_of, pack, unzipped, zipped
from refusals import refused_by

from medvol.manifest import MANIFEST, SIGNATURE
from medvol.sharing import trust
from medvol.sharing.archive import quarantined
from medvol.sharing.keys import fingerprint, make_key, public_key, read_key
from medvol.sharing.sealed import Sealed, Signer, read_sealed, signer_of
from medvol.sharing.signing import sign


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    assert [*(tmp_path / "home" / "quarantine").glob("*")] == []


def new_key(path: Path):
    make_key(path)
    return read_key(path, ask=lambda: None)


def sealed(path: Path) -> Sealed | None:
    with quarantined(path) as folder:
        return read_sealed(folder)


def test_signed_and_read_back(tmp_path: Path) -> None:
    path, key = pack(tmp_path / "a.zip", bundle_files()), new_key(tmp_path / "a.key")
    assert sealed(path).signer is None
    digest = sign(path, key).digest
    public = public_key(key)
    found = sealed(path)
    assert (found.manifest.digest, found.signer) == (digest, Signer(public, None, None))
    assert digest == digest_of(path)
    assert not found.signer.trusted
    trust.trust("lab_a", public)
    assert sealed(path).signer == Signer(public, "lab_a", None)
    assert sealed(path).signer.trusted
    assert str(sealed(path).signer) == f"lab_a ({fingerprint(public)})"
    trust.revoke("lab_a")
    signer = sealed(path).signer
    assert (signer.name, signer.trusted) == ("lab_a", False)


def test_the_same_file_otherwise_and_signing_again_replaces(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    files, whole = unzipped(path), path.read_bytes()
    one, two = new_key(tmp_path / "a.key"), new_key(tmp_path / "b.key")
    sign(path, one)
    first = path.read_bytes()
    listed = whole.index(b"PK\x01\x02")
    assert first[:listed] == whole[:listed]
    after = unzipped(path)
    assert [*after] == [*files, SIGNATURE]
    assert {**after, SIGNATURE: b""} == {**files, SIGNATURE: b""}
    sign(path, two)
    assert [*unzipped(path)] == [*files, SIGNATURE]
    assert sealed(path).signer.public_key == public_key(two)
    sign(path, one)
    assert path.read_bytes() == first


def test_a_signature_in_the_midst_of_the_file_is_replaced_too(tmp_path: Path) -> None:
    path, key = pack(tmp_path / "a.zip", bundle_files()), new_key(tmp_path / "a.key")
    sign(path, key)
    files = unzipped(path)
    zipped(path, {SIGNATURE: files.pop(SIGNATURE), **files})
    assert sealed(path).signer is not None
    sign(path, new_key(tmp_path / "b.key"))
    assert [*unzipped(path)] == [*files, SIGNATURE]
    assert sealed(path).manifest.digest == digest_of(path)


def test_what_is_not_as_its_manifest_says_is_not_signed(tmp_path: Path) -> None:
    path, key = pack(tmp_path / "a.zip", bundle_files()), new_key(tmp_path / "a.key")
    files = unzipped(path)
    zipped(path, {**files, "LICENSE": b"frei"})
    before = path.read_bytes()
    error = refused_by(lambda: sign(path, key), "E_UNTRUSTED")
    assert "LICENSE is not what its manifest says." in error.reason
    assert error.path == str(path / "lungs")
    assert path.read_bytes() == before
    del files[MANIFEST]
    zipped(path, files)
    assert sealed(path) is None
    assert "no manifest" in refused_by(lambda: sign(path, key), "E_BUNDLE").reason


def altered(files: dict[str, bytes], change: str) -> dict[str, bytes]:
    """Files of a signed bundle, with one thing changed that somebody might."""
    said = json.loads(files[MANIFEST])
    if change == "a file":
        return {**files, "LICENSE": b"frei"}
    if change == "one more":
        return {**files, "scripts/more.py": b""}
    if change == "one less":
        return {name: x for name, x in files.items() if name != "LICENSE"}
    if change == "manifest and file":
        other = unzipped(pack(Path("a.zip").absolute(), {**bundle_files(), "LICENSE": b"frei"}))
        return {**other, SIGNATURE: files[SIGNATURE]}
    if change == "blanks":
        return {**files, MANIFEST: json.dumps(said).encode()}
    if change == "no manifest":
        return {name: x for name, x in files.items() if name != MANIFEST}
    if change == "its name":
        return {**files, MANIFEST: files[MANIFEST].replace(b'"lungs"', b'"livers"')}
    signature = json.loads(files[SIGNATURE])
    if change == "signature":
        content = bytearray(base64.b64decode(signature["signature"]))
        content[5] ^= 1
        signature["signature"] = base64.b64encode(content).decode()
    return {**files, SIGNATURE: json.dumps(signature).encode()}


@pytest.mark.parametrize(("change", "words"), [
    ("a file", "LICENSE is not what"), ("one more", "scripts/more.py is not in its manifest"),
    ("one less", "LICENSE is missing"), ("manifest and file", "not of this bundle"),
    ("blanks", "not written as"), ("no manifest", "signs no manifest"), ("its name", "of livers"),
    ("signature", "not of this bundle"),
])  # fmt: skip
def test_what_was_altered_after_signing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path, key = pack(tmp_path / "b.zip", bundle_files()), new_key(tmp_path / "a.key")
    trust.trust("lab_a", public_key(key))
    sign(path, key)
    zipped(path, altered(unzipped(path), change))
    assert words in refused_by(lambda: sealed(path), "E_UNTRUSTED").reason


def test_a_folder_of_another_name(tmp_path: Path) -> None:
    path = pack(tmp_path / "b.zip", bundle_files(), name="lungs", root="livers")
    error = refused_by(lambda: sealed(path), "E_UNTRUSTED")
    assert "it is of lungs 1.0.0, and this is livers 1.0.0" in error.reason


@pytest.mark.parametrize("content", [
    b"", b"[]", b"{}", b'{"format": 1, "algorithm": "none", "public_key": "", "signature": ""}',
    b'{"format": 1, "algorithm": "Ed25519", "public_key": "x", "signature": ""}', b"x" * 5000,
    b"[" * 4000,
])  # fmt: skip
def test_what_is_not_a_signature(tmp_path: Path, content: bytes) -> None:
    path = pack(tmp_path / "b.zip", bundle_files())
    zipped(path, {**unzipped(path), SIGNATURE: content})
    error = refused_by(lambda: sealed(path), "E_BUNDLE")
    assert error.path == str(path / "lungs" / SIGNATURE)


def test_only_a_trusted_key_has_a_name_that_counts(tmp_path: Path) -> None:
    path, key = pack(tmp_path / "b.zip", bundle_files()), new_key(tmp_path / "a.key")
    manifest = sign(path, key)
    signature = unzipped(path)[SIGNATURE]
    assert not signer_of(manifest, signature, path=path).trusted
    trust.trust("lab_a", public_key(key))
    signer = signer_of(manifest, signature, path=path)
    assert (signer.trusted, signer.name) == (True, "lab_a")
    trust.revoke("lab_a")
    signer = signer_of(manifest, signature, path=path)
    assert not signer.trusted
    assert signer.revoked is not None
