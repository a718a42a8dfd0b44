# SPDX-License-Identifier: Apache-2.0
"""A damaged DICOM file is refused by its name; frames are read like single slices."""

from collections.abc import Callable
from pathlib import Path

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from dicom_phantoms import brightest, broken, put_bytes, refusal, set_on
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from medvol.images.dicom.series import read_study
from medvol.images.dicom.volume import load_dicom


def cut_frame(path: Path) -> None:
    header = pydicom.dcmread(path)
    header.compress(JPEGLSLossless)
    frame = next(generate_frames(header.PixelData, number_of_frames=1))
    header.PixelData = encapsulate([frame[:-30]])
    header.save_as(path)


def cut_compressed_file(path: Path) -> None:
    header = pydicom.dcmread(path)
    header.compress(RLELossless)
    header.save_as(path)
    path.write_bytes(path.read_bytes()[:-20])


def damage_rle(path: Path) -> None:
    header = pydicom.dcmread(path)
    header.compress(RLELossless)
    frame = next(generate_frames(header.PixelData, number_of_frames=1))
    header.PixelData = encapsulate([frame[:100]])
    header.save_as(path)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), "E_TRUNCATED", "412 bytes of pixels"),
        (lambda p: p.write_bytes(p.read_bytes()[:400]), "E_TRUNCATED", "ended inside it"),
        (cut_compressed_file, "E_TRUNCATED", "has no PixelData, or the file ends before or inside"),
        (cut_frame, "E_TRUNCATED", "no end mark"),
        (damage_rle, "E_CORRUPT", "cannot be decoded"),
        (lambda p: p.write_bytes(b""), "E_EMPTY", "0 bytes"),
        (lambda p: p.write_bytes(bytes(900)), "E_TRUNCATED", "nothing but 0"),
        (lambda p: p.write_bytes(b"<html>" * 50), "E_FORMAT", "a web page, though its name"),
        (lambda p: (p.unlink(), p.symlink_to("gone")), "E_PATH", "no such file"),
    ],
    ids=[
        "pixels",
        "header",
        "rle-file",
        "jpeg-frame",
        "rle-frame",
        "empty",
        "zeros",
        "html",
        "dead-link",
    ],
)
def test_a_damaged_file_is_refused_by_name(
    tmp_path: Path, damage: Callable[[Path], object], code: str, words: str
) -> None:
    paths = phantoms.write(tmp_path, phantoms.ct_series())
    damage(paths[7])  # the last slice: left out, nobody would miss it

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == (code, "IM007.dcm")
    assert words in error.reason


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless], ids=str)
def test_a_last_slice_cut_anywhere_never_shortens_the_volume(
    tmp_path: Path, syntax: str | None
) -> None:
    series = phantoms.ct_series(phantoms.stored_values(3))
    for one in series:
        if syntax:
            one.compress(syntax)
    last = phantoms.write(tmp_path, series)[-1]
    whole = last.read_bytes()

    for length in range(0, len(whole) - 1, 31):
        last.write_bytes(whole[:length])
        assert refusal(tmp_path).path == str(last), length


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"ImagePositionPatient": None}, "E_GEOMETRY", "lacks ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "E_GEOMETRY", "lacks ImageOrientationPatient"),
        ({"PixelSpacing": None}, "E_GEOMETRY", "lacks PixelSpacing"),
        ({"PixelSpacing": [0, 0.75]}, "E_GEOMETRY", "above 0 mm"),
        ({"RescaleIntercept": None}, "E_VALUES", "no number in RescaleIntercept"),
        ({"Columns": None}, "E_CORRUPT", "no number in Columns"),
        ({"BitsStored": None}, "E_CORRUPT", "no number in BitsStored"),
        ({"RescaleSlope": 0}, "E_VALUES", "RescaleSlope of 0"),
        ({"RescaleType": "Z_EFF"}, "E_MODALITY", "Z_EFF"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "E_VALUES", "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "E_VALUES", "colour"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_slice_that_lacks_something_is_named(
    tmp_path: Path, change: dict[str, object], code: str, words: str
) -> None:
    phantoms.write(tmp_path, broken(phantoms.ct_series(), set_on(4, **change)))

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == (code, "IM004.dcm")
    assert words in error.reason


def test_frames_of_an_enhanced_ct_may_lie_in_any_order(tmp_path: Path) -> None:
    values = phantoms.stored_values()
    header = phantoms.enhanced_ct(values[::-1])
    header.PerFrameFunctionalGroupsSequence = header.PerFrameFunctionalGroupsSequence[::-1]
    phantoms.write(tmp_path, [header])

    assert brightest(load_dicom(tmp_path)) == (3, 5, 2)


