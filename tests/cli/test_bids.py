# SPDX-License-Identifier: Apache-2.0
"""`medvol bids`: participants of a data set, one of them refused, and the table of all."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle
from trusted import trusted

from medvol.cli import main

CHEST = tiny_chest(noise_hu=5)
MASK = "sub-01/anat/sub-01_seg-Thresholds_dseg.nii.gz"


def test_participants_become_derivatives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    bundle = str(trusted(tiny_bundle(tmp_path / "thresholds")))
    data, out = tmp_path / "in", tmp_path / "out"
    save_nifti(data / "sub-01/ct/sub-01_ct.nii.gz", CHEST.ct, CHEST.affine)
    (data / "sub-02/ct").mkdir(parents=True)
    (data / "sub-02/ct/sub-02_ct.nii.gz").write_bytes(b"no image")
    given = ["bids", str(data), str(out), "participant", "--bundle", bundle]
    assert main([*given, "--participant-label", "sub-01"]) == 0
    assert capsys.readouterr().out == f"{out / MASK}\n"
    before = (out / MASK).read_bytes()
    (record,) = (out / ".medvol").rglob("run.json")
    computed = record.stat()
    assert main([*given, "--participant_label", "02"]) == 2
    assert "E_FORMAT" in capsys.readouterr().err
    shutil.rmtree(out / "sub-01")
    assert main([*given, "--participant-label", "01"]) == 0  # laid out again, not computed
    assert (out / MASK).read_bytes() == before
    save_nifti(data / "sub-03/ct/sub-03_ct.nii.gz", CHEST.ct, CHEST.affine)
    assert main(given) == 2  # of all, what is not there yet
    assert (out / MASK.replace("01", "03")).read_bytes() == before
    records = set((out / ".medvol").rglob("run.json"))
    assert len(records) == 2
    assert record.stat() == computed
    os.utime(data / "sub-01/ct/sub-01_ct.nii.gz")
    assert (
        main([*given, "--participant-label", "01"]) == 0
    )  # not computed: its content is as it was
    assert set((out / ".medvol").rglob("run.json")) == records
    save_nifti(data / "sub-01/ct/sub-01_ct.nii.gz", np.flip(CHEST.ct, 0), CHEST.affine)
    assert main([*given, "--participant-label", "01"]) == 0
    assert (out / MASK).read_bytes() != before
    capsys.readouterr()
    assert main([*given, "--participant-label", "01", "--precision", "bf16"]) == 2
    assert "E_OUTPUT" in capsys.readouterr().err
    assert main(["bids", str(data), str(out), "group"]) == 0
    table = (out / "group_seg-Thresholds_dseg.tsv").read_text().splitlines()
    assert {line.partition("\t")[0] for line in table[1:]} == {"sub-01", "sub-03"}


def test_a_participant_needs_a_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert main(["bids", str(tmp_path), str(tmp_path / "out"), "participant"]) == 2
    assert "give --bundle" in capsys.readouterr().err
