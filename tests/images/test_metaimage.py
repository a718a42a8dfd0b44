# SPDX-License-Identifier: Apache-2.0
"""Reading MetaImage: what SimpleITK writes reads back the same; what is wrong is refused."""

import zlib

import numpy as np
import pytest
import SimpleITK
from phantoms import TINY_AFFINE, tiny_chest
from refusals import refused

from medvol.images import read_image

CT = tiny_chest().ct
FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-30 -40 -20",
    "ElementSpacing": "2 2 4",
    "DimSize": "32 32 16",
    "ElementType": "MET_SHORT",
}


def write(path, data=None, *, file="LOCAL", **changed):
    """Write the tiny chest; a field of None is left out."""
    fields = {**FIELDS, **changed, "ElementDataFile": file}
    head = "".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None)
    if data is None:
        data = CT.tobytes(order="F")
        data = zlib.compress(data) if fields["CompressedData"] == "True" else data
    path.write_bytes(head.encode() + data)
    return path


@pytest.mark.parametrize("packed", [True, False], ids=["zlib", "raw"])
@pytest.mark.parametrize("name", ["ct.mha", "ct.mhd"])
def test_reads_what_itk_writes(tmp_path, name, packed):
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    written = SimpleITK.GetImageFromArray(CT.transpose(2, 1, 0))
    written.SetSpacing((2.0, 3.0, 4.0))
    written.SetOrigin((-30.0, -40.0, -20.0))
    written.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    SimpleITK.WriteImage(written, tmp_path / name, useCompression=packed)
    image = read_image(tmp_path / name)
    lps = np.array([[2 * c, -3 * s, 0, -30], [2 * s, 3 * c, 0, -40], [0, 0, 4, -20], [0, 0, 0, 1]])
    np.testing.assert_allclose(image.affine, np.diag([-1, -1, 1, 1]) @ lps, atol=1e-12)
    np.testing.assert_array_equal(image.array, CT)
    assert image.notes == ()
    assert image.facts == {"format": "MetaImage", "stored_dtype": "int16"}
    data = sorted(set(tmp_path.iterdir()) - {tmp_path / name})
    assert list(image.pair) == ([tmp_path / name, *data] if name == "ct.mhd" else [])
    assert len(data) == (name == "ct.mhd")


def test_tiny_affine(tmp_path):
    np.testing.assert_array_equal(read_image(write(tmp_path / "ct.mha")).affine, TINY_AFFINE)


def test_big_endian(tmp_path):
    data = CT.astype(">i2").tobytes(order="F")
    path = write(tmp_path / "ct.mha", data, BinaryDataByteOrderMSB="True")
    np.testing.assert_array_equal(read_image(path).array, CT)


@pytest.mark.parametrize("size", ["-1", "5"])
def test_data_behind_a_foreign_header(tmp_path, size):
    (tmp_path / "ct.raw").write_bytes(b"01234" + CT.tobytes(order="F"))
    path = write(tmp_path / "ct.mhd", b"", file="ct.raw", HeaderSize=size)
    np.testing.assert_array_equal(read_image(path).array, CT)


@pytest.mark.parametrize("name", ["./ct.raw", "Lister.raw", "list.raw", "100%.raw", "a %d.raw"])
def test_names_of_data_files(tmp_path, name):
    (tmp_path / name).write_bytes(CT.tobytes(order="F"))
    path = write(tmp_path / "made.mhd", b"", file=name)
    image = read_image(path)
    np.testing.assert_array_equal(image.array, CT)
    assert image.pair == (path, tmp_path / name)
    if name in ("./ct.raw", "list.raw"):  # ITK itself takes the others for lists
        itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))
        np.testing.assert_array_equal(itk.transpose(2, 1, 0), CT)


def test_a_name_and_a_comment_in_latin_1(tmp_path):
    (tmp_path / "Müller.raw").write_bytes(CT.tobytes(order="F"))
    path = write(tmp_path / "ct.mhd", b"", file="NAME", Comment="Gerät")
    head = path.read_bytes().replace(b"NAME", b"M\xfcller.raw")
    path.write_bytes(head.replace("Gerät".encode(), b"Ger\xe4t"))
    np.testing.assert_array_equal(read_image(path).array, CT)


@pytest.mark.parametrize("first", ["BinaryData", "CompressedData", "NDims"])
def test_any_field_may_come_first(tmp_path, first):
    path = write(tmp_path / "ct.mha")
    head, mark, data = path.read_bytes().partition(b"ElementDataFile")
    lines = sorted(head.decode().splitlines(), key=lambda line: not line.startswith(first + " "))
    path.write_bytes("\n".join([*lines, ""]).encode() + mark + data)
    assert path.read_bytes().startswith(first.encode())
    np.testing.assert_array_equal(read_image(path).array, CT)
    itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))
    np.testing.assert_array_equal(itk.transpose(2, 1, 0), CT)


