# SPDX-License-Identifier: Apache-2.0
"""Reading NIfTI: each way a file can be wrong is refused, each odd but valid one reads right."""

import gzip
import struct
import zlib

import nibabel
import numpy as np
import pytest
from phantoms import TINY_AFFINE, l_shape, save_nifti, tiny_chest
from refusals import refused

from medvol.images import read_image

CT = tiny_chest().ct
VOX_OFFSET = 352
# byte offsets of NIfTI-1 header fields
DIM, DATATYPE, PIXDIM, VOX_OFFSET_AT, SLOPE, UNITS, QCODE, SCODE = (
    40,
    70,
    76,
    108,
    112,
    123,
    252,
    254,
)
SROW_X, MAGIC, EXTENSION = 280, 344, 348


def header_and_voxels(array=CT, affine=TINY_AFFINE) -> bytearray:
    """A little-endian `.nii` with an sform of code 1, as bytes."""
    image = nibabel.Nifti1Image(array, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=0)
    return bytearray(image.to_bytes())


def patched(path, *patches, data=None, compress=False):
    """Write the tiny chest with (offset, format, value) patches in its header."""
    data = header_and_voxels() if data is None else data
    for offset, form, value in patches:
        struct.pack_into("<" + form, data, offset, value)
    path.write_bytes(gzip.compress(data) if compress else data)
    return path


@pytest.fixture(params=["ct.nii", "ct.nii.gz"])
def name(request):
    return request.param


# ---- odd but valid


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_reads_voxels_and_affine(tmp_path, name):
    image = read_image(save_nifti(tmp_path / name, CT, TINY_AFFINE))
    np.testing.assert_array_equal(image.array, CT)
    np.testing.assert_array_equal(image.affine, TINY_AFFINE)
    assert image.array.dtype == np.int16
    assert image.notes == ()
    assert image.facts == {"format": "NIfTI-1", "stored_dtype": "int16"}
    assert image.path == tmp_path / name


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_every_number_type_and_byte_order(tmp_path, dtype, order):
    array = np.arange(60, dtype=dtype).reshape(3, 4, 5)
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    image = nibabel.Nifti1Image(array, TINY_AFFINE, header)
    nibabel.save(image, tmp_path / "x.nii.gz")
    read = read_image(tmp_path / "x.nii.gz").array
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative
    assert read.dtype == (dtype if dtype in ("u1", "i1", "u2", "i2") else "f4")


def test_nifti_2(tmp_path):
    nibabel.save(nibabel.Nifti2Image(CT, TINY_AFFINE), tmp_path / "ct.nii.gz")
    image = read_image(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(image.array, CT)
    np.testing.assert_array_equal(image.affine, TINY_AFFINE)
    assert image.facts["format"] == "NIfTI-2"


@pytest.mark.parametrize("given", ["ct.hdr", "ct.img"])
def test_pair_of_hdr_and_img(tmp_path, given):
    nibabel.save(nibabel.Nifti1Pair(CT, TINY_AFFINE), tmp_path / "ct.hdr")
    image = read_image(tmp_path / given)
    np.testing.assert_array_equal(image.array, CT)
    np.testing.assert_array_equal(image.affine, TINY_AFFINE)
    assert image.pair == (tmp_path / "ct.hdr", tmp_path / "ct.img")


def test_rescales_to_hu(tmp_path):
    stored = np.array([[[0, 1000], [1024, 4095]], [[1, 2], [3, 4]]], dtype=np.uint16)
    path = patched(
        tmp_path / "ct.nii", (SLOPE, "f", 0.5), (SLOPE + 4, "f", -1024),
        data=header_and_voxels(stored),
    )  # fmt: skip
    read = read_image(path).array
    assert read.dtype == np.float32
    assert read[0].tolist() == [[-1024.0, -524.0], [-512.0, 1023.5]]


@pytest.mark.parametrize("slope", [0.0, float("nan")])
def test_a_slope_of_zero_or_nan_means_not_scaled(tmp_path, slope):
    path = patched(tmp_path / "ct.nii", (SLOPE, "f", slope), (SLOPE + 4, "f", 7))
    np.testing.assert_array_equal(read_image(path).array, CT)


def test_gzip_of_several_members_and_padding(tmp_path):
    data = bytes(header_and_voxels())
    packed = b"".join(gzip.compress(data[k : k + 9000]) for k in range(0, len(data), 9000))
    (tmp_path / "ct.nii.gz").write_bytes(packed + bytes(700))
    np.testing.assert_array_equal(read_image(tmp_path / "ct.nii.gz").array, CT)


def test_extensions_are_passed_over(tmp_path):
    image = nibabel.Nifti1Image(CT, TINY_AFFINE)
    for text in (b"a comment", b"x" * 5000):
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", text))
    nibabel.save(image, tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "ct.nii.gz").array, CT)


