# SPDX-License-Identifier: Apache-2.0
"""The one way in: paths, dispatch by content, MetaTensor, finding volumes, the cost of refusals."""

import gzip
import os
import subprocess
import sys
import time

import nibabel
import numpy as np
import pytest
from dicom_phantoms import ct_series, write
from phantoms import TINY_AFFINE, save_nifti, tiny_chest
from refusals import refused

from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.volume import find_volumes, is_volume

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
        (b"\x89PNG\r\n\x1a\n", "a PNG picture, not the .gz its name says"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n<HTML>", "a web page"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"hello", "no known volume format"),
        (b"\0", "no known volume format"),
    ],
    ids=["PNG", "HTML", "HTML-upper", "JPEG", "text", "zero"],
)
def test_something_else_named_nii_gz(tmp_path, start, reason):
    (tmp_path / "ct.nii.gz").write_bytes(start + bytes(1000))
    refused(tmp_path / "ct.nii.gz", "E_FORMAT", reason, "")


def test_two_bytes_of_gzip(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"\x1f\x8b")
    refused(tmp_path / "ct.nii.gz", "E_TRUNCATED", "stops before its end", "again")


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    refused(tmp_path, "E_FORMAT", "none of its 1 files is a DICOM image", "DICOM slices")


def test_a_folder_of_dicom_slices(tmp_path):
    write(tmp_path / "case", ct_series())
    image = read_image(tmp_path / "case")
    assert image.array.shape == (16, 16, 8)
    assert image.facts["Modality"] == "CT"
    assert image.path == tmp_path / "case"


def test_one_slice_of_a_folder(tmp_path):
    write(tmp_path / "case", ct_series())
    path = sorted((tmp_path / "case").iterdir())[3]
    refused(path, "E_DIMS", "single DICOM slice", f"such as {tmp_path / 'case'}")


# ---- finding


def test_find_volumes_in_natural_order(tmp_path):
    for name in ("case10.nii.gz", "case2.nrrd", "case2.seg.nrrd", "a.txt", "b.hdr", "b.img"):
        (tmp_path / name).touch()
    write(tmp_path / "case3" / "series", ct_series())
    (tmp_path / "case4").mkdir()
    (tmp_path / "case4" / "readme.txt").write_text("nothing")
    found = [path.name for path in find_volumes(tmp_path)]
    assert found == ["case2.nrrd", "case3", "case10.nii.gz"]
    assert is_volume(tmp_path / "case3")
    assert not is_volume(tmp_path / "case4")
    assert not is_volume(tmp_path / "nowhere.nii.gz")


def test_a_folder_of_slices_is_one_volume(tmp_path):
    write(tmp_path, ct_series())
    assert find_volumes(tmp_path) == [tmp_path]


def test_dicom_beside_other_images_is_refused(tmp_path):
    write(tmp_path, ct_series()[:2])
    for name in ("b10.mha", "b9.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InputError) as caught:
        find_volumes(tmp_path)
    assert (caught.value.code, caught.value.path) == ("E_FORMAT", str(tmp_path))
    assert "DICOM files (2) beside other images (2, such as b9.nii.gz)" in caught.value.reason
    assert "into folders of their own" in caught.value.remedy


def test_what_is_no_image_may_lie_beside_dicom(tmp_path):
    write(tmp_path, ct_series()[:2])
    write(tmp_path / "deeper", ct_series()[2:])
    for name in ("report.pdf", "lungs.seg.nrrd", "b.hdr"):
        (tmp_path / name).touch()
    (tmp_path / "IM000.dcm").rename(tmp_path / "misnamed.nii")
    assert find_volumes(tmp_path) == [tmp_path]


def test_find_volumes_in_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"E_PATH .*nowhere: no such file or folder"):
        find_volumes(tmp_path / "nowhere")


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