def test_one_frame_of_4d_is_squeezed(tmp_path):
    path = write(
        tmp_path / "ct.mha", NDims="4", DimSize="32 32 16 1", Offset="-30 -40 -20 0",
        ElementSpacing="2 2 4 1", TransformMatrix="1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
    )  # fmt: skip
    image = read_image(path)
    np.testing.assert_array_equal(image.array, CT)
    np.testing.assert_array_equal(image.affine, TINY_AFFINE)
    assert [note.code for note in image.notes] == ["N_SQUEEZED"]


def test_a_name_that_is_not_utf_8(tmp_path):
    path = write(tmp_path / b"\xff.mha".decode("utf-8", "surrogateescape"))
    np.testing.assert_array_equal(read_image(path).array, CT)


@pytest.mark.parametrize(
    ("changed", "code", "reason", "remedy"),
    [
        ({"ElementType": "MET_STRING"}, "E_FORMAT", "'MET_STRING'", "MET_SHORT"),
        ({"BinaryData": "False"}, "E_FORMAT", "written as text", "binary data"),
        ({"file": "LIST"}, "E_FORMAT", "several data files", "one .mha file"),
        ({"file": "ct_%03d.raw 1 16 1"}, "E_FORMAT", "several data files", "one .mha file"),
        ({"DimSize": "32 nan 16"}, "E_CORRUPT", "'DimSize' is missing or damaged", "again"),
        ({"NDims": "4"}, "E_CORRUPT", "disagree", "again"),
        ({"BinaryData": "x"}, "E_CORRUPT", "'BinaryData' is neither True nor False", "again"),
        ({"CenterOfRotation": "0 0"}, "E_CORRUPT", "'CenterOfRotation' is damaged", "again"),
        ({"Comment": "a\0b"}, "E_CORRUPT", "not text", "again"),
        ({"Comment": "a\nb"}, "E_CORRUPT", "the line 'b'", "again"),
        ({"Comment": "a\nNDims = 3"}, "E_CORRUPT", "'NDims' twice", "again"),
        ({"HeaderSize": "x"}, "E_CORRUPT", "'HeaderSize' is missing or damaged", "again"),
        ({"DimSize": "32 32 17"}, "E_TRUNCATED", "promises 34816 bytes", "again"),
        ({"DimSize": "32 32 15"}, "E_CORRUPT", "more than the 30720 bytes", "Export"),
        ({"DimSize": "32 32 -16"}, "E_DIMS", "no voxels", "Export"),
        ({"DimSize": "32 512 1"}, "E_DIMS", "one slice", "whole volume"),
        ({"DimSize": "99999 99999 99999"}, "E_TOO_BIG", "the limit is", "Crop"),
        ({"ElementNumberOfChannels": "3"}, "E_VALUES", "3 numbers", "grey value"),
        ({"ElementNumberOfChannels": "2"}, "E_DIMS", "2 numbers", "grey value"),
        ({"Offset": None}, "E_GEOMETRY", "offset (Offset) is not given", "DICOM"),
        ({"ElementSpacing": None}, "E_GEOMETRY", "spacing (ElementSpacing)", "DICOM"),
        ({"TransformMatrix": "1 0 0 1"}, "E_GEOMETRY", "matrix (TransformMatrix)", "DICOM"),
        ({"ElementSpacing": "2 0 4"}, "E_GEOMETRY", "zero axis", "DICOM"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_refused(tmp_path, changed, code, reason, remedy):
    refused(write(tmp_path / "ct.mha", **changed), code, reason, remedy)


def test_header_without_its_end(tmp_path):
    (tmp_path / "ct.mha").write_bytes(b"ObjectType = Image\nNDims = 3\n")
    refused(tmp_path / "ct.mha", "E_TRUNCATED", "come to its end", "again")


def test_cut_compressed_data(tmp_path):
    path = write(tmp_path / "ct.mha", CompressedData="True")
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, "E_TRUNCATED", "stops before its end", "again")


@pytest.mark.parametrize(("more", "code"), [(0, None), (1, "E_CORRUPT"), (-1, "E_CORRUPT")])
def test_size_of_the_compressed_data(tmp_path, more, code):
    size = len(zlib.compress(CT.tobytes(order="F"))) + more
    path = write(tmp_path / "ct.mha", CompressedData="True", CompressedDataSize=size)
    if code:
        refused(path, code, f"its header says {size}.", "again")
    else:
        np.testing.assert_array_equal(read_image(path).array, CT)


def test_wrong_checksum(tmp_path):
    path = write(tmp_path / "ct.mha", CompressedData="True")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refused(path, "E_CORRUPT", "incorrect data check", "again")


@pytest.mark.parametrize("name", ["../ct.raw", "/ct.raw"])
def test_a_data_file_outside_the_folder(tmp_path, name):
    path = write(tmp_path / "ct.mhd", b"", file=name)
    refused(path, "E_PATH", "not in the header's folder", "one folder")


def test_a_missing_data_file(tmp_path):
    path = write(tmp_path / "ct.mhd", b"", file="ct.raw")
    refused(path, "E_PATH", "'ct.raw', which is not there", "one folder")
