# SPDX-License-Identifier: Apache-2.0
"""`medvol predict` in its two processes: one that works and may die, and one that goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dicom_phantoms
import pytest
from odd_bundle import CHEST, odd_bundle, scans
from phantoms import save_nifti
from tiny_bundle import tiny_bundle
from trusted import trusted

from medvol.cli import main
from medvol.engine import child

RealChild = child.Child  # before the fixture of all tests puts another in its place


@pytest.mark.slow
def test_a_case_that_kills_its_process_is_refused_and_the_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "Child", RealChild)
    bundle = odd_bundle(tmp_path / "bundle", "getattr(os, 'llik'[::-1])(os.getpid(), 9)")
    out, images = tmp_path / "out", scans(tmp_path / "in", "a", "odd", "z")
    words = ["predict", str(images), "--bundle", str(bundle), "-o", str(out), "--format", "nii"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == ["a", "z"]
    confined, *lines = said.err.splitlines()
    assert confined.startswith("medvol: bundle carries code, so it runs confined: ")
    assert lines == [
        f"medvol: E_FAILED {images / 'odd.nii.gz'}: the process that worked on it died (signal 9, "
        "SIGKILL; perhaps memory ran out). Look at the file, or leave it out.",
        "medvol: 1 of 3 failed:",
        f"  E_FAILED {images / 'odd.nii.gz'}: the process that worked on it died (signal 9, "
        "SIGKILL; perhaps memory ran out).",
    ]
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert made == [
        f"{case}/{file}" for case in "az" for file in ("run.json", "segmentation.nii.gz")
    ]


@pytest.mark.slow
def test_evaluate_refuses_a_case_that_kills_its_process_and_measures_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "Child", RealChild)
    bundle = odd_bundle(tmp_path / "bundle", "getattr(os, 'tixe_'[::-1])(3)")
    images = scans(tmp_path / "in", "a", "odd", "z")
    save_nifti(images / "true.nii.gz", CHEST.labels, CHEST.affine)
    rows = [{"image": f"{name}.nii.gz", "label": "true.nii.gz", "case": name}
            for name in ("a", "odd", "z")]  # fmt: skip
    (images / "list.json").write_text(json.dumps({"training": rows}))
    words = [
        "evaluate",
        str(bundle),
        "--data",
        str(images / "list.json"),
        "-o",
        str(tmp_path / "o"),
    ]
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.splitlines()[0].startswith(
        f"medvol: E_FAILED {images / 'odd.nii.gz'}: the process that worked on it ended with status"
    )
    assert [line.split(":")[0] for line in said.out.splitlines()[:2]] == ["a", "z"]


def started(patch: str, scratch: Path, *words: str | Path) -> "subprocess.Popen[str]":
    """`medvol predict` with a patch of medvol's own code in both processes, a temporary folder."""
    place = scratch.parent / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(patch)
    scratch.mkdir()
    path = os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "medvol", "predict", *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": path},
    )  # fmt: skip


def test_what_kills_the_process_before_torch_is_loaded_is_refused(tmp_path: Path) -> None:
    images = scans(tmp_path / "in", "a", "odd", "z")
    for name in "az":
        (images / f"{name}.nii.gz").write_bytes(b"")
    patch = (
        "import os; from pathlib import Path; from medvol.tasks import cases\n"
        "def read(path, *words, given=cases.read_image, **more):\n"
        "    if Path(path).name == 'odd.nii.gz': os.kill(os.getpid(), 11)\n"
        "    return given(path, *words, **more)\n"
        "cases.read_image = read"
    )
    bundle = trusted(tiny_bundle(tmp_path / "bundle"))
    words = (images, "--bundle", bundle, "-o", tmp_path / "out")
    with started(patch, tmp_path / "scratch", *words) as process:
        said = process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 2
    assert [line.split()[1] for line in said[:3]] == ["E_EMPTY", "E_FAILED", "E_EMPTY"]
    assert "died (signal 11, SIGSEGV)" in said[1]
    assert said[3] == "medvol: 3 of 3 failed:"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_both_processes_and_leaves_no_slice_of_a_patient(
    name: str, tmp_path: Path
) -> None:
    begun, scratch, out = tmp_path / "begun", tmp_path / "scratch", tmp_path / "out"
    dicom_phantoms.write(tmp_path / "study", dicom_phantoms.ct_series())
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "study")
    patch = (
        "import time; from pathlib import Path; from medvol.images.dicom import volume\n"
        f"volume.load_dicom = lambda *_, **__: (Path({str(begun)!r}).touch(), time.sleep(60))"
    )
    words = (archive, "--bundle", trusted(tiny_bundle(tmp_path / "bundle")), "-o", out)
    with started(patch, scratch, *words) as process:
        end = time.monotonic() + 60
        while not begun.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.1)
        assert len([path for path in scratch.rglob("*") if path.is_file()]) >= 4  # its slices
        process.send_signal(getattr(signal, name))
        said = process.communicate(timeout=60)
    assert (process.returncode, *said) == (128 + getattr(signal, name), "", "medvol: stopped\n")
    assert [*scratch.iterdir()] == []
    assert not out.exists()