def test_qform_alone_gives_the_affine(tmp_path):
    turned = np.array([[0, -1.5, 0, 5], [0, 0, 2.5, -7], [0.5, 0, 0, 11], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(CT, None)
    image.set_qform(turned, code=1)
    image.set_sform(None, code=0)
    nibabel.save(image, tmp_path / "ct.nii")
    np.testing.assert_allclose(read_image(tmp_path / "ct.nii").affine, turned, atol=1e-6)


def test_a_qfac_of_zero_means_one(tmp_path):
    image = nibabel.Nifti1Image(CT, np.diag([2.0, 2, 4, 1]))
    image.set_qform(np.diag([2.0, 2, 4, 1]), code=1)
    image.set_sform(None, code=0)
    path = patched(tmp_path / "ct.nii", (PIXDIM, "f", 0), data=bytearray(image.to_bytes()))
    np.testing.assert_allclose(read_image(path).affine, np.diag([2.0, 2, 4, 1]), atol=1e-6)


def test_oblique_by_30_degrees(tmp_path):
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    oblique = np.array([[2 * c, -2 * s, 0, 3], [2 * s, 2 * c, 0, -4], [0, 0, 2, 9], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(CT, oblique)
    image.set_qform(oblique, code=1)
    nibabel.save(image, tmp_path / "ct.nii.gz")
    read = read_image(tmp_path / "ct.nii.gz")
    np.testing.assert_allclose(read.affine, oblique, atol=1e-6)
    assert read.notes == ()


def test_micro_ct_of_10_microns(tmp_path):
    small = np.diag([0.01, 0.01, 0.01, 1.0])
    image = read_image(save_nifti(tmp_path / "ct.nii.gz", CT, small))
    np.testing.assert_allclose(image.affine, small, rtol=1e-6)
    assert [note.code for note in image.notes] == ["N_SIZE"]


@pytest.mark.parametrize(("code", "factor"), [(1, 1000.0), (3, 0.001)], ids=["metre", "micron"])
def test_other_units_are_scaled_to_mm(tmp_path, code, factor):
    data = header_and_voxels(affine=np.diag([1 / factor, 1 / factor, 1 / factor, 1]) @ TINY_AFFINE)
    image = read_image(patched(tmp_path / "ct.nii", (UNITS, "B", code), data=data))
    np.testing.assert_allclose(image.affine, TINY_AFFINE, rtol=1e-6)
    assert [note.code for note in image.notes] == ["N_UNITS"]


@pytest.mark.parametrize(("factor", "agrees"), [(1.0, True), (1.009, True), (1.011, False),
                                                (0.5, False), (0.0, False)])  # fmt: skip
def test_a_lone_sform_beside_other_voxel_sizes(tmp_path, factor, agrees):
    """nibabel takes the sform, ITK the voxel sizes of pixdim: SimpleITK reads 1 mm for 2."""
    path = patched(
        tmp_path / "ct.nii", *((PIXDIM + 4 * k, "f", factor * (2, 2, 4)[k - 1]) for k in (1, 2, 3))
    )
    if agrees:
        np.testing.assert_array_equal(read_image(path).affine, TINY_AFFINE)
    else:
        refused(path, "E_GEOMETRY", "its sform has voxels of 2 x 2 x 4 mm, its pixdim", "DICOM")


def test_a_lone_sheared_sform_beside_the_distance_of_slices(tmp_path):
    sheared = TINY_AFFINE.copy()
    sheared[1, 2] = 1.0
    data = header_and_voxels(affine=sheared)  # its third axis is 4.12 mm long, slices 4 mm apart
    path = patched(tmp_path / "ct.nii", (PIXDIM + 12, "f", 4.0), data=data)
    assert [note.code for note in read_image(path).notes] == ["N_SHEAR_RESAMPLED"]


def test_one_frame_of_4d_is_squeezed(tmp_path):
    image = read_image(save_nifti(tmp_path / "ct.nii.gz", CT[..., None], TINY_AFFINE))
    np.testing.assert_array_equal(image.array, CT)
    assert [note.code for note in image.notes] == ["N_SQUEEZED"]


def test_shear_and_thick_slices_are_remarked(tmp_path):
    tilted = np.array([[2.0, 0, 0, 0], [0, 2, 2, 0], [0, 0, 10, 0], [0, 0, 0, 1]])
    image = read_image(save_nifti(tmp_path / "ct.nii.gz", CT, tilted))
    np.testing.assert_array_equal(image.affine, tilted)
    assert [note.code for note in image.notes] == ["N_SHEAR_RESAMPLED", "N_ANISO"]


def test_few_nan_take_the_lowest_value(tmp_path):
    array = CT.astype(np.float32)
    array[0, 0, :5] = np.nan
    image = read_image(save_nifti(tmp_path / "ct.nii.gz", array, TINY_AFFINE))
    assert image.array[0, 0, :5].tolist() == [-1000.0] * 5
    np.testing.assert_array_equal(image.array[1:], CT[1:])
    assert [note.code for note in image.notes] == ["N_NAN_FILLED"]
    assert image.notes[0].text.startswith("5 NaN voxels")


def test_a_nii_beside_a_nii_gz_is_not_mistaken_for_it(tmp_path):
    save_nifti(tmp_path / "a.nii", CT + 5, TINY_AFFINE)
    path = save_nifti(tmp_path / "a.nii.gz", CT, TINY_AFFINE)
    np.testing.assert_array_equal(read_image(path).array, CT)


NAMES = [b"a b.nii.gz", b"a\nb.nii.gz", "胸部.nii.gz".encode(), b"\xff\xfe.nii.gz"]


@pytest.mark.parametrize("raw", NAMES, ids=["space", "newline", "CJK", "not-UTF-8"])
def test_any_name(tmp_path, raw):
    path = tmp_path / raw.decode("utf-8", "surrogateescape")
    path.write_bytes(gzip.compress(header_and_voxels()))
    np.testing.assert_array_equal(read_image(path).array, CT)


def test_content_is_used_when_the_name_is_wrong(tmp_path):
    path = patched(tmp_path / "ct.nrrd", compress=True)
    image = read_image(path)
    np.testing.assert_array_equal(image.array, CT)
    assert [note.code for note in image.notes] == ["N_FORMAT"]


@pytest.mark.parametrize(("name", "compress"), [("ct.nii", True), ("ct.nii.gz", False)])
def test_gzip_is_seen_by_content(tmp_path, name, compress):
    path = patched(tmp_path / name, compress=compress)
    np.testing.assert_array_equal(read_image(path).array, CT)


# ---- masks


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_a_mask_may_be_empty_and_is_whole_numbers(tmp_path, dtype):
    path = save_nifti(tmp_path / "mask.nii.gz", np.zeros((3, 4, 5), dtype), TINY_AFFINE)
    mask = read_image(path, kind="mask").array
    assert mask.dtype == np.uint8
    assert not mask.any()


def test_a_mask_above_255_is_uint16(tmp_path):
    labels = l_shape().astype(np.float32) * 300
    read = read_image(save_nifti(tmp_path / "m.nii.gz", labels, TINY_AFFINE), kind="mask").array
    np.testing.assert_array_equal(read, labels)
    assert read.dtype == np.uint16


@pytest.mark.parametrize("value", [0.5, -1.0, 70000.0, np.nan, np.inf])
def test_a_mask_of_other_values_is_refused(tmp_path, value):
    labels = l_shape().astype(np.float32)
    labels[0, 0, 0] = value
    path = save_nifti(tmp_path / "mask.nii.gz", labels, TINY_AFFINE)
    refused(path, "E_VALUES", "whole numbers", "label map", kind="mask")


def test_kinds_and_what_they_take(tmp_path):
    with pytest.raises(ValueError, match="kind is 'label'; give one of volume, mask, sequences, r"):
        read_image(tmp_path, kind="label")
    with pytest.raises(ValueError, match="series is given for kind 'radiograph'; only volumes"):
        read_image(tmp_path, kind="radiograph", series="1.2")
    with pytest.raises(ValueError, match="spacing_mm is given for kind 'volume'; it is for pict"):
        read_image(tmp_path, spacing_mm=(1, 1, 1))


# ---- length and checksum


def test_cut_gzip(tmp_path):
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(header_and_voxels())[:-200])
    refused(path, "E_TRUNCATED", "stops before its end", "again")


def test_gzip_without_its_trailer(tmp_path):
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(header_and_voxels())[:-8])
    refused(path, "E_TRUNCATED", "stops before its end", "again")


def test_cut_within_the_header(tmp_path, name):
    data = bytes(header_and_voxels())[:200]
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    refused(tmp_path / name, "E_TRUNCATED", "200 of 348", "again")


def test_header_promises_more_than_is_there(tmp_path, name):
    data = header_and_voxels()[:-1]
    path = patched(tmp_path / name, data=data, compress=name.endswith("gz"))
    refused(path, "E_TRUNCATED", "promises 32768 bytes of voxels but 32767 are there", "again")


def test_more_is_there_than_the_header_promises(tmp_path, name):
    data = header_and_voxels() + b"\1"
    path = patched(tmp_path / name, data=data, compress=name.endswith("gz"))
    refused(path, "E_CORRUPT", "more than the 32768 bytes", "Export the image again")


def test_one_axis_changed_in_the_header(tmp_path):
    path = patched(tmp_path / "ct.nii.gz", (DIM + 2, "h", 16), compress=True)
    refused(path, "E_CORRUPT", "more than the 16384 bytes", "Export the image again")


def test_wrong_crc(tmp_path):
    packed = bytearray(gzip.compress(header_and_voxels()))
    packed[-8] ^= 1
    (tmp_path / "ct.nii.gz").write_bytes(packed)
    refused(tmp_path / "ct.nii.gz", "E_CORRUPT", "incorrect data check", "again")


def test_a_flipped_byte_that_still_inflates(tmp_path):
    data = bytes(header_and_voxels())
    other = bytearray(data)
    other[VOX_OFFSET + 5000] ^= 4
    deflated = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflated.compress(bytes(other)) + deflated.flush()
    whole = gzip.compress(data)
    (tmp_path / "ct.nii.gz").write_bytes(whole[:10] + body + whole[-8:])
    refused(tmp_path / "ct.nii.gz", "E_CORRUPT", "incorrect data check", "again")


def test_something_after_the_gzip(tmp_path):
    packed = gzip.compress(header_and_voxels()) + b"<html>"
    (tmp_path / "ct.nii.gz").write_bytes(packed)
    refused(tmp_path / "ct.nii.gz", "E_CORRUPT", "incorrect header check", "again")


def test_a_bomb_is_not_inflated(tmp_path):
    data = header_and_voxels() + bytes(200 << 20)
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(data, 1))
    del data
    refused(tmp_path / "ct.nii.gz", "E_CORRUPT", "more than", "Export the image again")


# ---- header


@pytest.mark.parametrize("offset", [0, 351, 352.5, -1, 1e30, float("nan")])
def test_impossible_vox_offset(tmp_path, offset):
    path = patched(tmp_path / "ct.nii.gz", (VOX_OFFSET_AT, "f", offset), compress=True)
    refused(path, "E_CORRUPT", "which cannot be", "again")


def test_vox_offset_behind_the_end(tmp_path, name):
    gz = name.endswith("gz")
    path = patched(tmp_path / name, (VOX_OFFSET_AT, "f", 1e6), compress=gz)
    refused(path, "E_TRUNCATED", "before its voxels", "again")


@pytest.mark.parametrize("size", [0, 8, 24, -16, 4096])
def test_impossible_extension(tmp_path, size):
    data = header_and_voxels()
    data[VOX_OFFSET:VOX_OFFSET] = struct.pack("<ii", size, 6) + bytes(24)
    data[EXTENSION] = 1
    path = patched(tmp_path / "ct.nii", (VOX_OFFSET_AT, "f", VOX_OFFSET + 32), data=data)
    refused(path, "E_CORRUPT", "extension", "again")


def test_unknown_datatype(tmp_path):
    path = patched(tmp_path / "ct.nii", (DATATYPE, "h", 1536))
    refused(path, "E_FORMAT", "datatype 1536", "Save it as int16")


@pytest.mark.parametrize(("code", "word"), [(32, "complex"), (128, "RGB"), (2304, "RGBA")])
def test_voxels_that_are_no_single_number(tmp_path, code, word):
    path = patched(tmp_path / "ct.nii", (DATATYPE, "h", code))
    refused(path, "E_VALUES", f"are {word},", "grey value")


def test_analyze_has_no_orientation(tmp_path):
    path = patched(tmp_path / "ct.nii", (MAGIC, "4s", b""))
    refused(path, "E_FORMAT", "Analyze", "Export the image as NIfTI")


def test_header_without_its_img(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(CT, TINY_AFFINE), tmp_path / "ct.hdr")
    (tmp_path / "ct.img").unlink()
    at_fault = tmp_path / "ct.img"
    refused(tmp_path / "ct.hdr", "E_PATH", "no such file", "Check", names=at_fault)


# ---- shape


@pytest.mark.parametrize("axes", [0, 8, -3])
def test_impossible_number_of_axes(tmp_path, axes):
    path = patched(tmp_path / "ct.nii", (DIM, "h", axes))
    refused(path, "E_CORRUPT", f"claims {axes} axes", "again")


@pytest.mark.parametrize("size", [0, -4])
def test_zero_or_negative_axis(tmp_path, size):
    path = patched(tmp_path / "ct.nii", (DIM + 4, "h", size))
    refused(path, "E_DIMS", "an axis has no voxels", "Export")


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 1), (9, 1, 8), (1, 9, 8)])
def test_one_slice(tmp_path, shape):
    array = np.arange(72, dtype=np.int16).reshape(shape)
    path = save_nifti(tmp_path / "ct.nii.gz", array, TINY_AFFINE)
    refused(path, "E_DIMS", "one slice", "whole volume")


