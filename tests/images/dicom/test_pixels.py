# SPDX-License-Identifier: Apache-2.0
"""Stored values are those of the header's bits, whatever the compression; others are refused."""

import struct
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import dicom_phantoms as phantoms
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_phantoms import refusal
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medvol.errors import InputError
from medvol.images.dicom import pixels
from medvol.images.dicom.volume import load_dicom

NOISY = (
    np.tile(phantoms.stored_values(3), (1, 4, 4))  # JPEG 2000 wants 32 pixels or more
    + np.random.default_rng(0).integers(0, 99, (3, 64, 64))
).astype(np.uint16)
HU = NOISY.transpose(2, 1, 0).astype(np.int16) - 1024


def read_by_itk(path: Path) -> np.ndarray:
    """HU (column, row) of one file as SimpleITK has it."""
    image: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0].T
    return image


def run_too_long(frame: bytes) -> bytes:
    """Its last run goes on behind the last pixel."""
    return frame.rstrip(b"\0")[:-65] + bytes([127]) * 129


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=str)
def test_compressed_pixels_are_the_same_pixels(tmp_path: Path, syntax: str) -> None:
    series = phantoms.ct_series(NOISY)
    for one in series:
        one.compress(syntax)
    phantoms.write(tmp_path, series)

    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=str)
@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\xff" * 10], ids=["zeros", "fill"])
def test_compressed_frames_may_be_padded(tmp_path: Path, syntax: str, tail: bytes) -> None:
    phantoms.write(tmp_path, changed_frames(syntax, lambda frame: frame + tail))

    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)


