# SPDX-License-Identifier: Apache-2.0
"""What is known of bundles by their digest, and what a damaged list of it means."""

import json
from pathlib import Path

import pytest

from medvol.audit.verdict import Level
from medvol.bundle.known import ACCEPTED, FILE, OWN, forget_known, known, rules, write_known
from medvol.manifest import Manifest

LUNGS, HEADS = Manifest("lungs", "1.0.0", {}), Manifest("heads", "1.0.0", {})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path))
    return tmp_path


def test_what_is_written_is_known_until_it_is_forgotten() -> None:
    assert known(LUNGS.digest) is None
    write_known(LUNGS, how=ACCEPTED, level=Level.B)
    write_known(HEADS, how=OWN, level=Level.A, audited=False)
    found = known(LUNGS.digest)
    assert found is not None
    assert (found.name, found.how, found.level, found.rules) == ("lungs", ACCEPTED, "B", rules())
    forget_known([LUNGS.digest, "0" * 64])
    assert known(LUNGS.digest) is None
    own = known(HEADS.digest)
    assert own is not None
    assert (own.how, own.level, own.rules) == (OWN, "A", "")


@pytest.mark.parametrize("content", ["", "[]", "null", "{", "[" * 100_000, "\x00"])
def test_a_damaged_list_knows_nothing_and_is_written_anew(home: Path, content: str) -> None:
    (home / FILE).write_text(content)
    assert known(LUNGS.digest) is None
    write_known(LUNGS, how=ACCEPTED, level=Level.B)
    assert known(LUNGS.digest) is not None


@pytest.mark.parametrize("change", [{"level": "D"}, {"level": None}, {"more": 1}])
def test_a_damaged_row_is_not_known(home: Path, change: dict[str, object]) -> None:
    write_known(LUNGS, how=ACCEPTED, level=Level.B)
    rows = json.loads((home / FILE).read_text())
    rows[LUNGS.digest] |= change
    (home / FILE).write_text(json.dumps(rows))
    assert known(LUNGS.digest) is None


@pytest.mark.parametrize("row", [None, [], "B", 1])
def test_what_is_no_row_is_not_known(home: Path, row: object) -> None:
    (home / FILE).write_text(json.dumps({LUNGS.digest: row}))
    assert known(LUNGS.digest) is None
