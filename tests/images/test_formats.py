# SPDX-License-Identifier: Apache-2.0
"""The one way in: paths, formats by content, a format that is added, the cost of refusals."""

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_phantoms import ct_series, write
from phantoms import TINY_AFFINE, save_nifti, tiny_chest
from refusals import refused

from medvol.cli.inspect import add_parser
from medvol.images import read_image
from medvol.images.find import case_name, find_radiographs, find_volumes
from medvol.images.formats import FORMATS, Format, suffixes
from medvol.images.image import Image

CT = tiny_chest().ct


def save(path):
    return save_nifti(path, CT, TINY_AFFINE)


def test_hu_with_ras_affine_and_what_monai_looks_for(tmp_path):
    path = save_nifti(tmp_path / "ct.nii.gz", CT[..., None], TINY_AFFINE)
    volume = read_image(path)
    assert (volume.array.shape, volume.array.dtype) == (CT.shape, np.int16)
    np.testing.assert_array_equal(volume.array, CT)
    np.testing.assert_array_equal(volume.affine, TINY_AFFINE)
    np.testing.assert_array_equal(volume.meta["original_affine"], TINY_AFFINE)
    assert volume.meta["original_channel_dim"] == "no_channel"
    assert volume.meta["filename_or_obj"] == str(path)
    assert volume.meta["spatial_shape"] == [32, 32, 16]
    assert volume.meta["notes"] == [
        ["N_SQUEEZED", "4D with one frame (32 x 32 x 16 x 1), used as 3D."]
    ]
    assert volume.meta["facts"] == {"format": "NIfTI-1", "stored_dtype": "int16"}


# ---- paths


def test_no_such_file(tmp_path):
    refused(tmp_path / "ct.nii.gz", "E_PATH", "no such file", "Check the name")


def test_empty_file(tmp_path):
    (tmp_path / "ct.nii.gz").touch()
    refused(tmp_path / "ct.nii.gz", "E_EMPTY", "0 bytes", "again")


def test_empty_folder(tmp_path):
    refused(tmp_path, "E_EMPTY", "holds no file", "DICOM")


def test_loop_of_links(tmp_path):
    (tmp_path / "a.nii").symlink_to(tmp_path / "b.nii")
    (tmp_path / "b.nii").symlink_to(tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "E_PATH", "Too many levels of symbolic links", "can be opened")


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.zip", "ct.nrrd"])
def test_a_folder_with_the_name_of_a_file(tmp_path, name):
    (tmp_path / name).mkdir()
    refused(tmp_path / name, "E_PATH", "a folder, not a file", "image file")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "ct.nii.gz")
    refused(tmp_path / "ct.nii.gz", "E_PATH", "a pipe", "image file")


def test_a_name_with_a_null_byte():
    refused("ct\0.nii", "E_PATH", "null byte", "can be opened")


def test_no_permission(tmp_path, monkeypatch):
    path = save(tmp_path / "ct.nii.gz")
    opened = type(path).open

    def denied(self, *args, **options):  # file modes do not bind the superuser
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **options)

    monkeypatch.setattr(type(path), "open", denied)
    refused(path, "E_PATH", "may not open it", "permission")


# ---- what it is


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", "it is a PNG picture, though its name says .nii.gz."),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n<HTML>", "a web page"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"hello", "its content is of no volume format that medvol reads, though its name says"),
        (b"\0", "no volume format"),
    ],
    ids=["PNG", "HTML", "HTML-upper", "JPEG", "text", "zero"],
)
def test_something_else_named_nii_gz(tmp_path, start, reason):
    (tmp_path / "ct.nii.gz").write_bytes(start + bytes(1000))
    refused(tmp_path / "ct.nii.gz", "E_FORMAT", reason, "")


def test_a_file_packed_twice(tmp_path):
    content = gzip.compress(gzip.compress(bytes(348)))
    (tmp_path / "ct.nii.gz").write_bytes(content)
    refused(tmp_path / "ct.nii.gz", "E_FORMAT", "packed twice with gzip, though", "Unpack it once")


def test_two_bytes_of_gzip(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"\x1f\x8b")
    refused(tmp_path / "ct.nii.gz", "E_TRUNCATED", "stops before its end", "again")


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    refused(tmp_path, "E_FORMAT", "it holds 1 file, but no DICOM image (1 .txt)", "DICOM slices")


def test_a_folder_of_dicom_slices(tmp_path):
    write(tmp_path / "case", ct_series())
    image = read_image(tmp_path / "case")
    assert image.array.shape == (16, 16, 8)
    assert image.facts["Modality"] == "CT"
    assert image.path == tmp_path / "case"


