# SPDX-License-Identifier: Apache-2.0
"""Files without preamble or without their transfer syntax have the values that were written."""

import zlib
from pathlib import Path

import dicom_phantoms as phantoms
import numpy as np
import pytest
from dicom_phantoms import refusal
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless
from radiographs import cr_image, truth

from medvol.images import read_image
from medvol.images.dicom import dataset, has_mark, is_dicom
from medvol.images.dicom.volume import load_dicom

HU = phantoms.stored_values().transpose(2, 1, 0).astype(np.int16) - 1024


def bare(header: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    """A file that begins with its first element, as old scanners write it."""
    del header.file_meta
    file = DicomBytesIO()
    dcmwrite(file, header, implicit_vr=implicit, little_endian=little)
    return file.getvalue()


@pytest.mark.parametrize(
    ("implicit", "little"), [(True, True), (False, True), (False, False)],
    ids=["implicit", "explicit", "big-endian"],
)  # fmt: skip
@pytest.mark.parametrize("charset", ["ISO_IR 100", None])
def test_slices_without_preamble(
    tmp_path: Path, implicit: bool, little: bool, charset: str | None
) -> None:
    for k, one in enumerate(phantoms.ct_series()):
        if charset:
            one.SpecificCharacterSet = charset
        if not little:
            one.PixelData = phantoms.stored_values()[k].astype(">u2").tobytes()
        (tmp_path / f"IM{k}").write_bytes(bare(one, implicit=implicit, little=little))

    image = load_dicom(tmp_path)

    np.testing.assert_array_equal(image.array, HU)
    words = "Implicit" if implicit else "Explicit", "Little" if little else "Big"
    assert image.facts["TransferSyntax"].startswith(f"{words[0]} VR {words[1]} Endian")


def test_a_radiograph_without_preamble(tmp_path: Path) -> None:
    path = tmp_path / "pa.dcm"
    path.write_bytes(bare(cr_image()))
    np.testing.assert_allclose(read_image(path, "radiograph").array, truth(), atol=1e-7)


def test_slices_that_do_not_name_their_syntax(tmp_path: Path) -> None:
    for k, one in enumerate(phantoms.ct_series()):
        del one.file_meta.TransferSyntaxUID
        file = DicomBytesIO()
        dcmwrite(file, one, implicit_vr=False, little_endian=True)
        (tmp_path / f"IM{k}.dcm").write_bytes(file.getvalue())
    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)


def test_compressed_pixels_that_do_not_name_their_syntax_are_refused(tmp_path: Path) -> None:
    paths = phantoms.write(tmp_path, phantoms.ct_series())
    last = phantoms.ct_series()[-1]
    last.compress(RLELossless)
    del last.file_meta.TransferSyntaxUID
    dcmwrite(paths[-1], last, implicit_vr=False, little_endian=True)

    error = refusal(tmp_path)

    assert (error.code, error.path) == ("E_FORMAT", str(paths[-1]))
    assert error.reason == "its pixels are compressed, but no TransferSyntaxUID says how."


@pytest.mark.parametrize(
    ("head", "dicom"),
    [
        (bytes(128) + b"DICM", True),
        (b"\x02\0\0\0UL\x04\0", True),
        (b"\x08\0\x05\0CS\x0a\0", True),
        (b"\x08\0\x08\0\x22\0\0\0", True),
        (b"\0\x08\0\x16UI\0\x1a", True),
        (b"\x08\0\x08\0\x22\0\0\x01", False),
        (b"\x08\0\x19\0CS\x0a\0", False),
        (b"\x07\0\x05\0CS\x0a\0", False),
        (b"\x08\0\x05\0", False),
        (b"", False),
    ],
)
def test_what_begins_like_dicom(tmp_path: Path, head: bytes, dicom: bool) -> None:
    assert has_mark(head) is dicom
    (tmp_path / "x").write_bytes(head)
    assert is_dicom(tmp_path / "x") is dicom


def test_what_cannot_be_opened_is_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b\x08\0")
    for name in ("x.gz", "nowhere", "."):
        assert not is_dicom(tmp_path / name)


def deflated(folder: Path) -> Path:
    """A deflated file below a folder; the folder's second slice."""
    series = phantoms.ct_series()
    for one in series:
        one.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return phantoms.write(folder, series)[1]


def inflated_bytes(path: Path) -> int:
    """Of the part of a deflated file behind its file meta information."""
    whole = path.read_bytes()
    data = whole[144 + int.from_bytes(whole[140:144], "little") :]
    return len(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data))


def test_a_deflated_file_that_is_cut_or_inflates_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = deflated(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    error = refusal(tmp_path)
    assert (error.code, error.path) == ("E_TRUNCATED", str(path))

    path.write_bytes(whole + b"\x4e\xd0\x58\x45\x1a\2\4\0")  # some add what ends a gzip file
    size = max(map(inflated_bytes, tmp_path.iterdir()))  # their UIDs are not equally long
    monkeypatch.setattr(dataset, "MAX_INFLATED_BYTES", size)
    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)
    monkeypatch.setattr(dataset, "MAX_INFLATED_BYTES", size - 1)
    assert refusal(tmp_path).code == "E_TOO_BIG"