@pytest.mark.parametrize("shape", [(5, 4, 3, 2), (5, 4, 3, 1, 3)], ids=["frames", "vector"])
def test_several_frames_or_a_vector(tmp_path, shape):
    array = np.zeros(shape, np.int16)
    path = save_nifti(tmp_path / "ct.nii.gz", array, TINY_AFFINE)
    refused(path, "E_DIMS", f"{shape[-1]} frames or channels", "3D")


def test_claimed_size_above_the_limit(tmp_path, name):
    patches = [(DIM + 2 * axis, "h", 32000) for axis in (1, 2, 3)]
    path = patched(tmp_path / name, *patches, compress=name.endswith("gz"))
    reason = "32000 x 32000 x 32000 voxels, which take 1.221e+05 GiB as 4-byte numbers; the limit"
    refused(path, "E_TOO_BIG", reason, "Crop")


@pytest.mark.parametrize(("code", "bits", "over"), [(4, 16, 1024), (16, 32, 1024), (64, 64, 512)])
def test_bytes_are_limited_not_voxels(tmp_path, code, bits, over):
    """4 GiB: 1,024 cubed of int16 and float32 alike, since both become float32; float64 earlier."""
    datatype = [(70, "h", code), (72, "h", bits)]
    sides = [(DIM + 2, "h", 1024), (DIM + 4, "h", 1024)]
    most = patched(tmp_path / "most.nii", *datatype, *sides, (DIM + 6, "h", over))
    refused(most, "E_TRUNCATED", "the header promises", "again")
    more = patched(tmp_path / "more.nii", *datatype, *sides, (DIM + 6, "h", over + 1))
    reason = f"1024 x 1024 x {over + 1} voxels, which take 4.00"
    refused(more, "E_TOO_BIG", reason, "Crop")


