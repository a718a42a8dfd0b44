# SPDX-License-Identifier: Apache-2.0
"""Reading NRRD: what SimpleITK writes reads back the same; what is wrong is refused."""

import gzip
import os

import numpy as np
import pytest
import SimpleITK
from phantoms import TINY_AFFINE, tiny_chest
from refusals import refused

from medvol.images import read_image

CT = tiny_chest().ct
FIELDS = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "32 32 16",
    "space directions": "(2,0,0) (0,2,0) (0,0,4)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "gzip",
    "space origin": "(-30,-40,-20)",
}


def write(path, data=None, *, lines="", array=CT, **changed):
    """Write the tiny chest; a field of None is left out, `_` in a name stands for a blank."""
    fields = {**FIELDS, **{name.replace("_", " "): value for name, value in changed.items()}}
    head = "NRRD0004\n# made for a test\n"
    head += "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)
    if data is None:
        data = array.tobytes(order="F")
        data = gzip.compress(data) if "gz" in fields["encoding"] else data
    path.write_bytes(head.encode() + lines.encode() + b"\n" + data)
    return path


def itk_image():
    image = SimpleITK.GetImageFromArray(CT.transpose(2, 1, 0))
    image.SetSpacing((2.0, 2.0, 4.0))
    image.SetOrigin((-30.0, -40.0, -20.0))
    return image


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "raw"])
@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nhdr"])
def test_reads_what_itk_writes(tmp_path, name, packed):
    SimpleITK.WriteImage(itk_image(), tmp_path / name, useCompression=packed)
    image = read_image(tmp_path / name)
    np.testing.assert_array_equal(image.array, CT)
    np.testing.assert_allclose(image.affine, TINY_AFFINE)
    assert image.array.dtype == np.int16
    assert image.notes == ()
    assert image.facts == {"format": "NRRD", "stored_dtype": "int16"}
    data = sorted(set(tmp_path.iterdir()) - {tmp_path / name})
    assert list(image.pair) == ([tmp_path / name, *data] if name == "ct.nhdr" else [])
    assert len(data) == (name == "ct.nhdr")


def test_oblique_as_itk_writes_it(tmp_path):
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = itk_image()
    turned.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    SimpleITK.WriteImage(turned, tmp_path / "ct.nrrd")
    lps = np.array([[2 * c, -2 * s, 0, -30], [2 * s, 2 * c, 0, -40], [0, 0, 4, -20], [0, 0, 0, 1]])
    expected = np.diag([-1, -1, 1, 1]) @ lps
    np.testing.assert_allclose(read_image(tmp_path / "ct.nrrd").affine, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("space", "signs"),
    [("LPS", (-1, -1, 1)), ("right-anterior-superior", (1, 1, 1)), ("LAS", (-1, 1, 1))],
)
def test_spaces(tmp_path, space, signs):
    affine = read_image(write(tmp_path / "ct.nrrd", space=space)).affine
    np.testing.assert_array_equal(affine[:3, 3], np.multiply(signs, (-30, -40, -20)))
    np.testing.assert_array_equal(np.diag(affine)[:3], np.multiply(signs, (2, 2, 4)))


def test_big_endian_raw(tmp_path):
    data = CT.astype(">i2").tobytes(order="F")
    path = write(tmp_path / "ct.nrrd", data, endian="big", encoding="raw")
    np.testing.assert_array_equal(read_image(path).array, CT)


def test_microns_are_scaled(tmp_path):
    microns = {
        "space_directions": "(2000,0,0) (0,2000,0) (0,0,4000)",
        "space_origin": "(-30000,-40000,-20000)",
        "space_units": '"um" "um" "um"',
    }
    image = read_image(write(tmp_path / "ct.nrrd", **microns))
    np.testing.assert_allclose(image.affine, TINY_AFFINE)
    assert [note.code for note in image.notes] == ["N_UNITS"]


def test_a_list_axis_of_one_is_squeezed(tmp_path):
    path = write(
        tmp_path / "ct.nrrd", dimension="4", sizes="1 32 32 16", kinds="list domain domain domain",
        space_directions="none (2,0,0) (0,2,0) (0,0,4)",
    )  # fmt: skip
    image = read_image(path)
    np.testing.assert_array_equal(image.array, CT)
    assert [note.code for note in image.notes] == ["N_SQUEEZED"]


def test_key_value_pairs_and_line_ends_of_windows(tmp_path):
    path = write(tmp_path / "ct.nrrd", lines="Segment0_Name:=a: b\nsizes:=1 1 1\n")
    head, _, data = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + data)
    np.testing.assert_array_equal(read_image(path).array, CT)


@pytest.mark.parametrize("skips", [{"byte_skip": "-1"}, {"line_skip": "1", "byte_skip": "3"}])
def test_skips_of_raw_data(tmp_path, skips):
    data = b"a line\nabc" + CT.tobytes(order="F")
    path = write(tmp_path / "ct.nrrd", data, encoding="raw", **skips)
    np.testing.assert_array_equal(read_image(path).array, CT)


