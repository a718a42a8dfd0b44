# SPDX-License-Identifier: Apache-2.0
"""A .zip of DICOM slices reads as its folder does; what is wrong with it is refused."""

import errno
import tempfile
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest
from dicom_phantoms import OTHER_UID, SERIES_UID, ct_series, write
from refusals import refused

from medvol.images import archive, read_image

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files that must be empty again after each test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def slices(tmp_path):
    write(tmp_path / "case", ct_series())
    return sorted((tmp_path / "case").iterdir())


def packed(path, files, *, method=zipfile.ZIP_DEFLATED, names=None):
    with zipfile.ZipFile(path, "w", method) as target:
        for number, file in enumerate(files):
            target.write(file, names[number] if names else f"study/series/{file.name}")
    return path


@pytest.mark.parametrize("method", METHODS)
def test_reads_as_the_folder_does(tmp_path, slices, method):
    path = packed(tmp_path / "case.zip", slices, method=method)
    image, folder = read_image(path), read_image(tmp_path / "case")
    np.testing.assert_array_equal(image.array, folder.array)
    np.testing.assert_array_equal(image.affine, folder.affine)
    assert image.path == path
    assert image.facts == folder.facts


JUNK = ["._IM000.dcm", ".nomedia", "__MACOSX/._IM", "Thumbs.db", ".DS_Store", "a/.hidden/IM"]


def test_the_folder_and_its_archive_give_the_same_notes(tmp_path, slices):
    """Empty and hidden members are passed by, whatever lies in them; other kinds are counted."""
    for name in (*JUNK, "readme.txt", "report.pdf", "DICOMDIR", "IM000 copy.dcm"):
        file = tmp_path / "case" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(slices[0].read_bytes() if name.startswith("IM0") else b"")
    files = sorted(file for file in (tmp_path / "case").rglob("*") if file.is_file())
    names = [str(file.relative_to(tmp_path)) for file in files]
    image = read_image(packed(tmp_path / "case.zip", files, names=names))
    folder = read_image(tmp_path / "case")
    np.testing.assert_array_equal(image.array, folder.array)
    assert (image.notes, image.facts) == (folder.notes, folder.facts)
    assert str(image.notes[0]) == (
        "N_OTHER 4 files were passed by: 1 .pdf, 1 .txt, 1 DICOMDIR, 1 duplicate."
    )


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("IM_0008", b"<html>", "E_FORMAT"), ("IM008.dcm", b"", "E_EMPTY"),
     ("CT.1.2.840.8", bytes(400), "E_TRUNCATED")],
)  # fmt: skip
def test_the_folder_and_its_archive_are_refused_alike(tmp_path, slices, name, content, code):
    (tmp_path / "case" / name).write_bytes(content)
    path = packed(tmp_path / "case.zip", [*slices, tmp_path / "case" / name])
    folder = refused(tmp_path / "case", code, "", "again", names=tmp_path / "case" / name)
    refused(path, code, folder.reason, folder.remedy, names=path / "study" / "series" / name)


def test_causes_name_the_members(tmp_path, slices):
    path = packed(tmp_path / "case.zip", slices[:3] + slices[4:])
    where = "1 missing between study/series/IM002.dcm and study/series/IM004.dcm (5.00 mm apart)"
    refused(path, "E_SERIES", where, "again")


@pytest.mark.parametrize(
    "names",
    [["IM"] * 8, ["IM", "im", "a/IM", "A/im", "IM/deeper", "a/IM/x", "IM/deeper/z", ""],
     ["x" * 300 + str(k) for k in range(8)], ["/".join("abc" * 30) + str(k) for k in range(8)],
     [f"患者 1\\スライス\n{k}" for k in range(8)]],
    ids=["equal", "nested", "long", "deep", "odd"],
)  # fmt: skip
def test_every_member_is_read_whatever_its_name(tmp_path, slices, names):
    doubled = len(set(names)) < 8
    with pytest.warns(UserWarning, match="Duplicate name") if doubled else nullcontext():
        path = packed(tmp_path / "case.zip", slices, names=names)
    np.testing.assert_array_equal(read_image(path).array, read_image(tmp_path / "case").array)


def test_names_of_other_systems_are_ignored_and_equal_names_kept_apart(tmp_path, slices):
    names = [f"{number}/IM" for number in range(len(slices))]
    path = packed(tmp_path / "case.zip", slices, names=names)
    with zipfile.ZipFile(path, "a") as target:
        target.writestr("__MACOSX/._IM", b"x")
        target.mkdir("empty")
        target.writestr("Windows\\folder\\", b"")
    np.testing.assert_array_equal(read_image(path).array, read_image(tmp_path / "case").array)


