# SPDX-License-Identifier: Apache-2.0
"""What a user accepted can be taken back, by its digest."""

import json
from pathlib import Path

import pytest
from packed import bundle_files, digest_of, pack
from refusals import refused_by
from tiny_bundle import tiny_bundle

from medvol.bundle.permission import permit, permit_or_accept
from medvol.cli import main
from medvol.sharing.receive import receive
from medvol.sharing.trust import take_back


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def with_code(folder: Path) -> Path:
    """A bundle of level B."""
    bundle = tiny_bundle(folder)
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "own.py").write_text("import os\n")
    return bundle


def test_a_bundle_needs_a_word_again_also_in_the_same_process(tmp_path: Path) -> None:
    folder = with_code(tmp_path / "gift")
    digest = permit_or_accept(folder, trust=True).digest
    assert permit(folder).digest == digest
    assert take_back(digest[:12].upper())[0] == digest
    assert "nobody here has accepted it" in refused_by(lambda: permit(folder), "E_UNTRUSTED").reason
    assert "no one bundle" in refused_by(lambda: take_back(digest), "E_UNTRUSTED").reason


def test_other_bundles_stay_accepted(tmp_path: Path) -> None:
    first, second = with_code(tmp_path / "first"), with_code(tmp_path / "second")
    digest = permit_or_accept(first, trust=True).digest
    permit_or_accept(second, trust=True)
    for short in (digest[:11], "", "0" * 64, "not digits"):
        refused_by(lambda x=short: take_back(x), "E_UNTRUSTED")
    assert permit(first).digest == digest
    take_back(digest)
    permit(second)


def test_a_received_one_goes_by_remove(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", bundle_files())
    receive(path, accepted=digest_of(path))
    error = refused_by(lambda: take_back(digest_of(path)), "E_UNTRUSTED")
    assert "medvol bundle remove lungs@1.0.0" in error.remedy


def test_the_commands_list_and_take_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "trust", "list", "--bundles"]) == 0
    assert "no bundle was accepted" in capsys.readouterr().out
    digest = permit_or_accept(with_code(tmp_path / "gift"), trust=True).digest
    assert main(["bundle", "trust", "list", "--bundles"]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:3] == [digest[:12], "gift", "B"]
    assert main(["bundle", "trust", "list", "--bundles", "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert (said["digest"], said["name"], said["how"]) == (digest, "gift", "accepted")
    assert main(["bundle", "trust", "revoke", digest[:12]]) == 0
    assert "gift" in capsys.readouterr().out
    assert main(["bundle", "trust", "revoke", digest[:12]]) == 2
    assert "E_UNTRUSTED" in capsys.readouterr().err