def test_a_name_that_is_not_utf_8(tmp_path):
    path = write(tmp_path / b"\xff.nrrd".decode("utf-8", "surrogateescape"))
    np.testing.assert_array_equal(read_image(path).array, CT)


@pytest.mark.parametrize(
    ("changed", "code", "reason", "remedy"),
    [
        ({"type": "block"}, "E_FORMAT", "type 'block'", "short or float"),
        ({"encoding": "bzip2"}, "E_FORMAT", "encoding 'bzip2'", "gzip or raw"),
        ({"data_file": "LIST"}, "E_FORMAT", "several data files", "one .nrrd file"),
        ({"endian": None}, "E_CORRUPT", "byte order", "again"),
        ({"sizes": "32 x 16"}, "E_CORRUPT", "'sizes' is missing or damaged", "again"),
        ({"sizes": None}, "E_CORRUPT", "'sizes' is missing or damaged", "again"),
        ({"dimension": "4"}, "E_CORRUPT", "disagree", "again"),
        ({"kinds": "domain domain"}, "E_CORRUPT", "'kinds' is damaged", "again"),
        ({"kinds": "domain domain dom"}, "E_CORRUPT", "'kinds' is damaged", "again"),
        ({"colour": "red"}, "E_CORRUPT", "'colour', which NRRD does not know", "again"),
        ({"oldmin": "1", "content": "a\0b"}, "E_CORRUPT", "not text", "again"),
        ({"lineskip": "-1"}, "E_CORRUPT", "impossible", "again"),
        ({"byte_skip": "-2"}, "E_CORRUPT", "impossible", "again"),
        ({"line_skip": "99999999999"}, "E_TRUNCATED", "of the 99999999999 lines", "again"),
        ({"byte_skip": "99999999999"}, "E_TRUNCATED", "but 0 are there", "again"),
        ({"byte_skip": "9" * 30, "encoding": "raw"}, "E_TRUNCATED", "but 0 are there", "again"),
        ({"byte_skip": "x"}, "E_CORRUPT", "'byte skip' is missing or damaged", "again"),
        ({"sizes": "32 32 17"}, "E_TRUNCATED", "promises 34816 bytes", "again"),
        ({"sizes": "32 32 15"}, "E_CORRUPT", "more than the 30720 bytes", "Export"),
        ({"sizes": "32 32 0"}, "E_DIMS", "no voxels", "Export"),
        ({"sizes": "32 512 1"}, "E_DIMS", "one slice", "whole volume"),
        ({"dimension": "2", "sizes": "32 512"}, "E_DIMS", "one slice", "whole volume"),
        ({"sizes": "99999 99999 99999"}, "E_TOO_BIG", "the limit is", "Crop"),
        ({"kinds": "domain domain vector"}, "E_DIMS", "of no place", "meant as 3D"),
        ({"kinds": "RGB-color domain domain"}, "E_VALUES", "colours", "grey value"),
        ({"space": None}, "E_GEOMETRY", "its place in the patient is not given", "DICOM"),
        ({"space": "scanner-xyz"}, "E_GEOMETRY", "its place in the patient", "DICOM"),
        ({"space_directions": None}, "E_GEOMETRY", "its place in the patient", "DICOM"),
        ({"space_origin": None}, "E_GEOMETRY", "its place in the patient", "DICOM"),
        ({"space_origin": "(1,2,a)"}, "E_GEOMETRY", "three numbers", "DICOM"),
        ({"space_origin": "(1,2,nan)"}, "E_GEOMETRY", "not numbers", "DICOM"),
        ({"space_directions": "(2,0,0) (2,0,0) (0,0,4)"}, "E_GEOMETRY", "singular", "DICOM"),
        ({"space_units": '"inch" "inch" "inch"'}, "E_GEOMETRY", "unit of length", "mm"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_refused(tmp_path, changed, code, reason, remedy):
    refused(write(tmp_path / "ct.nrrd", **changed), code, reason, remedy)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"NRRD0004", b"NRRD0009", "first line"),
        (b"type: short\n", b"type: short\ntype: short\n", "'type' twice"),
        (b"type: short\n", b"type: short\nshort\n", "line 'short'"),
        (b"type: short\n", b" type: short\n", "begins with a blank"),
        (b"dimension: 3\n", b"kinds: domain domain domain\ndimension: 3\n", "behind others"),
    ],
)
def test_damaged_headers_that_itk_refuses_too(tmp_path, old, new, reason):
    path = write(tmp_path / "ct.nrrd", kinds=None)
    path.write_bytes(path.read_bytes().replace(old, new))
    refused(path, "E_CORRUPT", reason, "again")
    with pytest.raises(RuntimeError):
        SimpleITK.ReadImage(path)


