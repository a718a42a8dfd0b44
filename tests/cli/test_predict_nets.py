# SPDX-License-Identifier: Apache-2.0
"""Whatever a bundle or the system raises in one case, `medvol predict` refuses it and goes on."""

from pathlib import Path

import pytest
from odd_bundle import odd_bundle, scans

from medvol.cli import main

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