def test_several_series_are_listed_and_chosen(tmp_path, slices):
    write(tmp_path / "other", ct_series(series=OTHER_UID))
    others = sorted((tmp_path / "other").iterdir())
    names = [f"{number}.dcm" for number in range(len(slices) + len(others))]
    path = packed(tmp_path / "case.zip", [*slices, *others], names=names)
    error = refused(path, "E_SERIES", SERIES_UID, "--series")
    assert OTHER_UID in error.reason
    assert read_image(path, series=OTHER_UID).facts["SeriesInstanceUID"] == OTHER_UID


def test_a_bad_member_is_named(tmp_path, slices):
    slices[2].write_bytes(slices[2].read_bytes()[:-10])
    path = packed(tmp_path / "case.zip", slices)
    at_fault = path / "study" / "series" / slices[2].name
    refused(path, "E_TRUNCATED", "pixels", "again", names=at_fault)


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil"])
def test_a_name_that_leads_out(tmp_path, name):
    path = tmp_path / "case.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr(name, b"x")
    refused(path, "E_PATH", "leads out of the archive", "Do not trust it")
    assert not (tmp_path / "evil").exists()


def test_a_bomb(tmp_path):
    path = tmp_path / "case.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("IM0", bytes(archive.SMALL_BYTES + 1))
    refused(path, "E_TOO_BIG", "1 files of 64 MiB", "Unpack")


def test_more_than_the_limit(tmp_path, slices, monkeypatch):
    monkeypatch.setattr(archive, "MAX_INFLATED_BYTES", 1000)
    refused(packed(tmp_path / "case.zip", slices), "E_TOO_BIG", "would unpack", "Unpack")


def test_too_many_files(tmp_path, slices, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 7)
    refused(packed(tmp_path / "case.zip", slices), "E_TOO_BIG", "8 files", "Unpack")


def test_encrypted(tmp_path, slices):
    path = packed(tmp_path / "case.zip", slices)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    path.write_bytes(data)
    refused(path, "E_FORMAT", "encrypted", "Unpack")


def test_unknown_method(tmp_path, slices):
    path = packed(tmp_path / "case.zip", slices[:1])
    data = bytearray(path.read_bytes())
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 97
    path.write_bytes(data)
    refused(path, "E_DECODER", "does not read", "Unpack")


def test_cut(tmp_path, slices):
    path = packed(tmp_path / "case.zip", slices)
    path.write_bytes(path.read_bytes()[:-60])
    refused(path, "E_TRUNCATED", "before its list of contents", "again")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("where", [80, 200])
def test_damaged(tmp_path, slices, method, where):
    path = packed(tmp_path / "case.zip", slices, method=method)
    data = bytearray(path.read_bytes())
    data[where] ^= 255
    path.write_bytes(data)
    refused(path, "E_CORRUPT", "damaged", "again")


def test_contents_that_point_outside(tmp_path, slices):
    path = packed(tmp_path / "case.zip", slices)
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = b"\xff\xff\xff\x7f"  # where the list of contents should start
    path.write_bytes(data)
    refused(path, "E_CORRUPT", "archive", "again")


def test_a_member_without_a_name(tmp_path, slices):
    path = packed(tmp_path / "case.zip", slices, names=["", *"abcdefg"])
    np.testing.assert_array_equal(read_image(path).array, read_image(tmp_path / "case").array)


def test_empty(tmp_path):
    zipfile.ZipFile(tmp_path / "case.zip", "w").close()
    refused(tmp_path / "case.zip", "E_EMPTY", "no files", "again")


def test_without_dicom(tmp_path):
    path = tmp_path / "case.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("readme.txt", "hello")
    refused(path, "E_FORMAT", "it holds 1 file, but no DICOM image (1 .txt)", "DICOM")


def test_a_share_that_does_not_answer(tmp_path, slices, monkeypatch):
    def away(*_):
        raise OSError(errno.ESTALE, "Stale file handle")

    path = packed(tmp_path / "case.zip", slices)
    monkeypatch.setattr(archive.shutil, "copyfileobj", away)
    refused(path, "E_PATH", "does not answer", "local disk")


def test_no_room_for_temporary_files(tmp_path, slices, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = packed(tmp_path / "case.zip", slices)
    monkeypatch.setattr(archive.shutil, "copyfileobj", full)
    refused(path, "E_NOSPACE", "No space left on device", "Free some space")