@pytest.mark.parametrize(
    ("syntax", "change", "code"),
    [
        (JPEGLSLossless, lambda frame: frame[:-30] + bytes(64), "E_TRUNCATED"),
        (JPEG2000Lossless, lambda frame: frame[:-30], "E_TRUNCATED"),
        # half of the data, with an end: a tolerant decoder fills the rest with anything
        (JPEGLSLossless, lambda frame: frame[: len(frame) // 2] + b"\xff\xd9", "E_CORRUPT"),
        (JPEG2000Lossless, lambda frame: frame[: len(frame) // 2] + b"\xff\xd9", "E_CORRUPT"),
        (JPEG2000Lossless, lambda frame: frame[:900] + frame[901:], "E_CORRUPT"),
        (RLELossless, lambda frame: frame[:-100], "E_CORRUPT"),
        # a run that goes on behind the last pixel
        (RLELossless, run_too_long, "E_CORRUPT"),
    ],
    ids=["LS-cut", "2000-cut", "LS-half", "2000-half", "2000-shift", "RLE-cut", "RLE-long"],
)
def test_compressed_frames_that_lack_something_are_refused(
    tmp_path: Path, syntax: str, change: Callable[[bytes], bytes], code: str
) -> None:
    phantoms.write(tmp_path, changed_frames(syntax, change))

    assert refusal(tmp_path).code == code


def written(path: Path, syntax: str, change: Callable[[bytes], bytes]) -> Path:
    """One file of `changed_frames`."""
    return phantoms.write(path, changed_frames(syntax, change)[:1])[0]


def decoded(path: Path) -> bytes | str:
    """The stored values of a file, or the code with which it is refused."""
    try:
        return next(pixels.decode_frames(path, [0])).tobytes()
    except InputError as error:
        return error.code


def test_a_run_that_is_too_long_is_found_whatever_another_thread_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = written(tmp_path, RLELossless, run_too_long)
    began, goes_on, decode = Event(), Event(), pixels.iter_pixels

    def decode_later(*args: Any, **options: Any) -> Any:
        began.set()
        goes_on.wait(60)
        return decode(*args, **options)

    monkeypatch.setattr(pixels, "iter_pixels", decode_later)
    with ThreadPoolExecutor(1) as other:
        found = other.submit(decoded, damaged)
        assert began.wait(60)
        with warnings.catch_warnings(record=True):  # as packages do
            goes_on.set()
            assert found.result() == "E_CORRUPT"


def test_two_threads_decode_what_each_decodes_alone(tmp_path: Path) -> None:
    changes = {
        RLELossless: run_too_long,
        JPEGLSLossless: lambda frame: frame[: len(frame) // 2] + b"\xff\xd9",
        JPEG2000Lossless: lambda frame: frame[:900] + frame[901:],
    }
    alone = {}
    for number, (syntax, damage) in enumerate(changes.items()):
        sound = written(tmp_path / f"{number}", syntax, bytes)
        alone[sound] = NOISY[0].tobytes()
        alone[written(tmp_path / f"{number}-damaged", syntax, damage)] = "E_CORRUPT"
    before = [*warnings.filters]
    with ThreadPoolExecutor(2) as threads:
        for shift in range(12):  # each beside each, time and again
            other = [*alone][shift % 6 :] + [*alone][: shift % 6]
            pairs = [x for pair in zip(alone, other, strict=True) for x in pair]
            assert [*threads.map(decoded, pairs)] == [alone[path] for path in pairs]
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("syntax", "place"), [(JPEGLSLossless, b"\xff\xf7"), (JPEG2000Lossless, b"\xff\x51")], ids=str
)
def test_a_compression_that_claims_another_size_is_refused_before_it_takes_memory(
    tmp_path: Path, syntax: str, place: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claim(frame: bytes) -> bytes:
        start = frame.index(place)
        size = struct.pack(">HH", 64, 20000) if syntax == JPEGLSLossless else b"\0\0\x4e\x20"
        start += 5 if syntax == JPEGLSLossless else 6
        return frame[:start] + size + frame[start + 4 :]

    phantoms.write(tmp_path, changed_frames(syntax, claim))
    monkeypatch.setattr(pixels, "iter_pixels", None)

    error = refusal(tmp_path)

    assert error.code == "E_CORRUPT"
    assert "64 rows of 64 pixels, its pixels 64 rows of 20000 pixels" in error.reason


def changed_frames(syntax: str, change: Callable[[bytes], bytes]) -> list[Any]:
    """A series of `NOISY` whose compressed frames are changed."""
    series = phantoms.ct_series(NOISY)
    for one in series:
        one.compress(syntax)
        frame = next(generate_frames(one.PixelData, number_of_frames=1))
        one.PixelData = encapsulate([change(frame.rstrip(b"\0"))])
    return series


@pytest.mark.parametrize(
    "tail",
    [b"\n", bytes(5000), b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0abcd"],
    ids=["newline", "zeros", "DataSetTrailingPadding"],
)
def test_what_may_follow_the_pixels_in_a_file(tmp_path: Path, tail: bytes) -> None:
    for path in phantoms.write(tmp_path, phantoms.ct_series(NOISY)):
        path.write_bytes(path.read_bytes() + tail)

    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)


@pytest.mark.parametrize("more", [bytes(4), b"\0\0\0\1", b"\1\0"], ids=["zeros", "pixels", "pixel"])
def test_pixels_behind_the_last_one_must_be_zeros(tmp_path: Path, more: bytes) -> None:
    series = phantoms.ct_series(NOISY)
    series[2].PixelData += more
    path = phantoms.write(tmp_path, series)[2]

    if more == bytes(4):
        np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)
    else:
        assert (error := refusal(tmp_path)).code == "E_CORRUPT"
        assert error.path == str(path)
        assert "more than the 8192 bytes of pixels" in error.reason


@pytest.mark.parametrize("place", [1, 4000], ids=["first pixel", "in the middle"])
def test_pixels_that_were_shifted_in_the_file_are_refused(tmp_path: Path, place: int) -> None:
    path = phantoms.write(tmp_path, phantoms.ct_series(NOISY))[2]
    whole = path.read_bytes()
    start = len(whole) - 8192 + place
    path.write_bytes(whole[:start] + b"\x0d" * 4 + whole[start:])

    assert (error := refusal(tmp_path)).code == "E_CORRUPT"
    assert error.path == str(path)


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless], ids=str)
def test_an_overlay_above_the_stored_bits_is_no_part_of_the_values(
    tmp_path: Path, syntax: str | None
) -> None:
    series = phantoms.ct_series(NOISY | 0x8000)
    for one in series:
        if syntax:
            one.compress(syntax)
    path = phantoms.write(tmp_path, series)[0]

    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)
    np.testing.assert_array_equal(read_by_itk(path), HU[:, :, 0])


def test_signed_values_of_12_bits_are_extended(tmp_path: Path) -> None:
    signed = (NOISY.astype(np.int32) - 2000) & 0xFFF
    series = phantoms.ct_series(signed.astype(np.uint16), PixelRepresentation=1)
    path = phantoms.write(tmp_path, series)[0]

    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU - 2000)
    np.testing.assert_array_equal(read_by_itk(path), HU[:, :, 0] - 2000)


