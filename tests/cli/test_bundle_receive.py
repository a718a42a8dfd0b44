# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle receive`, `remove` and `clean`: what they print, and their exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
from packed import bundle_files, digest_of, pack

from medvol.bundle.store import installed
from medvol.cli import main
from medvol.errors import InputError
from medvol.sharing import receive as module
from medvol.sharing.golden import GoldenResult

SAME = GoldenResult({"lung": 1.0}, 1e-6, None)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MEDVOL_BUNDLES", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the golden case gives: the first of the list, or None."""
    given: list[Any] = []

    def answer(*_: object, **__: object) -> GoldenResult | None:
        one = given.pop(0) if given else None
        if isinstance(one, InputError):
            raise one
        return one

    monkeypatch.setattr(module, "try_golden", answer)
    return given


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["bundle", *words]) == status
    return "".join(capsys.readouterr())


def test_received_tried_listed_and_removed(
    here: Path, capsys: pytest.CaptureFixture[str], answers: list[Any]
) -> None:
    path = pack(here / "a.zip", bundle_files())
    answers.append(SAME)
    assert said(capsys, "receive", "a.zip").splitlines() == [
        "lungs 1.0.0 received: level A, signed by nobody",
        f"digest {digest_of(path)}",
        "golden case: as where it was packed, mean Dice 1.0000 (lung 1.0000), "
        "largest score difference 1e-06",
    ]
    again = said(capsys, "receive", "a.zip").splitlines()
    assert again[0].startswith("lungs 1.0.0 was there already, unchanged: level A")
    assert again[-1].startswith("golden case: there is none")
    (row,) = (x.split() for x in said(capsys, "list").splitlines() if x.startswith("lungs"))
    assert row[2] == "received"
    assert said(capsys, "remove", "lungs@1.0.0").startswith("lungs@1.0.0 removed (0.0 MB)")
    assert "E_BUNDLE lungs: no such bundle was received." in said(
        capsys, "remove", "lungs", status=2
    )
    assert "is forgotten" in said(capsys, "remove", "lungs", "--forget")
    assert said(capsys, "clean") == "nothing to clean\n"
    assert installed() == []


@pytest.mark.parametrize("bad", [
    SAME._replace(dice={"lung": 0.5}),
    InputError("E_BUNDLE", "b", "a package is missing.", "Get it."),
])  # fmt: skip
def test_one_that_runs_differently_here(
    here: Path, capsys: pytest.CaptureFixture[str], answers: list[Any], bad: Any
) -> None:
    pack(here / "a.zip", bundle_files())
    answers.append(bad)
    last = said(capsys, "receive", "a.zip", status=1).splitlines()[-1]
    assert "Do not rely on its answers" in last
    assert last.endswith("medvol bundle remove lungs@1.0.0")
    assert len(installed()) == 1  # it is there, and the user decides
    answers.append(bad)
    told = json.loads(said(capsys, "receive", "a.zip", "--json", status=1))
    assert (told["agrees"], told["before"]) == (False, True)
    assert set(told["golden"]) & {"dice", "code"}


def test_as_json(here: Path, capsys: pytest.CaptureFixture[str], answers: list[Any]) -> None:
    path = pack(here / "a.zip", bundle_files())
    answers.append(SAME)
    told = json.loads(said(capsys, "receive", "a.zip", "--json"))
    assert (told["name"], told["version"], told["digest"], told["level"], told["agrees"]) == (
        "lungs", "1.0.0", digest_of(path), "A", True,
    )  # fmt: skip
    assert told["golden"]["mean_dice"] == 1.0
    assert Path(told["folder"]).is_dir()


def test_one_that_ones_own_bundle_hides(
    here: Path, capsys: pytest.CaptureFixture[str], answers: list[Any]
) -> None:
    own = here / "home" / "bundles" / "lungs" / "configs"
    own.mkdir(parents=True)
    (own / "metadata.json").write_text("{}")
    pack(here / "a.zip", bundle_files())
    answers.append(SAME)
    assert "name this one lungs@1.0.0" in said(capsys, "receive", "a.zip")


def test_clean_says_how_much_it_was(
    here: Path, capsys: pytest.CaptureFixture[str], answers: list[Any]
) -> None:
    assert answers == []
    for version in ("1.0", "2.0"):
        pack(here / "a.zip", {**bundle_files(version), "docs/x.txt": bytes(10**6)})
        said(capsys, "receive", "a.zip")
    assert said(capsys, "clean") == "nothing to clean\n"
    assert said(capsys, "clean", "--old").splitlines() == [
        "lungs@1.0 removed (1.0 MB)", "1.0 MB freed",
    ]  # fmt: skip


def test_refusals_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pack(tmp_path / "a.zip", {**bundle_files(), "scripts/mine.py": b""})
    for words, code in ((["receive", "none.zip"], "E_PATH"), (["receive", "a.zip"], "E_UNTRUSTED"),
                        (["receive", "a.zip", "--accept", "12"], "E_UNTRUSTED"),
                        (["remove", "lungs"], "E_BUNDLE")):  # fmt: skip
        line = said(capsys, *words, status=2)
        assert code in line
        assert line.count("\n") == 1