# ---- values


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((3, 4, 5), np.nan, np.float32), "100 % of its voxels are NaN"),
        (np.where(np.arange(200).reshape(2, 10, 10) < 3, np.nan, 1.0), "1.5 % of its voxels"),
        (np.full((3, 4, 5), -1000, np.int16), "every voxel has the value -1000"),
        (np.where(np.arange(60).reshape(3, 4, 5) == 7, np.inf, 1.0), "infinite"),
        (np.where(np.arange(60).reshape(3, 4, 5) == 7, 1e200, 1.0), "above 3.4e38"),
    ],
    ids=["all-NaN", "NaN", "constant", "infinite", "float64-overflow"],
)
def test_values_that_are_no_image(tmp_path, array, reason):
    path = save_nifti(tmp_path / "ct.nii.gz", array, TINY_AFFINE)
    refused(path, "E_VALUES", reason, "")


def test_overflow_by_the_slope(tmp_path):
    path = patched(tmp_path / "ct.nii", (SLOPE, "f", 3e38), (SLOPE + 4, "f", 0))
    refused(path, "E_VALUES", "above 3.4e38", "true values")


@pytest.mark.parametrize(("slope", "inter"), [(float("inf"), 0), (1, float("nan"))])
def test_scaling_that_is_not_a_number(tmp_path, slope, inter):
    path = patched(tmp_path / "ct.nii", (SLOPE, "f", slope), (SLOPE + 4, "f", inter))
    refused(path, "E_VALUES", "scaling is not a number", "true values")