def test_slices_may_be_multi_frame_files_of_one_frame(tmp_path: Path) -> None:
    values = phantoms.stored_values()
    phantoms.write(tmp_path / "many", phantoms.ct_series(NumberOfFrames=1))
    enhanced = [phantoms.enhanced_ct(values[k : k + 1]) for k in range(8)]
    for k, one in enumerate(enhanced):
        place = one.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
        place.ImagePositionPatient = [-20, -30, 100 + 2.5 * k]
    phantoms.write(tmp_path / "enhanced", enhanced)

    many, frames = load_dicom(tmp_path / "many"), load_dicom(tmp_path / "enhanced")

    np.testing.assert_array_equal(many.array, values.transpose(2, 1, 0).astype(int) - 1024)
    np.testing.assert_array_equal(frames.array, many.array)
    np.testing.assert_array_equal(frames.affine, many.affine)


def test_an_enhanced_ct_may_hold_empty_and_private_sequences(tmp_path: Path) -> None:
    header = phantoms.enhanced_ct()
    header.SharedFunctionalGroupsSequence[0].ReferencedImageSequence = []
    for frame in header.PerFrameFunctionalGroupsSequence:
        frame.ReferencedImageSequence = []
        private = Dataset()
        private.RescaleSlope, private.PixelSpacing = 7, [9, 9]
        frame.add(DataElement(0x00090010, "LO", "PHANTOM WORKS"))
        frame.add(DataElement(0x00091001, "SQ", [private]))
    phantoms.write(tmp_path / "one", [header])
    phantoms.write(tmp_path / "many", phantoms.ct_series())

    one, many = load_dicom(tmp_path / "one"), load_dicom(tmp_path / "many")

    np.testing.assert_array_equal(one.array, many.array)
    np.testing.assert_array_equal(one.affine, many.affine)


@pytest.mark.parametrize("text", [b"120 kV", b"********", b"6,00", b"nan ", b"1\\2 "])
def test_numbers_that_place_no_voxel_may_be_unreadable(tmp_path: Path, text: bytes) -> None:
    for name in ("KVP", "SliceThickness"):
        paths = phantoms.write(tmp_path / name, phantoms.ct_series())
        for path in paths:
            put_bytes(path, name, text)

        image = load_dicom(tmp_path / name)

        assert name not in image.facts
        assert image.facts["Manufacturer"] == "Phantom Works"
        assert image.array[3, 5, 2] == 1000


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("RescaleSlope", "E_VALUES"),
        ("RescaleIntercept", "E_VALUES"),
        ("PixelSpacing", "E_GEOMETRY"),
        ("ImagePositionPatient", "E_GEOMETRY"),
        ("ImageOrientationPatient", "E_GEOMETRY"),
    ],
)
@pytest.mark.parametrize("text", [b"6,00", b"1e999 "])
def test_numbers_that_a_voxel_needs_must_be_readable(
    tmp_path: Path, name: str, code: str, text: bytes
) -> None:
    paths = phantoms.write(tmp_path, phantoms.ct_series())
    put_bytes(paths[4], name, text)

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == (code, "IM004.dcm")
    assert f" in {name}" in error.reason


@pytest.mark.parametrize("charset", [b"ISO 2022 IR 87", b"GB18030 ", b"no such thing "])
def test_an_unusual_charset_is_no_fault(tmp_path: Path, charset: bytes) -> None:
    for path in phantoms.write(tmp_path, phantoms.ct_series(SpecificCharacterSet="ISO_IR 100")):
        put_bytes(path, "SpecificCharacterSet", charset)
        put_bytes(path, "Manufacturer", b"\xd6\xd0\x1b$B\xff")

    assert load_dicom(tmp_path).array[3, 5, 2] == 1000


@pytest.mark.parametrize(
    "syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian], ids=str
)
def test_other_ways_to_write_a_header(tmp_path: Path, syntax: UID) -> None:
    series = phantoms.ct_series()
    for one in series:
        one.file_meta.TransferSyntaxUID = syntax
        if not syntax.is_little_endian:
            one.PixelData = np.frombuffer(one.PixelData, "<u2").astype(">u2").tobytes()
    phantoms.write(tmp_path, series)

    image = load_dicom(tmp_path)

    np.testing.assert_array_equal(
        image.array, phantoms.stored_values().transpose(2, 1, 0).astype(int) - 1024
    )


def test_frames_without_places_are_refused(tmp_path: Path) -> None:
    phantoms.write(
        tmp_path, [phantoms.ct_slice(phantoms.stored_values(), (0, 0, 0), NumberOfFrames=8)]
    )

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == ("E_DIMS", "IM000.dcm")
    assert "8 frames" in error.reason


def test_an_enhanced_ct_is_read_like_its_slices(tmp_path: Path) -> None:
    phantoms.write(tmp_path / "many", phantoms.ct_series())
    phantoms.write(tmp_path / "one", [phantoms.enhanced_ct()])

    many, one = load_dicom(tmp_path / "many"), load_dicom(tmp_path / "one")

    np.testing.assert_array_equal(one.array, many.array)
    np.testing.assert_array_equal(one.affine, many.affine)
    alone = load_dicom(tmp_path / "one" / "IM000.dcm")
    np.testing.assert_array_equal(alone.array, many.array)
    assert "(CT, 8 images of" in str(read_study(tmp_path / "one"))
