# SPDX-License-Identifier: Apache-2.0
"""`medvol predict` into a folder where something lies: nothing is lost, nothing is done twice."""

import json
import os
import shutil
import signal
from pathlib import Path

import nibabel
import numpy as np
import pytest
from brain_phantoms import save_slices, tiny_brain
from child_work import InlineChild
from phantoms import save_nifti, tiny_chest
from radiographs import chest_folder
from tiny_bundle import tiny_brain_bundle, tiny_bundle, tiny_radiograph_bundle
from trusted import trusted

from medvol.cli import main
from medvol.images import unchanged
from medvol.stopping import Stopped

CHEST = tiny_chest(noise_hu=5)
QUICK = ("--format", "nii", "csv")
MASK = "segmentation.nii.gz"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Known here already, so that nothing is said of its level."""
    return trusted(tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds"))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        save_nifti(tmp_path / "scans" / f"{name}.nii.gz", CHEST.ct, CHEST.affine)
    return tmp_path / "scans"


def predict(bundle: Path, output: Path, *images: Path, options: tuple[str, ...] = QUICK) -> int:
    words = [*map(str, images), "--bundle", str(bundle), "--output", str(output), *options]
    return main(["predict", *words, "--device", "cpu"])


def contents(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, and what is in files."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else b""
            for p in folder.rglob("*")}  # fmt: skip


def correct(mask: Path) -> bytes:
    """A mask as somebody saves it after a correction."""
    image = nibabel.load(mask)
    edited = np.zeros_like(np.asarray(image.dataobj))
    nibabel.save(nibabel.Nifti1Image(edited, image.affine), mask)
    return mask.read_bytes()


def said(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    out, err = capsys.readouterr()
    return out.splitlines(), err.splitlines()


def test_a_second_run_leaves_what_is_complete_and_says_so(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(bundle, out, scans) == 0
    (out / "b" / "notes.txt").write_text("mine")
    before, _ = contents(out), said(capsys)
    assert predict(bundle, out, scans) == 0
    words = "complete already, left as it is"
    assert said(capsys) == ([f"{name}: {words} -> {out / name}" for name in "ab"], [])
    assert contents(out) == before
    written = [(out / name / "run.json").stat().st_mtime_ns for name in "ab"]
    assert predict(bundle, out, scans, options=(*QUICK, "--overwrite")) == 0
    lines, errors = said(capsys)
    assert [line.partition(" ml")[0] for line in lines] == [
        f"{name}: ground-glass opacity 1.0" for name in "ab"
    ]
    assert errors == []
    after = contents(out)
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"a/run.json", "b/run.json"}  # a run may take the same milliseconds
    again = [(out / name / "run.json").stat().st_mtime_ns for name in "ab"]
    assert all(new > old for new, old in zip(again, written, strict=True))


@pytest.mark.parametrize(
    "what",
    ["input", "strict", "missing", "format", "precision", "fewer formats", "weights", "config"],
)
def test_what_is_not_current_is_computed_again(
    tmp_path: Path, scans: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own, out, options = tiny_bundle(tmp_path / "own"), tmp_path / "out", QUICK
    (scans / "b.nii.gz").unlink()
    assert predict(own, out, scans) == 0
    _ = said(capsys)
    if what == "input":
        save_nifti(scans / "a.nii.gz", CHEST.ct + 1, CHEST.affine)
    elif what == "missing":
        (out / "a" / MASK).unlink()
    elif what == "format":
        options = (*QUICK, "seg")
    elif what == "precision":
        options = (*QUICK, "--precision", "bf16")
    elif what == "strict":
        options = (*QUICK, "--strict")
    elif what == "fewer formats":
        options = (*QUICK[:2],)
    elif what == "weights":
        weights = own / "models" / "model.pt"
        weights.write_bytes(weights.read_bytes() + b"\0")
    else:
        config = own / "configs" / "inference.json"
        config.write_text(config.read_text().replace('"overlap": 0.5', '"overlap": 0.25'))
    assert predict(trusted(own), out, scans, options=options) == 0
    ((line,), errors) = said(capsys)
    replaced = "medvol: a: It took the place of results of another image, or of this one before it"
    assert [error.partition(" changed")[0] for error in errors] == [replaced] * (what == "input")
    # fewer formats than there are: nothing is missing, and nothing goes
    assert ("complete already" in line) == (what == "fewer formats")
    assert predict(own, out, scans, options=options) == 0
    assert "complete already" in capsys.readouterr().out


def test_header_and_data_of_an_input_are_both_looked_at(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, data = tmp_path / "ct.hdr", tmp_path / "ct.img"
    nibabel.save(nibabel.Nifti1Pair(CHEST.ct, CHEST.affine), header)
    for complete in (False, True):
        assert predict(bundle, tmp_path / "out", header) == 0
        assert ("complete already" in capsys.readouterr().out) == complete
    nibabel.save(nibabel.Nifti1Pair(CHEST.ct + 1, CHEST.affine), tmp_path / "other.hdr")
    data.write_bytes((tmp_path / "other.img").read_bytes())
    assert predict(bundle, tmp_path / "out", header) == 0
    assert "complete already" not in capsys.readouterr().out


def test_a_corrected_mask_is_neither_replaced_nor_passed_by_in_silence(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(bundle, out, scans) == 0
    mine = correct(out / "a" / MASK)
    before, _ = contents(out), said(capsys)
    for options in (QUICK, ("--format", "csv"), (*QUICK, "--overwrite"), ()):
        assert predict(bundle, out, scans, options=options) > 0
        lines, (error, *_) = said(capsys)
        assert error.startswith(
            f"medvol: E_OUTPUT {out / 'a' / MASK}: it would be replaced, but was"
        )
        assert [line.split(":")[0] for line in lines] == (["b"] if options else ["b", "2 cases"])
        assert (out / "a" / MASK).read_bytes() == mine
        now = contents(out)
        assert all(now[name] == before[name] for name in before if name.startswith("a/"))


def test_what_somebody_put_into_the_results_stays(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    mine = {"a/measurements.csv": b"mine", "a/masks/x_mask.png": b"mine", "b/scene.mrb": b"mine"}
    for name, content in mine.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    assert predict(bundle, out, scans) > 0
    lines, (error, *_) = said(capsys)
    assert error.startswith(f"medvol: E_OUTPUT {out / 'a' / 'measurements.csv'}: ")
    assert "nothing says that medvol wrote it" in error
    assert [line.split(":")[0] for line in lines] == ["b"]  # nobody asked for the scene of b
    assert contents(out).items() >= mine.items()
    made = {f"b/{MASK}", "b/measurements.csv", "b/run.json"}
    assert contents(out).keys() == {"a", "a/masks", "b", *mine, *made}


@pytest.mark.parametrize("where", ["same", "inside", "link", "case", "case by a link"])
def test_an_output_folder_within_the_input_is_refused_before_work_starts(
    bundle: Path, scans: Path, tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images, output, at = scans, scans, scans
    if where == "inside":
        output = at = scans / "results" / "new"
    elif where == "link":
        (tmp_path / "linked").symlink_to(scans)
        output = at = tmp_path / "linked"
    elif where.startswith("case"):
        (scans / "b.nii.gz").rename(tmp_path / "b.nii.gz")
        images, output, at = scans / "a.nii.gz", tmp_path, tmp_path / "a"
        if where == "case":
            scans.rename(at)
            images = at / "a.nii.gz"
        else:
            at.symlink_to(scans)
    before = contents(tmp_path)
    assert predict(bundle, output, images) == 2
    assert said(capsys)[1][0].startswith(f"medvol: E_OUTPUT {at}: this output folder ")
    assert contents(tmp_path) == before


def test_beside_a_single_file_and_above_a_folder_is_allowed(bundle: Path, scans: Path) -> None:
    assert predict(bundle, scans, scans / "a.nii.gz", options=("--format", "nii")) == 0
    assert (scans / "a" / MASK).is_file()
    assert predict(bundle, scans.parent, scans, options=("--format", "nii")) == 0
    assert (scans.parent / "b" / MASK).is_file()


def test_a_table_is_replaced_only_where_it_is_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, out = tiny_radiograph_bundle(tmp_path / "tiny"), tmp_path / "out"
    chest_folder(tmp_path / "in")
    table = out / "cases.csv"
    for _ in range(2):
        assert predict(own, out, tmp_path / "in", options=()) == 0
        assert len(table.read_text().splitlines()) == 5
    table.write_text(table.read_text().replace("normal", "?"))
    mine = table.read_bytes()
    _ = said(capsys)
    assert predict(own, out, tmp_path / "in", options=("--overwrite",)) == 2
    lines, (error,) = said(capsys)
    assert (lines, error[:8]) == ([], "medvol: ")
    assert f"E_OUTPUT {table}: it would be replaced, but was changed" in error
    assert table.read_bytes() == mine
    assert predict(own, tmp_path / "in", tmp_path / "in", options=()) == 2
    assert f"E_OUTPUT {tmp_path / 'in'}: " in said(capsys)[1][0]


def test_results_are_never_taken_for_input(
    tmp_path: Path, bundle: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a folder in which results lie, as they came to lie there before it was refused
    assert predict(bundle, tmp_path / "out", scans, options=()) == 0
    shutil.copytree(tmp_path / "out" / "a", scans, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "out" / "b", scans / "b")
    _ = said(capsys)
    assert predict(bundle, tmp_path / "again", scans) == 0
    assert [line.split(":")[0] for line in said(capsys)[0]] == ["a", "b"]
    own = tiny_radiograph_bundle(tmp_path / "tiny")  # overlay.png is not a radiograph
    assert predict(own, tmp_path / "x", scans, options=()) == 2
    error = said(capsys)[1][0]
    assert "E_EMPTY" in error
    assert "What medvol wrote as results is never taken for an image." in error


def test_a_patient_with_results_beside_the_pictures_is_read_and_is_current(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tiny_brain_bundle(tmp_path / "brain")
    patient = save_slices(tmp_path / "patients" / "P1", tiny_brain())
    assert predict(own, tmp_path / "out", tmp_path / "patients", options=()) == 0
    first = contents(tmp_path / "out" / "P1")
    assert "masks" in first
    shutil.copytree(tmp_path / "out" / "P1", patient, dirs_exist_ok=True)
    _ = said(capsys)
    assert predict(own, tmp_path / "out", tmp_path / "patients", options=()) == 0
    assert "complete already" in said(capsys)[0][0]
    assert predict(own, tmp_path / "new", tmp_path / "patients", options=()) == 0
    assert (tmp_path / "new" / "P1" / MASK).read_bytes() == first[MASK]


def test_an_input_that_changes_while_it_is_read_is_refused_and_the_rest_goes_on(
    bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    hashed = unchanged.input_sha256

    def disturbed(path: Path, pair: tuple[Path, ...] = ()) -> str:
        digest = hashed(path, pair)
        if path.name == "a.nii.gz":
            path.write_bytes(path.read_bytes() + b"\0")
        return digest

    monkeypatch.setattr(unchanged, "input_sha256", disturbed)
    assert predict(bundle, tmp_path / "out", scans) > 0
    lines, (error, *_) = said(capsys)
    assert error.startswith(f"medvol: E_CHANGED {scans / 'a.nii.gz'}: it changed while a.nii.gz")
    assert [line.split(":")[0] for line in lines] == ["b"]
    assert os.listdir(tmp_path / "out") == ["b"]


def test_the_checksum_is_of_what_was_read(
    bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hashlib import sha256

    from medvol.engine.pipeline import Pipeline

    read = sha256((scans / "a.nii.gz").read_bytes()).hexdigest()
    run = Pipeline.run

    def disturbed(self, image, **more):
        (scans / "a.nii.gz").unlink()
        return run(self, image, **more)

    monkeypatch.setattr(Pipeline, "run", disturbed)
    assert predict(bundle, tmp_path / "out", scans / "a.nii.gz") == 0
    record = json.loads((tmp_path / "out" / "a" / "run.json").read_text())
    assert record["input"]["sha256"] == read


def test_what_an_answer_lacks_is_said(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--format", "rle", "nii")
    assert predict(bundle, tmp_path / "out", scans / "a.nii.gz", options=options) == 0
    _, (remark,) = said(capsys)
    assert remark == "medvol: a: It has no mask of slice pictures, so there is no rle."
    assert sorted(os.listdir(tmp_path / "out" / "a")) == ["run.json", MASK]


def test_nothing_half_done_stays_of_a_process_that_was_ahead_of_what_was_printed(
    bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(InlineChild):
        def each(self, *_, **__):
            (tmp_path / "out" / "b" / ".medvol-77-x").mkdir(parents=True)
            self.ended.append(77)
            raise Stopped(signal.SIGTERM)
            yield

    monkeypatch.setattr("medvol.engine.child.Child", Ahead)
    (tmp_path / "out").mkdir()
    assert predict(bundle, tmp_path / "out", scans) == 128 + signal.SIGTERM
    assert contents(tmp_path / "out") == {}