# ---- geometry


def test_no_orientation_code(tmp_path):
    path = patched(tmp_path / "ct.nii", (SCODE, "h", 0), (QCODE, "h", 0))
    refused(path, "E_GEOMETRY", "sform code and qform code are 0", "DICOM")


def both_forms(sform, qform):
    image = nibabel.Nifti1Image(CT, sform)
    image.set_sform(sform, code=1)
    image.set_qform(qform, code=1)
    return bytearray(image.to_bytes())


@pytest.mark.parametrize(
    "change",
    [np.diag([-1.0, 1, 1, 1]), np.diag([1.0, 1, 1.02, 1])],  # 15 steps of 4 mm, 2 % are 1.2 mm
    ids=["mirrored", "0.6-of-a-voxel"],
)
def test_sform_and_qform_that_disagree(tmp_path, change):
    sform = np.diag([2.0, 2, 4, 1])
    path = tmp_path / "ct.nii"
    path.write_bytes(both_forms(sform, sform @ change))
    refused(path, "E_GEOMETRY", "sform and qform disagree by more than 1 mm", "DICOM")


def test_the_sform_is_used_where_both_agree(tmp_path):
    sform = np.diag([2.0, 2, 4, 1])
    path = tmp_path / "ct.nii"
    path.write_bytes(both_forms(sform, sform @ np.diag([1, 1, 1.015, 1])))  # 0.9 mm, of 1 allowed
    np.testing.assert_array_equal(read_image(path).affine, sform)


