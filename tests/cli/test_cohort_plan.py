# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort plan`: a table of a folder's cases."""

from pathlib import Path

import pytest
from dicom_phantoms import SERIES_UID, ct_series, write

from medvol.cli import main
from medvol.cohort.plan import read_plan


def test_a_folder_becomes_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/p1/ct.nii.gz", "in/p2/ct.nii.gz", "in/p2/ct_mask.nii.gz", "in/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"1" * 1000)
    command = ["cohort", "plan", "in", "--workers", "1", "--bundle", "covid_ct_lesion_3d",
               "--patient-from", r"p\d"]  # fmt: skip
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out == "plan.csv: 2 images of 2 patients, 2e-06 GB; 2 lines\n"
    assert err == "passed by: 1 .txt\nno case of covid_ct_lesion_3d: 1 mask\n"
    assert [unit.key for unit in read_plan(Path("plan.csv"))] == [
        "covid_ct_lesion_3d/p1/ct", "covid_ct_lesion_3d/p2/ct",
    ]  # fmt: skip
    assert Path(".plan.csv.part").is_file()


def test_a_plan_may_lie_beside_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ct_series())
    for _ in range(2):
        assert (
            main(["cohort", "plan", ".", "--workers", "1", "--bundle", "covid_ct_lesion_3d"]) == 0
        )
        (unit,) = read_plan(Path("plan.csv"))
        assert (unit.case, unit.series) == (tmp_path.name, SERIES_UID)


def test_what_makes_no_plan_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    (tmp_path / "in").mkdir()
    plan = str(tmp_path / "plan.csv")
    given = ["cohort", "plan", str(tmp_path / "in"), "--workers", "1", "-o"]
    assert main([*given, plan]) == 2
    assert "E_EMPTY" in capsys.readouterr().err
    assert not Path(plan).exists()
    assert main([*given, str(tmp_path / "plan.txt")]) == 2
    assert "E_PLAN" in capsys.readouterr().err
    assert main([*given, plan, "--workers", "0"]) == 2
    assert capsys.readouterr().err == "medvol cohort plan: --workers is 0; give 1 or more\n"
    with pytest.raises(SystemExit):
        main([*given, plan, "--only", "("])
    assert "no regular expression" in capsys.readouterr().err