def test_one_slice_of_a_folder(tmp_path):
    write(tmp_path / "case", ct_series())
    path = sorted((tmp_path / "case").iterdir())[3]
    refused(path, "E_DIMS", "single DICOM slice", "Give the folder that holds all its slices")


# ---- a format that is added: one reader and one line

MARK = b"MADEUP"


def load_made_up(path: Path) -> Image:
    values = np.frombuffer(path.read_bytes()[len(MARK) :], np.int8).reshape(2, 3, 4)
    return Image(values, np.eye(4), path, facts={"format": "Made up", "stored_dtype": "int8"})


def load_made_up_radiograph(path: Path) -> Image:
    grey = load_made_up(path).array[..., 0].astype(np.float32) / 24
    return Image(grey, np.eye(4), path, facts={"format": "Made up"})


@pytest.fixture
def made_up(tmp_path: Path) -> Iterator[Path]:
    """A file of a format that is known during one test."""
    form = Format(
        "Made up", (".mup",), lambda head: head.startswith(MARK), load_made_up,
        load_made_up_radiograph,
    )  # fmt: skip
    path = tmp_path / "case2.mup"
    path.write_bytes(MARK + np.arange(24, dtype=np.int8).tobytes())
    FORMATS.append(form)
    yield path
    FORMATS.remove(form)


def test_an_added_format_is_known_by_content_and_by_name(made_up: Path) -> None:
    expected = np.arange(24).reshape(2, 3, 4)
    assert read_image(made_up).array.tolist() == expected.tolist()
    assert read_image(made_up, "mask").array.dtype == np.uint8
    radiograph = read_image(made_up, "radiograph").array
    assert radiograph.tolist() == (expected[..., 0].astype(np.float32) / 24).tolist()
    assert [note.code for note in read_image(made_up).notes] == ["N_SIZE"]
    odd = made_up.rename(made_up.with_suffix(".nii"))
    note = read_image(odd).notes[0]
    assert str(note) == "N_FORMAT its content is Made up whatever its name says."
    assert case_name(made_up) == "case2"
    assert ".mup" in suffixes()


def test_an_added_format_is_found_in_folders(made_up: Path) -> None:
    save(made_up.parent / "case1.nii.gz")
    below = made_up.parent / "deeper" / "case10.MUP"
    below.parent.mkdir()
    below.write_bytes(made_up.read_bytes())
    assert find_volumes(made_up.parent) == [made_up.parent / "case1.nii.gz", made_up]
    assert find_radiographs(made_up.parent) == [made_up, below]


def test_inspect_describes_an_added_format(
    made_up: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["inspect", "--json", str(made_up.parent)])
    assert args.run(args) == 0
    (facts,) = json.loads(capsys.readouterr().out)["images"]
    assert facts["path"] == str(made_up)
    assert (facts["facts"]["format"], facts["shape"]) == ("Made up", [2, 3, 4])


def test_without_its_line_the_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mup"
    path.write_bytes(MARK + bytes(24))
    refused(path, "E_FORMAT", "no volume format that medvol reads", "NIfTI")
    assert find_volumes(tmp_path) == []


def test_the_page_lists_every_format() -> None:
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (`\..*`) \| (.*) \|$", page, re.MULTILINE)
    assert rows == [
        (
            form.name,
            ", ".join(f"`{suffix}`" for suffix in form.suffixes),
            ", ".join(
                word
                for word in ("volume", "radiograph", "slice")
                if (form.slices if word == "slice" else getattr(form, word))
            ),
        )
        for form in FORMATS
    ]


# ---- cost

REFUSE = """
import sys
from pathlib import Path
from medvol.errors import InputError
from medvol.images import read_image
try:
    read_image(sys.argv[1])
except InputError as error:
    heavy = {"torch", "monai", "SimpleITK", "matplotlib"} & set(sys.modules)
    print(error.code, sorted(heavy), Path("/proc/self/status").read_text().split("VmHWM:")[1])
"""
MAX_RSS_MIB, MAX_SECONDS = 200, 5


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read there")
def test_a_refusal_is_quick_small_and_loads_no_torch(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((512, 512, 500), np.int16), TINY_AFFINE)  # 250 MiB
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(image.to_bytes(), 1)[:-100])
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", REFUSE, str(path)], capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - start
    code, heavy, peak_kib = done.stdout.split()[:3]
    assert (code, heavy) == ("E_TRUNCATED", "[]")
    assert int(peak_kib) < MAX_RSS_MIB * 1024
    assert seconds < MAX_SECONDS
