# SPDX-License-Identifier: Apache-2.0
"""Three labs, by the commands that their people type: packed in A, received in B, altered, in C."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packed import digest_of, unzipped, zipped
from tiny_bundle import tiny_radiograph_bundle

from medvol.bundle.store import installed_bundle
from medvol.cli import main


class Lab:
    """A lab with a home of its own; it runs commands, and gives status and what was printed."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.capsys = home, capsys

    def __call__(self, *words: str | Path, status: int = 0) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MEDVOL_HOME", str(self.home))
            done = main([*map(str, words)])
        said = "".join(self.capsys.readouterr())
        assert done == status, said
        return said


@pytest.fixture
def lung_xray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bundle that may be given away, of an own design of lab A; and the folder to be in."""
    monkeypatch.delenv("MEDVOL_BUNDLES", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tiny_radiograph_bundle(tmp_path / "a" / "lung_xray")
    (folder / "LICENSE").write_text("Use it as you like, at your own risk.")
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "README.md").write_text("It tells two classes of radiographs apart.")
    (folder / "docs" / "data_license.txt").write_text("Drawn by a program, free for all of us.")
    return folder


@pytest.mark.slow
def test_three_labs(lung_xray: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (Lab(tmp_path / name / "home", capsys) for name in "abc")
    packed = tmp_path / "a" / "lung_xray.zip"
    a("bundle", "pack", lung_xray, "-o", packed)
    a("bundle", "keygen", "-o", "a/lab_a.key")
    a("bundle", "sign", packed, "--key", "a/lab_a.key")

    b("bundle", "trust", "add", "lab_a", "a/lab_a.pub")
    said = b("bundle", "receive", packed)
    assert "level A, signed by lab_a (" in said
    assert "largest probability difference 0" in said
    (image,) = (b.home / "received" / "lung_xray").glob("*/lung_xray/golden/input/*")
    assert "1 image" in b("predict", image, "--bundle", "lung_xray", "--output", "b/results")

    c("bundle", "trust", "add", "lab_a", "a/lab_a.pub")
    files = unzipped(packed)
    weights = files["models/model.pt"] + b"x"
    altered = zipped(tmp_path / "b.zip", {**files, "models/model.pt": weights}, root="lung_xray")
    for words in (["bundle", "receive", altered],
                  ["predict", image, "--bundle", altered, "--output", "c/results"]):  # fmt: skip
        line = c(*words, status=2)
        assert "models/model.pt is not what its manifest says." in line
        assert line.count("\n") == 1

    (changed,) = (b.home / "received" / "lung_xray").glob("*/lung_xray")
    shutil.copytree(changed, tmp_path / "b" / "lung_xray")
    licence = tmp_path / "b" / "lung_xray" / "LICENSE"
    licence.chmod(0o600)
    licence.write_text("Nobody may use it, at all, ever.")
    again = tmp_path / "b" / "lung_xray.zip"
    b("bundle", "pack", tmp_path / "b" / "lung_xray", "-o", again)
    assert "holds something else than" in b("bundle", "receive", again, status=2)
    b("bundle", "keygen", "-o", "b/lab_b.key")
    b("bundle", "sign", again, "--key", "b/lab_b.key")
    line = c("bundle", "receive", again, status=2)
    assert "signed by a key that is not trusted here" in line
    assert line.strip().endswith(f"--accept {digest_of(again)}")
    assert not (c.home / "received" / "lung_xray").exists()
    assert "received: level A" in c("bundle", "receive", packed)


@pytest.mark.slow
def test_code_that_was_accepted_runs_confined_and_only_as_it_was(
    lung_xray: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(tmp_path / "home", capsys)
    (lung_xray / "scripts").mkdir()
    (lung_xray / "scripts" / "mine.py").write_text("x = 1\n")
    packed = tmp_path / "lung_xray.zip"
    lab("bundle", "pack", lung_xray, "-o", packed, "--trust-this-bundle")
    assert "level B" in lab("bundle", "receive", packed, status=2)
    command = [sys.executable, "-P", "-m", "medvol"]
    environment = {**os.environ, "MEDVOL_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [*command, "bundle", "receive", str(packed), "--accept", digest_of(packed)],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "level B, signed by nobody, accepted by its digest" in done.stdout
    assert "largest probability difference 0" in done.stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
        folder = installed_bundle("lung_xray").folder
    script = folder / "scripts" / "mine.py"
    script.chmod(0o600)
    script.write_text("x = 2\n")
    (image,) = (folder / "golden" / "input").iterdir()
    line = lab("predict", image, "--bundle", "lung_xray", "--output", "results", status=2)
    assert "scripts/mine.py is not what its manifest says." in line