def test_qform_that_is_no_rotation(tmp_path):
    path = patched(tmp_path / "ct.nii", (QCODE, "h", 1), (256, "f", 0.9), (260, "f", 0.9))
    refused(path, "E_GEOMETRY", "not a rotation", "DICOM")


@pytest.mark.parametrize(
    ("first_axis", "reason"),
    [((0.0, 0.0), "zero axis"), ((0.0, -2.0), "singular"), ((float("nan"), 0.0), "not numbers")],
    ids=["zero", "parallel", "NaN"],
)
def test_affine_that_gives_no_place(tmp_path, first_axis, reason):
    along_x, along_y = first_axis  # the second axis is (0, -2, 0)
    path = patched(tmp_path / "ct.nii", (SROW_X, "f", along_x), (SROW_X + 16, "f", along_y))
    refused(path, "E_GEOMETRY", reason, "DICOM")


@pytest.mark.parametrize("form", ["sform", "both"])
def test_affine_beyond_all_measure(tmp_path, form):
    image = nibabel.Nifti2Image(CT, TINY_AFFINE)
    image.set_qform(TINY_AFFINE, code=int(form == "both"))
    image.header["srow_x"][0], image.header["vox_offset"] = 1e300, 544
    (tmp_path / "ct.nii").write_bytes(image.header.binaryblock + bytes(4) + CT.tobytes(order="F"))
    refused(tmp_path / "ct.nii", "E_GEOMETRY", "", "DICOM")


def test_unknown_unit(tmp_path):
    path = patched(tmp_path / "ct.nii", (UNITS, "B", 5))
    refused(path, "E_GEOMETRY", "unit of length has the code 5", "mm")


# ---- real files


@pytest.mark.parametrize("case", ["ct_radiopaedia/rp4_ct.nii.gz", "ct_hounsfield/P002_ct.nii.gz"])
def test_real_ct_as_nibabel_reads_it(real_data, case):
    image = read_image(real_data / case)
    reference = nibabel.load(real_data / case)
    np.testing.assert_array_equal(image.array, reference.get_fdata(dtype=np.float32))
    np.testing.assert_array_equal(image.affine, reference.affine)
    assert image.notes == ()


@pytest.mark.parametrize(
    ("at", "form", "value", "code", "reason"),
    [
        (QCODE, "h", 6, "E_CORRUPT", "its qform has the code 6"),
        (SCODE, "h", -1, "E_CORRUPT", "its sform has the code -1"),
        (MAGIC + 3, "B", 1, "E_FORMAT", "damaged NIfTI header"),
    ],
)
def test_codes_and_marks_that_nifti_does_not_know(tmp_path, at, form, value, code, reason):
    refused(patched(tmp_path / "ct.nii", (at, form, value)), code, reason, "")


def test_nifti_2_whose_ends_of_lines_were_converted(tmp_path):
    data = bytearray(nibabel.Nifti2Image(CT, TINY_AFFINE).to_bytes())
    assert data[8:12] == b"\r\n\x1a\n"
    data[8:12] = b"\n\n\x1a\n"
    (tmp_path / "ct.nii").write_bytes(data)
    refused(tmp_path / "ct.nii", "E_CORRUPT", "ends of lines", "again")