def test_several_layers(tmp_path):
    path = write(
        tmp_path / "ct.nrrd", dimension="4", sizes="2 32 32 8", kinds="list domain domain domain",
        space_directions="none (2,0,0) (0,2,0) (0,0,4)",
    )  # fmt: skip
    refused(path, "E_DIMS", "2 frames or channels", "3D")


def test_cut_data(tmp_path):
    path = write(tmp_path / "ct.nrrd")
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, "E_TRUNCATED", "stops before its end", "again")


def test_cut_header(tmp_path):
    path = write(tmp_path / "ct.nrrd")
    path.write_bytes(path.read_bytes()[:80])
    refused(path, "E_TRUNCATED", "within its header", "again")


def test_wrong_crc(tmp_path):
    path = write(tmp_path / "ct.nrrd")
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    refused(path, "E_CORRUPT", "incorrect data check", "again")


@pytest.mark.parametrize("name", ["../ct.raw", "/ct.raw", "sub/ct.raw"])
def test_a_data_file_outside_the_folder(tmp_path, name):
    path = write(tmp_path / "ct.nhdr", b"", encoding="raw", data_file=name)
    refused(path, "E_PATH", "not in the header's folder", "one folder")


@pytest.mark.parametrize("name", ["./ct.raw", "Lister.raw", "list.raw", "100%.raw", "a %d.raw"])
def test_names_of_data_files(tmp_path, name):
    write(tmp_path / "made.nhdr", b"", encoding="raw", data_file=name)
    (tmp_path / name).write_bytes(CT.tobytes(order="F"))
    np.testing.assert_array_equal(read_image(tmp_path / "made.nhdr").array, CT)
    if name != "a %d.raw":  # ITK misses the numbers of a pattern
        itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(tmp_path / "made.nhdr"))
        np.testing.assert_array_equal(itk.transpose(2, 1, 0), CT)


@pytest.mark.parametrize("name", ["Müller.raw".encode("latin-1"), "Müller.raw".encode()])
@pytest.mark.parametrize("same", [True, False])
def test_a_name_in_latin_1(tmp_path, name, same):
    path = write(tmp_path / "ct.nhdr", b"", encoding="raw", data_file="NAME", lines="# Gerät\n")
    head = path.read_bytes().replace(b"NAME", name).replace("Gerät".encode(), b"Ger\xe4t")
    path.write_bytes(head.replace(b"\n", b"\r\n"))
    data = os.fsencode(tmp_path) + b"/" + (name if same else "Müller.raw".encode())
    with open(data, "wb") as file:
        file.write(CT.tobytes(order="F"))
    np.testing.assert_array_equal(read_image(path).array, CT)


@pytest.mark.parametrize("name", ["LIST", "LIST 2", "ct%03d.raw 1 16 1", "ct%d.raw 1 16 1 2"])
def test_several_data_files(tmp_path, name):
    path = write(tmp_path / "ct.nhdr", b"", encoding="raw", data_file=name)
    refused(path, "E_FORMAT", "several data files", "one .nrrd file")


def test_a_data_file_that_no_system_can_have(tmp_path):
    path = write(tmp_path / "ct.nhdr", b"", encoding="raw", data_file="x" * 300)
    refused(path, "E_PATH", "which is not there", "one folder")


def test_a_missing_data_file(tmp_path):
    path = write(tmp_path / "ct.nhdr", b"", encoding="raw", data_file="ct.raw")
    refused(path, "E_PATH", "'ct.raw', which is not there", "one folder")


def test_a_cut_data_file_is_named(tmp_path):
    path = write(tmp_path / "ct.nhdr", b"", encoding="raw", data_file="ct.raw")
    (tmp_path / "ct.raw").write_bytes(CT.tobytes(order="F")[:-2])
    reason = "32766 are there"
    refused(path, "E_TRUNCATED", reason, "again", names=tmp_path / "ct.raw")


def test_real_ct_as_itk_reads_it(real_data):
    path = real_data / "ct_formats" / "CTChest4.nrrd"
    image = read_image(path)
    reference = SimpleITK.ReadImage(path)
    np.testing.assert_array_equal(
        image.array, SimpleITK.GetArrayViewFromImage(reference).transpose(2, 1, 0)
    )
    corner = reference.TransformIndexToPhysicalPoint((127, 5, 33))
    found = image.affine @ (127, 5, 33, 1)
    np.testing.assert_allclose(found[:3] * (-1, -1, 1), corner, atol=1e-9)
    assert [note.code for note in image.notes] == ["N_ANISO"]  # slices of 10 mm


def test_real_segmentation_as_a_mask(real_data):
    path = real_data / "ct_formats" / "CTChest4_Segmentation.seg.nrrd"
    mask = read_image(path, kind="mask").array
    assert mask.dtype == np.uint8
    assert np.unique(mask).tolist() == list(range(8))
