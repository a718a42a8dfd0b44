# SPDX-License-Identifier: Apache-2.0
"""Compiled networks on the disk: found again, made again when damaged, never too many."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from medvol.engine.backends import compiled as module
from medvol.engine.backends.compiled import FOLDER, compiled, forget

Make = Callable[[], bytes]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path))
    return tmp_path / FOLDER


def never() -> bytes:
    raise AssertionError("it was there")


def test_what_was_made_is_found_again(home: Path) -> None:
    assert compiled("a1", lambda: b"network") == b"network"
    assert compiled("a1", never) == b"network"
    assert [path.name for path in home.iterdir()] == ["a1.compiled"]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 40])
def test_a_damaged_one_is_made_again(home: Path, damage: bytes) -> None:
    compiled("a1", lambda: b"network")
    (home / "a1.compiled").write_bytes(damage)
    assert compiled("a1", lambda: b"again") == b"again"
    assert compiled("a1", never) == b"again"


def test_a_forgotten_one_is_made_again(home: Path) -> None:
    compiled("a1", lambda: b"network")
    forget("a1")
    forget("never there")
    assert compiled("a1", lambda: b"again") == b"again"
    assert len([*home.iterdir()]) == 1


def test_the_longest_unused_goes_first_and_the_newest_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2 * (32 + 7))
    for number, name in enumerate(("a", "b")):
        compiled(name, lambda: b"network")
        os.utime(home / f"{name}.compiled", (number, number))
    compiled("a", never)  # used now, so b is the oldest
    compiled("c", lambda: b"network")
    assert sorted(path.name for path in home.iterdir()) == ["a.compiled", "c.compiled"]
    compiled("d", lambda: b"larger than all that may be kept together" * 3)
    assert [path.name for path in home.iterdir()] == ["d.compiled"]


def test_where_nothing_can_be_kept_it_is_made_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "home"
    file.write_text("a file")
    monkeypatch.setenv("MEDVOL_HOME", str(file))
    assert compiled("a1", lambda: b"network") == b"network"
    assert compiled("a1", lambda: b"again") == b"again"
