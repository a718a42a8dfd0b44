# SPDX-License-Identifier: Apache-2.0
"""Whatever a bundle or the system raises in one case, `medvol predict` refuses it and goes on."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from odd_bundle import odd_bundle, scans
from tiny_bundle import tiny_bundle
from trusted import trusted

from medvol.cli import main
from medvol.files import read_csv
from medvol.outputs import room
from medvol.outputs.results import Results

STALE = "OSError(116, 'Stale file handle', '/share/atlas.nii')"


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("SystemExit(3)", "E_BUNDLE {bundle}: its preprocessing failed: 3."),
        ("RecursionError('too deep')", "E_BUNDLE {bundle}: its preprocessing failed: too deep."),
        ("OverflowError('too large')", "E_BUNDLE {bundle}: its preprocessing failed: too large."),
        ("MemoryError()", "E_TOO_BIG {odd}: the memory of this machine did not suffice."),
        ("RuntimeError('DefaultCPUAllocator: can\\'t allocate memory')",
         "E_TOO_BIG {odd}: the memory of this machine did not suffice."),
        (STALE, "E_PATH /share/atlas.nii: the disk or network share does not answer (Stale "),
    ],
)  # fmt: skip
def test_one_case_is_refused_and_the_others_are_done(
    raised: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = odd_bundle(tmp_path / "bundle", f"(_ for _ in ()).throw({raised})")
    images = scans(tmp_path / "in", "a", "odd", "z")
    words = ["predict", str(images), "--bundle", str(bundle), "-o", str(tmp_path / "out")]
    assert main([*words, "--format", "nii"]) == 2
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == ["a", "z"]
    expected = says.format(bundle=bundle, odd=images / "odd.nii.gz")
    assert said.err.startswith(f"medvol: {expected}"), said.err
    assert said.err.splitlines()[1] == "medvol: 1 of 3 failed:"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "z"]


@pytest.mark.parametrize("full", [True, False])
def test_a_disk_that_fills_up_costs_no_case_that_is_done(
    full: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second case cannot be written; where the disk is full, the third is not begun."""
    written = Results.save

    def save(self: Results, answer: Any) -> list[str]:
        if answer.case == "b":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder / "b" / "x"))
        return written(self, answer)

    monkeypatch.setattr(Results, "save", save)
    monkeypatch.setattr(room, "is_full", lambda _: full)
    bundle, images = trusted(tiny_bundle(tmp_path / "bundle")), scans(tmp_path / "in", *"abc")
    out = tmp_path / "out"
    words = ["predict", str(images), "--bundle", str(bundle), "-o", str(out), "--format", "nii"]
    assert main([*words, "cases"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"medvol: E_NOSPACE {out / 'b' / 'x'}: it could not be written")
    last = "medvol: the disk is full: 1 of 3 are done and stay, 1 were not begun. Free some space,"
    assert said[1].startswith(last) == full
    states = [row["state"] for row in read_csv(out / "cases.csv")]
    assert states == ["predicted", "refused", "not reached" if full else "predicted"]
    assert (out / "c").exists() != full
    assert not [path for path in out.iterdir() if path.name.startswith(".medvol-")]


def test_what_has_no_room_is_refused_before_the_network_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: 1000)
    monkeypatch.setattr("medvol.engine.pipeline.Pipeline.run", lambda *_, **__: pytest.fail("ran"))
    bundle, images = tiny_bundle(tmp_path / "bundle"), scans(tmp_path / "in", "a")
    words = ["predict", str(images), "--bundle", str(bundle), "-o", str(tmp_path / "out")]
    assert main([*words, "--format", "nii"]) == 2
    assert f"E_NOSPACE {images / 'a.nii.gz'}: its results may take" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
