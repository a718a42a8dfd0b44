# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle keygen`, `sign`, `trust`: what they print, ask and refuse."""

import json
from pathlib import Path

import pytest
from packed import bundle_files, digest_of, pack

from medvol.cli import main
from medvol.cli.bundles import keys


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MEDVOL_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["bundle", *words]) == status
    return "".join(capsys.readouterr())


def test_from_a_key_to_a_signature(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = said(capsys, "keygen", "-o", "lab_a.key")
    printed = dict(line.split(": ", 1) for line in made.splitlines()[2:])
    public, name = (printed[head].strip() for head in ("public key", "fingerprint"))
    assert (here / "lab_a.pub").read_text().strip() == public
    pack(here / "a.zip", bundle_files())
    signed = said(capsys, "sign", "a.zip", "--key", "lab_a.key")
    assert signed.splitlines() == [
        f"a.zip signed: lungs 1.0.0, key {name}", f"digest {digest_of(here / 'a.zip')}",
    ]  # fmt: skip
    assert "no keys are trusted" in said(capsys, "trust", "list")
    assert name in said(capsys, "trust", "add", "lab_a", "lab_a.pub")
    assert said(capsys, "trust", "list").splitlines()[1].split() == ["lab_a", name, "trusted"]
    assert "is revoked" in said(capsys, "trust", "revoke", "lab_a")
    (row,) = json.loads(said(capsys, "trust", "list", "--json"))
    assert (row["name"], row["public_key"], row["fingerprint"]) == ("lab_a", public, name)
    assert row["revoked"]
    assert "E_UNTRUSTED lab_a" in said(capsys, "trust", "add", "lab_a", public, status=2)
    assert "is trusted" in said(capsys, "trust", "add", "lab_a", public, "--again")


def test_a_passphrase_comes_from_the_terminal_or_the_variable(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(here / "a.zip", bundle_files())
    answers: list[str] = []
    monkeypatch.setattr(keys, "getpass", lambda _: answers.pop(0))
    refused = said(capsys, "keygen", "-o", "a.key", "--passphrase", status=2)  # nobody types
    assert "there is no passphrase" in refused
    monkeypatch.setattr(keys.sys.stdin, "isatty", lambda: True, raising=False)
    answers[:] = ["one", "two"]
    assert said(capsys, "keygen", "-o", "a.key", "--passphrase", status=2) == refused
    assert not (here / "a.key").exists()
    answers[:] = ["one", "one", "two", "one"]
    said(capsys, "keygen", "-o", "a.key", "--passphrase")
    assert "wrong" in said(capsys, "sign", "a.zip", "--key", "a.key", status=2)
    said(capsys, "sign", "a.zip", "--key", "a.key")
    monkeypatch.setenv("MEDVOL_PASSPHRASE", "one")
    said(capsys, "sign", "a.zip", "--key", "a.key")
    assert answers == []


def test_refusals_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keygen", "-o", "a.key")
    for words, code in (
        (["keygen", "-o", "a.key"], "E_OUTPUT"),
        (["sign", "none.zip", "--key", "a.key"], "E_PATH"),
        (["sign", "a.zip", "--key", "none.key"], "E_PATH"),
        (["trust", "add", "b", "a.key"], "E_FORMAT"),
        (["trust", "revoke", "b"], "E_UNTRUSTED"),
    ):
        line = said(capsys, *words, status=2)
        assert code in line
        assert line.count("\n") == 1
