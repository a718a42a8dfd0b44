# SPDX-License-Identifier: Apache-2.0
"""What a command says and asks of a bundle that it is given, and what it refuses."""

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from odd_bundle import CHEST
from phantoms import save_nifti
from tiny_bundle import tiny_bundle

from medvol.cli import main
from medvol.manifest import manifest_of

EVIL = "$__import__('os').system('touch ran')"
CODE = "class Own:\n    def __call__(self, data):\n        return data\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scan, and nothing known of any bundle."""
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, CHEST.affine)
    return tmp_path


def coded(folder: Path) -> Path:
    """A bundle of level B, which needs its own code to run."""
    made = tiny_bundle(folder)
    path = made / "configs" / "inference.json"
    config = json.loads(path.read_text())
    config["postprocessing"]["transforms"].append({"_target_": "scripts.own.Own"})
    path.write_text(json.dumps(config))
    (made / "scripts").mkdir()
    (made / "scripts" / "own.py").write_text(CODE)
    return made


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
    return path


def predict(bundle: Path, *words: str) -> int:
    shutil.rmtree("out", ignore_errors=True)
    return main(["predict", "ct.nii.gz", "--bundle", str(bundle), "-o", "out", *words])


def made() -> bool:
    return Path("out", "ct", "segmentation.nii.gz").is_file()


def terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Let somebody sit at the terminal who answers so."""
    stdin = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_of_a_bundle_without_code_a_line_is_said_once(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(here / "tiny")
    short = manifest_of(bundle).short
    assert predict(bundle) == 0
    said = capsys.readouterr().err
    assert said.count(f"({short}) is of level A: it carries no code") == 1
    assert predict(bundle) == 0
    assert "level A" not in capsys.readouterr().err
    assert made()


def test_code_is_shown_and_refused_without_a_word(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = coded(here / "coded")
    assert predict(bundle) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("is of level B:")
    assert any("scripts/own.py" in line for line in lines[1:])
    assert lines[-1].startswith(f"medvol: E_UNTRUSTED {bundle}: ")
    assert lines[-1].endswith("if you trust it, give --trust-this-bundle (in Python trust=True).")
    assert not made()
    assert not Path("out").exists()


def test_the_word_is_remembered_until_a_file_changes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = coded(here / "coded")
    assert predict(bundle, "--trust-this-bundle") == 0
    assert made()
    assert predict(bundle) == 0
    capsys.readouterr()
    (bundle / "scripts" / "own.py").write_text(f"{CODE}\n")
    assert predict(bundle) == 2
    assert "E_UNTRUSTED" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("yes", 0), ("", 2), ("n", 2)])
def test_somebody_at_a_terminal_is_asked(
    answer: str, status: int, here: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    bundle = coded(here / "coded")
    terminal(monkeypatch, answer)
    assert predict(bundle) == status
    there = manifest_of(bundle)
    asked = f"Run coded {there.version} ({there.short})? [y/N]"
    assert asked in capsys.readouterr().err
    assert made() == (status == 0)


@pytest.mark.parametrize("trust", [True, False])
def test_level_c_is_never_asked_about_and_never_runs(
    trust: bool, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(here / "evil", {"device": EVIL})
    terminal(monkeypatch, "y")
    assert predict(bundle, *(["--trust-this-bundle"] if trust else [])) == 2
    said = capsys.readouterr().err
    assert "[y/N]" not in said
    assert "medvol never runs a bundle of level C" in said
    assert not Path("ran").exists()


def test_a_packed_bundle_runs_from_quarantine_which_is_gone_then(here: Path) -> None:
    packed = zipped(tiny_bundle(here / "tiny"), here / "tiny.zip")
    shutil.rmtree(here / "tiny")
    assert predict(packed) == 0
    assert made()
    assert json.loads(Path("out", "ct", "run.json").read_text())["bundle"]["name"] == "tiny"
    assert list((here / "home" / "quarantine").iterdir()) == []


def test_a_packed_bundle_with_code_is_asked_about_by_its_content(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = zipped(coded(here / "coded"), here / "coded.zip")
    assert predict(packed) == 2
    assert "E_UNTRUSTED" in capsys.readouterr().err
    assert predict(packed, "--trust-this-bundle") == 0
    assert predict(packed) == 0
    assert made()


def test_a_packed_bundle_that_was_altered_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(here / "tiny")
    (bundle / "manifest.json").write_bytes(manifest_of(bundle).canonical)
    assert predict(zipped(bundle, here / "good.zip")) == 0
    (bundle / "LICENSE").write_text("other terms")
    assert predict(zipped(bundle, here / "bad.zip"), "--trust-this-bundle") == 2
    assert "E_UNTRUSTED" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["bundle", "explain"], ["bundle", "record"], ["bundle", "new", "made", "--from"],
        ["gate-cost", "--data", "none.json", "-o", "o"],
        ["train", "--data", "none.json", "-o", "o"],
        ["tune", "--data", "none.json", "-o", "o", "--space", "none.json"],
        ["evaluate", "--data", "none.json", "-o", "o"],
        ["data", "inspect", "none.json", "--bundle"], ["inspect", "ct.nii.gz", "--bundle"],
    ],
    ids=lambda words: "-".join(words[:2]),
)  # fmt: skip
def test_every_command_that_runs_a_bundle_looks_first(
    words: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(here / "evil", {"device": EVIL})
    assert main([*words, str(bundle)]) == 2
    assert "medvol never runs a bundle of level C" in capsys.readouterr().err
    assert not Path("ran").exists()
