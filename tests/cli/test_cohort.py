# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort run`, `verify` and `retry` with a bundle that computes."""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.cli import main
from medvol.cohort import planning
from medvol.cohort.frozen import read
from medvol.cohort.plan import Unit, write_plan
from medvol.cohort.planning import Made
from medvol.files import sha256_of

MASK = "segmentation.nii.gz"
AS_USUAL = ("--device", "cpu", "--format", "nii", "csv")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(3):
        chest = tiny_chest(noise_hu=5 + number)
        save_nifti(folder / f"ct{number}.nii.gz", chest.ct, chest.affine)
    (folder / "ct3.nii.gz").write_bytes(b"")
    return folder


@pytest.fixture
def plan(images: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.csv"
    rows = [Unit(x.name.partition(".")[0], str(x), "") for x in sorted(images.iterdir())]
    write_plan(path, rows)
    return path


def cohort(command: str, *words: object) -> int:
    return main(["cohort", command, *map(str, words)])


def masks(folder: Path) -> dict[str, str]:
    return {x.parent.name: sha256_of(x) for x in sorted(folder.glob(f"*/{MASK}"))}


def test_a_plan_gives_what_predict_gives_however_it_is_run(
    plan: Path, bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cohort("run", plan, "--bundle", bundle, "-o", whole, *AS_USUAL) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "medvol: 3 done, 1 refused; more: medvol cohort status" in said.err
    name = bundle.name
    found = masks(whole / name)
    assert [*found] == ["ct0", "ct1", "ct2"]
    assert (whole / name / "ct0" / "thumbnail.jpg").is_file()
    fixed = read(whole)
    assert (fixed.device, fixed.bundles[name].backend) == ("cpu", "torch")
    assert fixed.environment["versions"]["torch"]

    same = ("-o", parts, "--bundle", bundle, *AS_USUAL)
    assert cohort("run", plan, *same, "--part", "1/2") == 0
    assert [*masks(parts / name)] == ["ct0", "ct2"]
    assert cohort("run", parts, "--case", f"{name}/ct1", f"{name}/ct3") == 2
    assert cohort("run", parts, "--quiet") == 2
    predicted = ["predict", str(images), "--bundle", str(bundle), "--output", str(tmp_path / "p")]
    assert main([*predicted, *AS_USUAL, "--threads", str(fixed.threads)]) == 2
    assert masks(parts / name) == masks(tmp_path / "p") == found

    capsys.readouterr()
    assert cohort("verify", whole, "--share", "0.5", "--files") == 0
    assert capsys.readouterr().out == "3 cases looked at, 2 computed again: no fault\n"
    (whole / name / "ct1" / MASK).unlink()
    assert cohort("verify", whole, "--share", 0) == 2
    assert f"{name}/ct1: {MASK} is not there." in capsys.readouterr().out


def test_what_was_mended_is_done_by_a_retry(
    bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "images", tmp_path / "out"
    shutil.copytree(images, folder)
    assert cohort("run", folder, "--bundle", bundle, "-o", out, *AS_USUAL, "--quiet") == 2
    shutil.copy(folder / "ct0.nii.gz", folder / "ct3.nii.gz")
    assert cohort("run", out, "--quiet") == 2
    assert cohort("retry", out, "--code", "E_DIMS") == 0
    assert cohort("run", out, "--quiet") == 2
    assert cohort("retry", out, "--code", "E_EMPTY") == 0
    assert "1 case begun anew" in capsys.readouterr().out
    again = ("--bundle", bundle, "-o", out, *AS_USUAL)
    assert cohort("run", folder, *again) == 0
    assert len(masks(out / bundle.name)) == 4
    made = read(out).made
    assert f"made {made}, is used; new images need another folder" in capsys.readouterr().err
    assert cohort("run", images, *again) == 1
    assert f"E_OUTPUT {out}: it was begun with {folder}." in capsys.readouterr().err


def test_workers_that_cannot_work_fix_nothing(
    plan: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "distributed", None)  # as if it were not installed
    out = tmp_path / "out"
    assert cohort("run", plan, "--bundle", bundle, "-o", out, "--workers", "2") == 1
    assert "pip install 'medvol[cohort]'" in capsys.readouterr().err
    assert not out.exists()


def test_more_threads_than_cores_are_said(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = tmp_path / "plan.csv", tmp_path / "out"
    write_plan(plan, [Unit("a", str(tmp_path / "none.nii"), "")])
    given = ("--bundle", bundle, "-o", out, "--device", "cpu", "--threads", "999")
    assert cohort("run", plan, *given) == 2
    assert "1 x 999 threads are more than the" in capsys.readouterr().err


def test_a_folder_is_searched_by_one_command_at_a_time(
    bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    seen = list[bool]()

    def search(*_: object, **__: object) -> Made:
        other = FileLock(out / ".plan.csv.part.lock", timeout=0)
        with pytest.raises(Timeout):
            other.acquire()
        seen.append(True)
        return Made([], Counter(), {})

    monkeypatch.setattr(planning, "make_plan", search)
    assert cohort("run", images, "--bundle", bundle, "-o", out) == 1  # nothing is found
    assert seen == [True]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--precision", "bf16"], "begun without --precision."),
     (["--time-limit", "7"], "begun without --time-limit."),
     (["--threads", "7"], "begun with --threads 1."),
     (["--gate", "0"], "begun without --gate."),
     (["--spacing", "1", "1", "2"], "begun with --spacing 1.0 1.0 5.0."),
     (["--format", "nii"], "begun with --format nii csv.")],
)  # fmt: skip
def test_a_cohort_goes_on_as_it_was_begun(
    plan: Path, bundle: Path, tmp_path: Path, words: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    write_plan(plan, [Unit("empty", str(plan.with_name("none.nii")), "")])
    given = (plan, "--bundle", bundle, "-o", out, "--device", "cpu")
    begun = ("--format", "nii", "csv", "--threads", "1", "--spacing", "1", "1", "5")
    assert cohort("run", *given, *begun) == 2
    capsys.readouterr()
    assert cohort("run", *given, *words) == 1
    assert said in capsys.readouterr().err


def test_another_plan_or_bundle_is_refused(
    plan: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    write_plan(plan, [Unit("a", str(tmp_path / "none.nii"), "")])
    given = (plan, "--bundle", bundle, "-o", out, "--device", "cpu", "--quiet")
    assert cohort("run", *given) == 2
    write_plan(plan, [Unit("b", str(tmp_path / "none.nii"), "")])
    assert cohort("run", *given) == 1
    said = capsys.readouterr().err
    assert "another plan: line 2 of its plan.csv has case 'a', this one 'b'." in said
    record = json.loads((out / "cohort.json").read_text())
    record["bundles"][bundle.name]["weights_sha256"] = "0" * 64
    (out / "cohort.json").write_text(json.dumps(record))
    assert cohort("retry", out) == 0
    assert cohort("run", out) == 1
    assert "it was begun with the weights of thresholds 000000000000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "give --output"), (["-o", "out"], "no bundle was given"),
     (["-o", "out", "--workers", "0"], "give 1 or more")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    images: Path, tmp_path: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cohort("run", images, *words) == 1
    assert said in capsys.readouterr().err


def test_an_output_folder_in_an_image_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series = tmp_path / "series"
    series.mkdir()
    write_plan(tmp_path / "plan.csv", [Unit("a", str(series), "")])
    given = (tmp_path / "plan.csv", "--bundle", bundle, "-o", series / "out")
    assert cohort("run", *given) == 1
    assert "is or lies in the input" in capsys.readouterr().err
    assert not (series / "out" / "cohort.json").exists()
