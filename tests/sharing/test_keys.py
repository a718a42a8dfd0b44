# SPDX-License-Identifier: Apache-2.0
"""Keys: what is written, who may read it, what is taken for one, and whose is trusted."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from refusals import full_disk, refused_by

from medvol.sharing import keys, trust


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def nobody() -> None:
    return None


def test_a_key_is_written_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "lab_a.key"
    public = keys.make_key(path)
    assert (tmp_path / "lab_a.pub").read_text() == f"{public}\n"
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.public_key(keys.read_key(path, ask=nobody)) == public
    refused_by(lambda: keys.make_key(path), "E_OUTPUT")
    refused_by(lambda: keys.make_key(tmp_path / "lab_a.pem"), "E_OUTPUT")  # its .pub is there
    assert not (tmp_path / "lab_a.pem").exists()
    assert keys.public_key(keys.read_key(path, ask=nobody)) == public
    assert len(public.split()) == 2  # no comment, which would name a user and a machine


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with full_disk(10):
        refused_by(lambda: keys.make_key(tmp_path / "a.key"), "E_NOSPACE")
    refused_by(lambda: keys.make_key(tmp_path / "none" / "a.key"), "E_NOSPACE")
    assert list(tmp_path.iterdir()) == []


def test_a_passphrase_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    public = keys.make_key(path, passphrase="open sesame")
    assert b"ENCRYPTED" in path.read_bytes()
    assert keys.public_key(keys.read_key(path, ask=lambda: "open sesame")) == public
    for answer in (None, "", "closed"):
        refused_by(lambda a=answer: keys.read_key(path, ask=lambda: a), "E_UNTRUSTED")


def test_keys_of_openssh_are_read_and_others_refused(tmp_path: Path) -> None:
    path, key = tmp_path / "id", ed25519.Ed25519PrivateKey.generate()
    openssh = serialization.PrivateFormat.OpenSSH
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, openssh, none))
    assert keys.public_key(keys.read_key(path, ask=nobody)) == keys.public_key(key)
    pkcs8 = serialization.PrivateFormat.PKCS8
    path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, pkcs8, none))
    assert "another kind" in refused_by(lambda: keys.read_key(path, ask=nobody), "E_FORMAT").reason
    path.write_text("no key")
    refused_by(lambda: keys.read_key(path, ask=nobody), "E_FORMAT")
    refused_by(lambda: keys.read_key(tmp_path / "none", ask=nobody), "E_PATH")
    refused_by(lambda: keys.read_key(tmp_path, ask=nobody), "E_PATH")


def test_a_public_key_has_one_form(tmp_path: Path) -> None:
    public = keys.make_key(tmp_path / "a.key")
    key = keys.read_key(tmp_path / "a.key", ask=nobody).public_key()
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "a.pem").write_bytes(pem)
    for text in (public, f"{public} anna@lab\n", tmp_path / "a.pub", tmp_path / "a.pem"):
        assert keys.given_public_key(str(text)) == public
    private = refused_by(lambda: keys.given_public_key(str(tmp_path / "a.key")), "E_FORMAT")
    assert "private key" in private.reason
    refused_by(lambda: keys.given_public_key("ssh-ed25519 AAAA"), "E_FORMAT")
    refused_by(lambda: keys.given_public_key("ssh-rsa AAAA"), "E_PATH")
    other = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )  # fmt: skip
    (tmp_path / "ec.pub").write_bytes(other)
    refused_by(lambda: keys.given_public_key(str(tmp_path / "ec.pub")), "E_FORMAT")


def test_a_fingerprint_can_be_read_aloud(tmp_path: Path) -> None:
    one, two = (keys.fingerprint(keys.make_key(tmp_path / f"{n}.key")) for n in "ab")
    assert one != two
    assert [len(group) for group in one.split("-")] == [4] * 6
    assert not set(one) & set("0189")


def test_trusted_keys_have_names(tmp_path: Path, home: Path) -> None:
    a, b = (keys.make_key(tmp_path / f"{n}.key") for n in "ab")
    assert trust.trusted_keys() == []
    added = trust.trust("lab a", a)
    assert (added.name, added.fingerprint) == ("lab a", keys.fingerprint(a))
    assert trust.known_key(a) == added
    assert trust.known_key(b) is None
    assert "trusted already" in refused_by(lambda: trust.trust("lab a", b), "E_UNTRUSTED").reason
    assert "'lab a'" in refused_by(lambda: trust.trust("lab b", a), "E_UNTRUSTED").reason
    for name in ("", " a", "a\nb", "x" * 61, "\x1b[2J"):
        refused_by(lambda n=name: trust.trust(n, b), "E_UNTRUSTED")
    trust.trust("lab b", b)
    assert [key.name for key in trust.trusted_keys()] == ["lab a", "lab b"]
    (home / trust.LIST).write_text('{"format": 1, "keys": [{"name": "x"}]}')
    refused_by(trust.trusted_keys, "E_CORRUPT")


def test_a_revoked_key_stays_revoked_without_a_word(tmp_path: Path) -> None:
    public = keys.make_key(tmp_path / "a.key")
    trust.trust("lab_a", public)
    refused_by(lambda: trust.revoke("lab_b"), "E_UNTRUSTED")
    key, bundles = trust.revoke(keys.fingerprint(public))
    assert (key.name, bundles) == ("lab_a", [])
    assert trust.known_key(public) == key
    assert key.revoked is not None
    refused_by(lambda: trust.revoke("lab_a"), "E_UNTRUSTED")
    assert "was revoked" in refused_by(lambda: trust.trust("a2", public), "E_UNTRUSTED").reason
    trust.trust("lab_a", keys.make_key(tmp_path / "new.key"))  # its name is free again
    trust.trust("a2", public, again=True)
    assert [(x.name, x.revoked) for x in trust.trusted_keys()] == [("lab_a", None), ("a2", None)]
