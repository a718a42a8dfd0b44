# SPDX-License-Identifier: Apache-2.0
"""`medvol predict`: many images, some of them broken, and what the exit status says."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import dicom_phantoms
import numpy as np
import pytest
import torch
from phantoms import save_nifti, tiny_chest
from refusals import children_s
from tiny_bundle import tiny_bundle
from trusted import trusted

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.engine import memory
from medvol.engine.backends.by_torch import TorchBackend
from medvol.images import read_image
from medvol.tasks.cases import Case, find_cases
from medvol.tasks.task import task_of

CHEST = tiny_chest(noise_hu=5)
ALL = [
    "measurements.csv",
    "overlay.png",
    "preview.png",
    "report.html",
    "run.json",
    "scene.mrb",
    "segmentation.nii.gz",
    "segmentation.seg.nrrd",
    "thumbnail.jpg",
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trusted(tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds"))


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return save_nifti(tmp_path / "in" / "chest.nii.gz", CHEST.ct, CHEST.affine)


def predict(bundle: Path, output: Path, *images: Path, options: tuple[str, ...] = ()) -> int:
    paths = [str(path) for path in images]
    return main(["predict", *paths, "--bundle", str(bundle), "--output", str(output), *options])


QUICK = ("--format", "nii", "json")


def folders(output: Path) -> dict[str, list[str]]:
    """What lies in the results, by case."""
    return {p.name: sorted(f.name for f in p.iterdir())
            for p in sorted(output.iterdir()) if p.is_dir()}  # fmt: skip


def test_one_image_all_files_one_line(
    bundle: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(bundle, tmp_path / "out", ct) == 0
    assert folders(tmp_path / "out") == {"chest": ALL}
    said = capsys.readouterr()
    assert said.err == ""
    (line,) = said.out.splitlines()
    # 64 voxels of 16 cubic mm, and 1440
    assert line.startswith("chest: ground-glass opacity 1.0 ml, consolidation ")
    assert "lung (rest) 23.0 ml (" in line
    assert line.endswith(f" s) -> {tmp_path / 'out' / 'chest'}")


def test_folder_with_a_broken_image(
    bundle: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (ct.parent / "broken.nii.gz").write_bytes(ct.read_bytes()[:-40])
    save_nifti(ct.parent / "last.nii", CHEST.ct, CHEST.affine)
    assert predict(bundle, tmp_path / "out", ct.parent, options=QUICK) == 2
    assert folders(tmp_path / "out") == {
        name: ["run.json", "segmentation.nii.gz"] for name in ("chest", "last")
    }
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == ["chest", "last"]
    line, *listed = said.err.splitlines()
    assert line.startswith(f"medvol: E_TRUNCATED {ct.parent / 'broken.nii.gz'}: ")
    assert listed[0] == "medvol: 1 of 3 failed:"
    assert listed[1].startswith(f"  E_TRUNCATED {ct.parent / 'broken.nii.gz'}: ")
    assert len(listed) == 2


def test_one_broken_image_leaves_nothing(
    bundle: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ct.write_bytes(b"")
    assert predict(bundle, tmp_path / "out", ct) == 2
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"medvol: E_EMPTY {ct}: ")
    assert len(said.err.splitlines()) == 1


def test_output_that_cannot_be_written(
    bundle: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    assert predict(bundle, tmp_path / "out", ct, options=QUICK) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"medvol: E_OUTPUT {tmp_path / 'out'}: it is a file; ")


def test_what_the_system_refuses_to_look_at_does_not_stop_the_others(
    bundle: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    long, stale, is_dir = tmp_path / ("n" * 300), tmp_path / "stale", Path.is_dir

    def odd_is_dir(path: Path) -> bool:
        if path == stale:
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", odd_is_dir)
    (tmp_path / "empty").mkdir()
    given = (stale, long, ct, tmp_path / "empty")
    assert predict(bundle, tmp_path / "out", *given, options=QUICK) == 2
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == ["chest"]
    errors = said.err.splitlines()
    assert errors[0].startswith(
        f"medvol: E_PATH {stale}: the disk or network share does not answer"
    )
    assert errors[1].startswith(f"medvol: E_PATH {long}: it cannot be opened (File name too long).")
    assert errors[2].startswith(f"medvol: E_EMPTY {tmp_path / 'empty'}: ")
    assert errors[3] == "medvol: 3 of 4 failed:"
    assert list(folders(tmp_path / "out")) == ["chest"]


REFUSALS = ["image", "bundle", "weights", "folder", "missing"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc says the memory")
@pytest.mark.parametrize("what", REFUSALS)
def test_refusal_is_quick_and_small_without_torch(
    bundle: Path, ct: Path, tmp_path: Path, what: str
) -> None:
    named = str(bundle)
    if what == "image":
        ct.write_bytes(ct.read_bytes()[:-40])
        trusted(bundle)  # one that is new here is looked at first, once
    elif what == "bundle":
        named = "covid_ct_lesion_2d"
    elif what == "weights":
        named = str(tiny_bundle(tmp_path / "b"))
        (tmp_path / "b" / "models" / "model.pt").unlink()
    elif what == "folder":
        ct.unlink()
        ct = ct.parent
    else:
        ct = tmp_path / "nothing.nii.gz"
    code = (
        "import re, sys; from medvol.cli import main; status = main(sys.argv[1:]); "
        "from resource import RUSAGE_CHILDREN, getrusage; "
        "print(status, sorted({'torch', 'monai', 'matplotlib'} & set(sys.modules)), "
        "re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], "
        "getrusage(RUSAGE_CHILDREN).ru_maxrss)"
    )
    options = ["predict", str(ct), "--bundle", named, "--output", str(tmp_path / "out")]
    started = children_s()
    done = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True, check=True
    )
    assert children_s() - started < 5
    status, heavy, own_kib, child_kib = done.stdout.rsplit(maxsplit=3)
    assert (status, heavy) == ("2", "[]")
    assert 0 < max(int(own_kib), int(child_kib)) < 200 * 1024
    (line,) = done.stderr.splitlines()
    expected = {"image": "E_TRUNCATED", "folder": "E_EMPTY", "missing": "E_PATH"}
    assert line.startswith(f"medvol: {expected.get(what, 'E_BUNDLE')} ")
    assert what != "bundle" or line.endswith("Did you mean covid_ct_lesion_25d?")
    assert not (tmp_path / "out").exists()


def test_strict_refuses_what_has_a_note(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_frame = save_nifti(tmp_path / "four.nii.gz", CHEST.ct[..., None], CHEST.affine)
    assert predict(bundle, tmp_path / "out", one_frame, options=(*QUICK, "--strict")) == 2
    assert "N_SQUEEZED" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert predict(bundle, tmp_path / "out", one_frame, options=QUICK) == 0
    assert "[N_SQUEEZED 4D with one frame" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "four" / "run.json").read_text())
    assert record["input"]["notes"][0][0] == "N_SQUEEZED"


def test_equal_names_get_a_number(bundle: Path, ct: Path, tmp_path: Path) -> None:
    other = save_nifti(tmp_path / "other" / "chest.nii", CHEST.ct, CHEST.affine)
    assert predict(bundle, tmp_path / "out", ct, other, options=QUICK) == 0
    assert list(folders(tmp_path / "out")) == ["chest", "chest_2"]
    records = [
        json.loads((tmp_path / "out" / name / "run.json").read_text())
        for name in ("chest", "chest_2")
    ]
    assert [record["input"]["path"] for record in records] == ["chest.nii.gz", "chest.nii"]
    assert [record["case"] for record in records] == ["chest", "chest_2"]


def test_one_series_of_two(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = (CHEST.ct.astype(np.int32) + 1024).clip(0, 4095).astype(np.uint16).transpose(2, 1, 0)
    uids = (dicom_phantoms.SERIES_UID, dicom_phantoms.OTHER_UID)
    both = [
        image
        for uid, kernel in zip(uids, ("B70f", "B30f"), strict=True)
        for image in dicom_phantoms.ct_series(
            stored, series=uid, ConvolutionKernel=kernel, PixelSpacing=[3, 3]
        )
    ]
    dicom_phantoms.write(tmp_path / "study", both)
    assert predict(bundle, tmp_path / "out", tmp_path / "study", options=QUICK) == 2
    said = capsys.readouterr().err
    assert said.startswith("medvol: E_SERIES ")
    assert all(uid in said for uid in uids)
    chosen = ("--series", dicom_phantoms.OTHER_UID)
    assert predict(bundle, tmp_path / "out", tmp_path / "study", options=(*QUICK, *chosen)) == 0
    record = json.loads((tmp_path / "out" / "study" / "run.json").read_text())
    assert record["input"]["facts"]["ConvolutionKernel"] == "B30f"


def test_a_series_is_looked_for_in_the_whole_study(bundle: Path, tmp_path: Path) -> None:
    for name, uid in (("lung", dicom_phantoms.SERIES_UID), ("soft", dicom_phantoms.OTHER_UID)):
        dicom_phantoms.write(tmp_path / "study" / name, dicom_phantoms.ct_series(series=uid))
    study, task = tmp_path / "study", task_of(read_spec(bundle))
    both = [Case(study / "lung", "lung"), Case(study / "soft", "soft")]
    assert find_cases(task, [study]) == both
    uids = dicom_phantoms.SERIES_UID, dicom_phantoms.OTHER_UID
    soft = Case(study / "soft", "soft", series=uids[1])
    assert find_cases(task, [study], series=uids[1]) == [soft]
    chosen = read_image(study, series=dicom_phantoms.OTHER_UID)
    assert chosen.facts["SeriesInstanceUID"] == dicom_phantoms.OTHER_UID


def test_what_was_given_up_is_said_and_recorded(
    bundle: Path,
    ct: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    needed = iter([2, 1])  # bytes, with two windows at once and with one
    monkeypatch.setattr(memory, "needed_bytes", lambda *_, **__: next(needed) << 30)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 30)
    monkeypatch.setattr(memory, "held_bytes", lambda: 0)
    monkeypatch.setattr(TorchBackend, "batch", 2)
    assert predict(bundle, tmp_path / "out", ct, options=("--format", "json")) == 0
    remark = "Memory is short (2.0 GiB needed, 1.0 GiB free): one window at a time."
    assert capsys.readouterr().err == f"medvol: chest: {remark}\n"
    record = json.loads((tmp_path / "out" / "chest" / "run.json").read_text())
    assert record["remarks"] == [remark]


def test_precision_is_recorded(bundle: Path, ct: Path, tmp_path: Path) -> None:
    options = ("--format", "json", "--precision", "bf16", "--device", "cpu")
    assert predict(bundle, tmp_path / "out", ct, options=options) == 0
    assert folders(tmp_path / "out") == {"chest": ["run.json"]}
    record = json.loads((tmp_path / "out" / "chest" / "run.json").read_text())
    assert (record["precision"], record["device"]) == ("bf16", "cpu")


def test_gpu_where_there_is_none(
    bundle: Path,
    ct: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert predict(bundle, tmp_path / "out", ct, options=("--device", "cuda")) == 2
    said = "medvol predict: device is 'cuda' but torch sees no GPU; give 'auto' or 'cpu'\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "pdf"], "invalid choice: 'pdf'"),
        (["--precision", "fp8"], "invalid choice: 'fp8'"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--time-limit", "0"], "'0' is not a time; give seconds above 0"),
        (["--time-limit", "soon"], "'soon' is not a time"),
    ],
    ids=["format", "precision", "device", "no time", "no number"],
)
def test_usage(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "ct.nii.gz", "--bundle", "b", "--output", "out", *options])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_from_another_folder_with_relative_paths(
    bundle: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ct.parent)
    near = Path(os.path.relpath(bundle))
    assert predict(near, Path("out"), Path("chest.nii.gz"), options=QUICK) == 0
    assert list(folders(ct.parent / "out")) == ["chest"]
    assert not (tmp_path / "out").exists()


def test_without_a_folder_results_of_each_bundle_have_their_own(
    bundle: Path, ct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ct.parent)
    assert main(["predict", "chest.nii.gz", "--bundle", str(bundle), *QUICK]) == 0
    assert list(folders(Path("results") / bundle.name)) == ["chest"]
