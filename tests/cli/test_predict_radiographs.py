# SPDX-License-Identifier: Apache-2.0
"""`medvol predict` with a bundle for radiographs: from files to the table; through MONAI too."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid
from radiographs import chest_folder, chest_like, save_picture
from refusals import children_s
from tiny_bundle import tiny_bundle, tiny_network, tiny_radiograph_bundle
from trusted import trusted

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.engine.pipeline import Pipeline
from medvol.owned import MANIFEST
from medvol.tasks.cases import find_cases
from medvol.tasks.task import task_of

HEADER = ["case", "file", "state", "answer", "probability_normal", "probability_pneumonia",
          "notes", "refusal", "reason", "remedy", "seconds", "read_s", "prepare_s", "network_s",
          "restore_s", "measure_s", "write_s"]  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trusted(tiny_radiograph_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    chest_folder(tmp_path / "in")
    return tmp_path / "in"


def predict(bundle: Path, output: Path, *images: Path, options: tuple[str, ...] = ()) -> int:
    words = [*map(str, images), "--bundle", str(bundle), "--output", str(output), *options]
    return main(["predict", *words, "--device", "cpu"])


def table(output: Path) -> list[list[str]]:
    """Of each line of cases.csv: case, answer, probabilities, and notes or why it was refused."""
    with (output / "cases.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == HEADER
    return [[x[0], *x[3:6], f"{x[7]} {x[8]}" if x[2] == "refused" else x[6]] for x in lines]


def by_hand(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Softmax of the tiny network on a picture of 32 x 32, by the words of the chain."""
    values = grey.astype(np.float64) / 255
    normal = torch.from_numpy((values - values.mean()) / values.std()).float()
    with torch.no_grad():
        scores = tiny_network()(normal[None, None])[0].double().numpy()
    return np.exp(scores) / np.exp(scores).sum()


