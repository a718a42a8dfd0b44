# SPDX-License-Identifier: Apache-2.0
"""A damaged DICOM file is refused by its name; frames are read like single slices."""

from collections.abc import Callable
from pathlib import Path

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from dicom_phantoms import brightest, broken, refusal, set_on
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
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
        (lambda p: p.write_bytes(p.read_bytes()[:400]), "E_TRUNCATED", "inside its header"),
        (cut_compressed_file, "E_TRUNCATED", "ends before or inside its pixels"),
        (cut_frame, "E_TRUNCATED", "no end mark"),
        (damage_rle, "E_CORRUPT", "cannot be decoded"),
        (lambda p: p.write_bytes(b""), "E_EMPTY", "0 bytes"),
        (lambda p: p.write_bytes(bytes(900)), "E_TRUNCATED", "nothing but 0"),
        (lambda p: p.write_bytes(b"<html>" * 50), "E_FORMAT", "lacks the DICM mark"),
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
        ({"RescaleIntercept": None}, "E_VALUES", "without RescaleSlope"),
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