@pytest.mark.parametrize(("stored", "high"), [(12, 15), (16, 11), (16, 12)])
def test_a_high_bit_that_is_wrong_does_no_harm_where_the_values_leave_no_choice(
    tmp_path: Path, stored: int, high: int
) -> None:
    series = phantoms.ct_series(NOISY, BitsStored=stored, HighBit=high)
    path = phantoms.write(tmp_path, series)[0]

    image = load_dicom(tmp_path)

    np.testing.assert_array_equal(image.array, HU)
    text = f"images with BitsStored {stored} and HighBit {high}: 3; their values fit both."
    assert [str(note) for note in image.notes] == [f"N_BITS {text}"]
    np.testing.assert_array_equal(read_by_itk(path), HU[:, :, 0])


@pytest.mark.parametrize(
    ("values", "stored", "high"),
    [(NOISY * 16, 12, 15), (NOISY, 16, 9), (NOISY, 10, 11)],
    ids=["shifted", "above HighBit", "above BitsStored"],
)
def test_values_that_a_high_bit_would_change_are_refused(
    tmp_path: Path, values: np.ndarray, stored: int, high: int
) -> None:
    phantoms.write(tmp_path, phantoms.ct_series(values, BitsStored=stored, HighBit=high))

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == ("E_CORRUPT", "IM000.dcm")
    assert f"BitsStored {stored} and HighBit {high}" in error.reason


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=str)
def test_a_compression_with_more_bits_than_the_header_is_refused(
    tmp_path: Path, syntax: str
) -> None:
    """SimpleITK takes off the upper bit of one and not of the other."""
    series = phantoms.ct_series(NOISY | 0x8000, BitsStored=16, HighBit=15)
    for one in series:
        one.compress(syntax)
        one.BitsStored, one.HighBit = 12, 11
    phantoms.write(tmp_path, series)

    assert refusal(tmp_path).code == "E_CORRUPT"


def test_a_syntax_that_no_package_reads_is_named(tmp_path: Path) -> None:
    series = phantoms.ct_series()
    for one in series:
        one.compress(RLELossless)
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    phantoms.write(tmp_path, series)

    error = refusal(tmp_path)

    assert error.code == "E_DECODER"
    assert "MPEG2 Main Profile / Main Level" in error.reason
    assert "uncompressed" in error.remedy


def test_a_missing_decoder_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent:
        is_available = False
        missing_dependencies = ("pylibjpeg - requires pylibjpeg>=2.0 and pylibjpeg-rle>=2.0",)

    series = phantoms.ct_series()
    for one in series:
        one.compress(RLELossless)
    phantoms.write(tmp_path, series)
    monkeypatch.setattr(pixels, "get_decoder", lambda _: Absent)

    error = refusal(tmp_path)

    assert error.code == "E_DECODER"
    assert "RLE Lossless" in error.reason
    assert "pylibjpeg-rle" in error.remedy