def test_values_are_those_of_the_network_computed_by_hand(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    greys = [chest_like(seed, (32, 32)) for seed in range(3)]
    paths = [save_picture(tmp_path / f"x{seed}.png", grey) for seed, grey in enumerate(greys)]
    assert predict(bundle, tmp_path / "out", *paths) == 0
    for line, path, grey in zip(table(tmp_path / "out"), paths, greys, strict=True):
        expected = by_hand(grey)
        best = int(expected.argmax())
        assert line[:2] == [path.stem, ["normal", "pneumonia"][best]]
        np.testing.assert_allclose([float(p) for p in line[2:4]], expected, atol=3e-6)
        assert line[4] == ""
    said = capsys.readouterr()
    assert said.err == ""
    *lines, summary = said.out.splitlines()
    pattern = r"(x\d): (normal|pneumonia) [01]\.\d\d \(\d\.\d s\)"
    assert [re.fullmatch(pattern, x)[1] for x in lines] == ["x0", "x1", "x2"]
    assert re.fullmatch(
        r"3 images: [0-3] normal, [0-3] pneumonia \([\d.]+ s, [\d.]+ (images/s|s an image)\) -> .*",
        summary,
    )
    tables = [str(tmp_path / "out" / name) for name in ("cases.csv", "index.html", "cases.json")]
    assert summary.endswith(", ".join(tables))


def test_folders_in_folders_in_natural_order(bundle: Path, folder: Path, tmp_path: Path) -> None:
    assert predict(bundle, tmp_path / "out", folder) == 0
    assert [line[0] for line in table(tmp_path / "out")] == ["a/x1", "a/x2", "a/x10", "b/c/x1"]
    made = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert made == [MANIFEST, "cases.csv", "cases.json", "index.html"]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_changes_nothing(
    bundle: Path, folder: Path, tmp_path: Path, batch_size: int
) -> None:
    predict(bundle, tmp_path / "a", folder)
    predict(bundle, tmp_path / "b", folder, options=("--batch-size", str(batch_size)))
    assert table(tmp_path / "a") == table(tmp_path / "b")


def test_one_broken_image_among_good_ones(
    bundle: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = folder / "a" / "x3.png"
    broken.write_bytes((folder / "a" / "x1.png").read_bytes()[:-200])
    assert predict(bundle, tmp_path / "out", folder) == 2
    lines = table(tmp_path / "out")
    assert [bool(line[1]) for line in lines] == [True, True, False, True, True]
    assert lines[2][:4] == ["a/x3", "", "", ""]
    assert lines[2][4].startswith("E_TRUNCATED it cannot be read to its end")
    said = capsys.readouterr()
    remark, line, *listed = said.err.splitlines()
    assert listed[0] == "medvol: 1 of 5 failed:"
    assert listed[1].startswith(f"  E_TRUNCATED {broken}: it cannot be read to its end")
    assert len(listed) == 2
    assert remark == (
        f"medvol: {folder}: N_OTHER 1 file was passed by: 1 .txt (such as notes.txt)."
    )
    assert line.startswith(f"medvol: E_TRUNCATED {broken}: ")
    assert ", 1 refused (" in said.out.splitlines()[-1]


@pytest.mark.parametrize("what", ["image", "folder", "missing", "bundle", "weights"])
def test_refusal_is_quick_without_torch_and_leaves_nothing(
    bundle: Path, tmp_path: Path, what: str
) -> None:
    image = save_picture(tmp_path / "in" / "x.png", chest_like(0))
    named = bundle
    if what == "image":
        image.write_bytes(b"")
        trusted(bundle)  # one that is new here is looked at first, once
    elif what == "folder":
        image.unlink()
        image = image.parent
    elif what == "missing":
        image = tmp_path / "nothing.png"
    elif what == "bundle":
        named = tiny_radiograph_bundle(tmp_path / "b")
        metadata = json.loads((named / "configs" / "metadata.json").read_text())
        metadata["network_data_format"]["outputs"]["pred"].pop("channel_def")
        (named / "configs" / "metadata.json").write_text(json.dumps(metadata))
    else:
        named = tiny_radiograph_bundle(tmp_path / "b")
        (named / "models" / "model.pt").unlink()
    code = (
        "import sys; from medvol.cli import main; status = main(sys.argv[1:]); "
        "print(status, sorted({'torch', 'monai', 'matplotlib'} & set(sys.modules)))"
    )
    words = ["predict", str(image), "--bundle", str(named), "--output", str(tmp_path / "out")]
    started = children_s()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert children_s() - started < 5
    assert done.stdout.strip() == "2 []"
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_strict_refuses_what_has_a_note(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = save_picture(tmp_path / "good.png", chest_like(0))
    odd = tmp_path / "odd.png"
    odd.write_bytes(save_picture(tmp_path / "x.jpg", chest_like(0)).read_bytes())
    assert predict(bundle, tmp_path / "out", good, odd) == 0
    assert "odd: " in (said := capsys.readouterr().out)
    assert " [N_FORMAT its content is JPEG whatever its name says.]\n" in said
    assert table(tmp_path / "out")[1][4].startswith("N_FORMAT its content is JPEG")
    assert predict(bundle, tmp_path / "out", good, odd, options=("--strict",)) == 2
    assert table(tmp_path / "out")[1][1:4] == ["", "", ""]
    assert table(tmp_path / "out")[1][4].startswith("E_VALUES it would be used with a note, N_FO")
    assert predict(bundle, tmp_path / "none", odd, options=("--strict",)) == 2
    assert not (tmp_path / "none" / "cases.csv").exists()


def test_names_tell_images_apart(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("a/x.png", "b/x.png", "b/x.jpg", "x.png"):
        save_picture(folder / name, chest_like(0))
    task = task_of(read_spec(bundle))
    cases = find_cases(task, [folder, folder / "a" / "x.png"])
    assert [case.name for case in cases] == ["a/x", "b/x", "b/x_2", "x", "x_2"]
    (tmp_path / "none").mkdir()
    empty, x = find_cases(task, [tmp_path / "none", folder / "x.png"])
    assert empty.error is not None
    assert (empty.error.code, x.error, x.name) == ("E_EMPTY", None, "x")


@pytest.mark.parametrize(
    "options",
    [("--gate", "0"), ("--series", "1.2"), ("--spacing", "1", "1", "1")],
    ids=lambda options: options[0],
)
def test_options_of_volumes(
    bundle: Path, folder: Path, tmp_path: Path, options: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert predict(bundle, tmp_path / "out", folder, options=options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        f"it takes radiographs, for which there is no {options[0]}. Leave out {options[0]}."
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [("--attention", "occlusion"), ("--batch-size", "8")],
    ids=lambda options: options[0],
)
def test_options_of_radiographs(
    tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    volumes = tiny_bundle(tmp_path / "volumes")
    assert predict(volumes, tmp_path / "out", tmp_path, options=options) == 2
    assert f"it takes volumes, for which there is no {options[0]}" in capsys.readouterr().err


def test_formats_of_a_mask_are_refused(
    bundle: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(bundle, tmp_path / "out", folder, options=("--format", "json", "nii")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "its answers have no mask, so there is no nii" in line
    assert line.endswith(
        "give some of cases, index, cases-json, attention, dicom-sr, dicom-sc, thumbnail, html, "
        "json."
    )
    assert not (tmp_path / "out").exists()


def test_a_record_of_each_image(bundle: Path, tmp_path: Path) -> None:
    image = save_picture(tmp_path / "x.png", chest_like(0))
    assert predict(bundle, tmp_path / "out", image, options=("--format", "json")) == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["x"]
    record = json.loads((tmp_path / "out" / "x" / "run.json").read_text())
    assert record["answer"] in record["classes"]["probability"]
    assert sum(record["classes"]["probability"].values()) == pytest.approx(1, abs=1e-5)
    assert "measurements" not in record
    assert record["input"]["shape"] == [48, 40]


def test_a_batch_of_nothing(
    bundle: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(bundle, tmp_path / "out", folder, options=("--batch-size", "0")) == 2
    assert "batch_size is 0; give 1 or more" in capsys.readouterr().err


def test_output_that_cannot_be_written(
    bundle: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    assert predict(bundle, tmp_path / "out", folder) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"medvol: E_OUTPUT {tmp_path / 'out'}: it is a file")
    assert said.out == ""  # said before any image was looked at


def test_many_images_get_one_line(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(21):
        save_picture(tmp_path / "in" / f"{index}.png", chest_like(index % 3))
    assert predict(bundle, tmp_path / "out", tmp_path / "in") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("21 images: ")
    assert len(table(tmp_path / "out")) == 21


@pytest.mark.parametrize("options", [("--report",), ("--attention", "occlusion")])
def test_a_page_for_each_image(
    bundle: Path, folder: Path, tmp_path: Path, options: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (folder / "b" / "bad.png").touch()
    for name in ("a/x2.png", "a/x10.png"):
        (folder / name).unlink()
    assert predict(bundle, tmp_path / "out", folder, options=options) == 2
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    cases = ("a/x1", "b/c/x1")
    files = ("overlay.png", "report.html", "run.json", "thumbnail.jpg")
    assert made == {"cases.csv", "cases.json", "index.html", MANIFEST} | {
        f"{c}/{file}" for c in cases for file in files
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f" -> {tmp_path / 'out' / 'a' / 'x1'}")
    page = (tmp_path / "out" / "a" / "x1" / "report.html").read_text(encoding="utf-8")
    name, probability = table(tmp_path / "out")[0][1], table(tmp_path / "out")[0][2:4]
    assert f"<strong>{name.capitalize()}</strong>" in page
    for value in probability:
        assert f">{float(value):.4f}</td>" in page
    assert ("Grad-CAM" if options == ("--report",) else "occlusion") in page
    assert str(tmp_path) not in page  # folders may name the patient


def test_a_chain_without_maps_is_refused_before_any_image(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [{"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
             {"_target_": "Resized", "keys": "image", "spatial_size": [32, 32]}]  # fmt: skip
    chain = {"preprocessing": {"_target_": "Compose", "transforms": steps}}
    stock = trusted(tiny_radiograph_bundle(tmp_path / "stock", chain))
    assert predict(stock, tmp_path / "out", folder, options=("--report",)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "chain is not medvol's for radiographs" in said.err
    assert not (tmp_path / "out").exists()
    assert predict(stock, tmp_path / "out", folder) == 0


def test_a_chain_that_reads_itself_reads_what_was_checked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    steps = [{"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
             {"_target_": "Resized", "keys": "image", "spatial_size": [32, 32]}]  # fmt: skip
    chain = {"preprocessing": {"_target_": "Compose", "transforms": steps}}
    stock = trusted(tiny_radiograph_bundle(tmp_path / "stock", chain))
    prepare, changed = Pipeline.prepare, folder / "a" / "x2.png"

    def disturbed(self, image):
        if image.path == changed:
            save_picture(changed, chest_like(5))
        return prepare(self, image)

    monkeypatch.setattr(Pipeline, "prepare", disturbed)
    assert predict(stock, tmp_path / "out", folder) == 2
    assert [bool(line[1]) for line in table(tmp_path / "out")] == [True, False, True, True]
    assert f"E_CHANGED {changed}: it changed since it was read first." in capsys.readouterr().err


def test_through_monai(bundle: Path, folder: Path, forked_python: str, tmp_path: Path) -> None:
    """Pictures of several sizes and kinds in one batch; table and notes are the same."""
    save_picture(folder / "a" / "x3.png", chest_like(7).astype(np.uint16) * 257)
    Image.fromarray(np.stack([chest_like(8, (70, 50))] * 3, -1)).save(folder / "a" / "x4.tiff")
    jpeg = save_picture(folder / "y.jpg", chest_like(9))
    (folder / "a" / "x5.png").write_bytes(jpeg.read_bytes())
    assert predict(bundle, tmp_path / "ours", folder) == 0
    words = ["--config_file", str(bundle / "configs" / "inference.json"), "--bundle_root",
             str(bundle), "--dataset_dir", str(folder), "--output_dir", str(tmp_path / "theirs"),
             "--batch_size", "4"]  # fmt: skip
    done = subprocess.run(
        [forked_python, "-m", "monai.bundle", "run", *words], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1"},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ours = table(tmp_path / "ours")
    with (tmp_path / "theirs" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        theirs = list(csv.DictReader(file))
    assert len(ours) == 8
    for (case, answer, *shares, notes), other in zip(ours, theirs, strict=True):
        path = Path(other["image"]).relative_to(folder)
        assert [case, answer, notes] == [
            path.with_suffix("").as_posix(), other["class"], other["notes"]
        ]  # fmt: skip
        named = [float(other[f"probability_{name}"]) for name in ("normal", "pneumonia")]
        np.testing.assert_allclose([float(p) for p in shares], named, atol=2e-6)
    assert sum(bool(line[4]) for line in ours) == 1  # the JPEG that is called .png


def save_cr(path: Path, grey: npt.NDArray[np.uint8]) -> Path:
    """A computed radiograph of 8 bits, as DICOM."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    header.Modality, header.SamplesPerPixel = "CR", 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns = grey.shape
    header.BitsAllocated, header.BitsStored, header.HighBit = 8, 8, 7
    header.PixelRepresentation = 0
    header.PixelData = grey.tobytes()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(path, header, enforce_file_format=True)
    return path


def rows_of(bundle: Path, output: Path, *paths: Path) -> list[Any]:
    assert predict(bundle, output, *paths) == 0
    return [line[1:] for line in table(output)]


def test_twins_of_other_formats_have_equal_rows(bundle: Path, tmp_path: Path) -> None:
    grey = chest_like(5)
    twins = [
        save_picture(tmp_path / "8.png", grey),
        save_picture(tmp_path / "16.png", grey.astype(np.uint16) * 257),
        save_picture(tmp_path / "colour.png", np.stack([grey] * 3, -1)),
        save_picture(tmp_path / "8.bmp", grey),
        save_picture(tmp_path / "16.tiff", grey.astype(np.uint16) * 257),
    ]
    first, *others = rows_of(bundle, tmp_path / "out", *twins)
    assert first[-1] == ""
    assert others == [first] * 4


def test_a_twin_kept_as_dicom(bundle: Path, tmp_path: Path) -> None:
    grey = chest_like(5)
    twins = save_picture(tmp_path / "x.png", grey), save_cr(tmp_path / "x.dcm", grey)
    first, second = rows_of(bundle, tmp_path / "out", *twins)
    assert first == second
