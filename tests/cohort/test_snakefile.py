# SPDX-License-Identifier: Apache-2.0
"""Snakemake does a cohort, a job a unit, and gives the same masks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from phantoms import save_nifti, tiny_chest

from medvol.cli import main
from medvol.cohort.ledger import DONE, REFUSED, Ledger
from medvol.cohort.plan import Unit, read_plan, write_plan
from medvol.cohort.retry import ENDED
from medvol.files import sha256_of

SNAKEMAKE = shutil.which("snakemake")


def test_the_workflow_lies_with_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cohort", "snakefile"]) == 0
    text = Path(capsys.readouterr().out.strip()).read_text(encoding="utf-8")
    assert "cohort run {OUT:q} --case {wildcards.key:q}" in text
    assert f'"{{out}}/{ENDED}"'.replace("{}", "{key}") in text  # which a retry takes away


@pytest.mark.slow
@pytest.mark.skipif(SNAKEMAKE is None, reason="Snakemake is not installed")
def test_snakemake_gives_what_a_loop_gives(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert SNAKEMAKE is not None
    assert main(["cohort", "snakefile"]) == 0
    workflow = capsys.readouterr().out.strip()
    chest = tiny_chest()
    (tmp_path / "in").mkdir()
    save_nifti(tmp_path / "in/ct.nii.gz", chest.ct, chest.affine)
    (tmp_path / "in/empty.nii.gz").write_bytes(b"")
    # a name that a spreadsheet would take for a formula, and one with spaces in a folder
    units = [Unit("-1", "in/ct.nii.gz", ""), Unit("a b/c", "in/ct.nii.gz", ""),
             Unit("empty", "in/empty.nii.gz", "")]  # fmt: skip
    write_plan(tmp_path / "plan.csv", units)
    usual = ["--bundle", str(bundle), "--device", "cpu", "--format", "nii", "--quiet"]
    outs = {name: tmp_path / name for name in ("loop", "snakemake")}
    for name, out in outs.items():
        case = ["--case", f"{bundle.name}/empty"] if name == "snakemake" else []
        plan = str(tmp_path / "plan.csv")
        assert main(["cohort", "run", plan, "-o", str(out), *usual, *case]) == 2
    words = [SNAKEMAKE, "--snakefile", workflow, "-j", "1", "--keep-going", "--config"]
    given = [f"out={outs['snakemake']}", f"medvol={sys.executable} -m medvol"]
    done = subprocess.run([*words, *given], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ledger = Ledger(outs["snakemake"])
    ledger.refresh()
    keys = [unit.key for unit in read_plan(outs["snakemake"] / "plan.csv")]
    assert [ledger.state(key).state for key in keys] == [DONE, DONE, REFUSED]
    found = [
        [sha256_of(out / key / "segmentation.nii.gz") for key in keys[:2]] for out in outs.values()
    ]
    assert found[0] == found[1]
