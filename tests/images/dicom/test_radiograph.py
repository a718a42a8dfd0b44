# SPDX-License-Identifier: Apache-2.0
"""DICOM radiographs: rescale, tables, windows, inversion, padding, and what is no radiograph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_phantoms import put_bytes
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    JPEG2000Lossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from radiographs import cr_image, grey_values, save_cr, truth
from refusals import refused_by

from medvol.images import read_image

LINE = np.array([[0, 100, 200, 255]], np.uint8)


def read(folder: Path, values: np.ndarray = LINE, **changed: Any) -> list[float]:
    """The first row as it is shown, rounded to 5 digits."""
    pixels = read_image(save_cr(folder / "a.dcm", values, **changed), "radiograph").array
    return [round(float(value), 5) for value in pixels[0]]


def table(entries: list[int], first: int, bits: int) -> list[Dataset]:
    """One item of a Modality or VOI LUT Sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = entries
    item["LUTData"].VR = "US"
    item.ModalityLUTType = "US"
    return [item]


def test_without_window_all_stored_bits_are_shown(tmp_path: Path) -> None:
    assert read(tmp_path) == [0, 0.39216, 0.78431, 1]
    twelve = np.array([[0, 1024, 4095]], np.uint16)
    assert read(tmp_path, twelve, BitsStored=12) == [0, 0.25006, 1]
    assert read(tmp_path, twelve // 16, BitsStored=10) == [0, 0.06256, 0.24927]


def test_16_stored_bits_of_which_12_are_used_are_told_by_the_highest_value(tmp_path: Path) -> None:
    image = read_image(
        save_cr(tmp_path / "a.dcm", np.array([[0, 819, 4095]], np.uint16)), "radiograph"
    )
    assert image.array.tolist() == [[0, np.float32(0.2), 1]]
    assert [note.code for note in image.notes] == ["N_BITS"]


@pytest.mark.parametrize(
    ("centre", "width", "function", "shown"),
    [
        (128, 256, None, [0, 0.39216, 0.78431, 1]),  # ((v - 127.5) / 255) + 0.5
        (150.5, 101, None, [0, 0, 1, 1]),  # ((100 - 150) / 100) + 0.5 and (200 - 150) / 100 + 0.5
        (150.5, 201, None, [0, 0.25, 0.75, 1]),  # (100 - 150) / 200 + 0.5, and so on
        (150, 200, "LINEAR_EXACT", [0, 0.25, 0.75, 1]),
        (150, 100, "SIGMOID", [0.00247, 0.1192, 0.8808, 0.98523]),  # 1 / (1 + e^2) for 100
        ([150.5, 10], [201, 1], None, [0, 0.25, 0.75, 1]),  # the first of two windows
        ("", "", "", [0, 0.39216, 0.78431, 1]),
    ],
)
def test_windows(
    tmp_path: Path, centre: object, width: object, function: str | None, shown: list[float]
) -> None:
    more = {} if function is None else {"VOILUTFunction": function}
    assert read(tmp_path, WindowCenter=centre, WindowWidth=width, **more) == shown


def test_half_a_window_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, WindowCenter=10) == [0, 0.39216, 0.78431, 1]


def test_a_window_counts_rescaled_values(tmp_path: Path) -> None:
    """100 and 200 become -800 and -600: a quarter and three quarters of the window."""
    given = {"RescaleSlope": 2, "RescaleIntercept": -1000}
    assert read(tmp_path, **given, WindowCenter=-699.5, WindowWidth=401) == [0, 0.25, 0.75, 1]


def test_rescale_alone_moves_the_range_with_the_values(tmp_path: Path) -> None:
    given = {"RescaleSlope": 0.5, "RescaleIntercept": 7}
    assert read(tmp_path, **given) == [0, 0.39216, 0.78431, 1]
    assert read(tmp_path, RescaleSlope=-1, RescaleIntercept=255) == [1, 0.60784, 0.21569, 0]
    assert read(tmp_path, RescaleSlope="", RescaleIntercept="") == [0, 0.39216, 0.78431, 1]


def test_signed_values_have_the_range_of_their_bits(tmp_path: Path) -> None:
    values = np.array([[-2048, -1, 2047]], np.int16)
    assert read(tmp_path, values, BitsStored=12) == [0, 0.49988, 1]  # 2047 / 4095


@pytest.mark.parametrize("stored", [np.uint8, np.uint16])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_a_voi_table_of_any_bits(tmp_path: Path, stored: type, bits: int) -> None:
    """From 100 on: entry k is k / 255 of the whole; below stands the first, above the last."""
    top = 2**bits - 1
    entries = [round(k / 100 * top) for k in range(101)]
    changed = {"VOILUTSequence": table(entries, 100, bits), "WindowCenter": 1, "WindowWidth": 1}
    values = np.array([[0, 100, 150, 200, 250]], stored)
    shown = read(tmp_path, values, **changed)
    np.testing.assert_allclose(shown, [0, 0, 0.5, 1, 1], atol=0.5 / top + 1e-5)


def test_a_voi_table_of_8_bits_with_more_entries_than_256(tmp_path: Path) -> None:
    entries = [k // 4 for k in range(1024)]
    changed = {"VOILUTSequence": table(entries, 0, 8), "BitsStored": 10}
    values = np.array([[0, 300, 1000, 1023]], np.uint16)
    assert read(tmp_path, values, **changed) == [0, 0.29412, 0.98039, 1]  # 75, 250 and 255 of 255


def test_a_modality_table_alone_and_before_a_window(tmp_path: Path) -> None:
    entries = [4095 - k for k in range(4096)]
    changed = {"ModalityLUTSequence": table(entries, 0, 12), "BitsStored": 12}
    values = np.array([[0, 819, 4095]], np.uint16)
    assert read(tmp_path, values, **changed) == [1, 0.8, 0]
    changed |= {"WindowCenter": 2048, "WindowWidth": 4096}
    assert read(tmp_path, values, **changed) == [1, 0.8, 0]
    assert read(tmp_path, LINE, ModalityLUTSequence=table(entries[-256:], 0, 8)) == [
        1, 0.60784, 0.21569, 0,
    ]  # fmt: skip


def test_monochrome1_is_turned_round_after_its_window(tmp_path: Path) -> None:
    given = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 150.5, "WindowWidth": 201}
    assert read(tmp_path, **given) == [1, 0.75, 0.25, 0]


def test_padding_is_black_whichever_way_round(tmp_path: Path) -> None:
    values = np.array([[60000, 0, 819, 4095]], np.uint16)
    padded = {"PixelPaddingValue": 60000}
    assert read(tmp_path, values, **padded) == [0, 0, 0.2, 1]  # 12 bits without the padding
    padded["PhotometricInterpretation"] = "MONOCHROME1"
    assert read(tmp_path, values, **padded) == [0, 1, 0.8, 0]
    padded["PixelPaddingRangeLimit"] = 800
    assert read(tmp_path, values, **padded) == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("padding", "limit", "shown"),
    [
        (128, None, [0, 0.02745, 0.03529, 0.50196, 0.9451, 0.95294, 1]),  # in the picture
        (0, 200, [0, 0.02745, 0.03529, 0.50196, 0.9451, 0.95294, 1]),  # most of it
        (241, None, [0, 0.02745, 0.03529, 0.50196, 0.9451, 0.95294, 1]),  # 0.05 from white
        (243, None, [0, 0.02745, 0.03529, 0.50196, 0.9451, 0, 1]),
        (9, None, [0, 0.02745, 0, 0.50196, 0.9451, 0.95294, 1]),
    ],
)
def test_padding_that_lies_in_the_picture_is_left_alone(
    tmp_path: Path, padding: int, limit: int | None, shown: list[float]
) -> None:
    values = np.array([[0, 7, 9, 128, 241, 243, 255]], np.uint8)
    given = {"PixelPaddingValue": padding}
    if limit is not None:
        given["PixelPaddingRangeLimit"] = limit
    image = read_image(save_cr(tmp_path / "a.dcm", values, **given), "radiograph")
    np.testing.assert_allclose(image.array[0], shown, atol=1e-5)
    kept = padding in (128, 241, 0)
    assert [note.code for note in image.notes] == ["N_PADDING"] * kept


def test_a_high_bit_that_is_wrong_is_noted(tmp_path: Path) -> None:
    values = np.array([[0, 819, 4095]], np.uint16)
    image = read_image(save_cr(tmp_path / "a.dcm", values, BitsStored=12, HighBit=15), "radiograph")
    assert image.array.tolist() == [[0, np.float32(0.2), 1]]
    assert [note.code for note in image.notes] == ["N_BITS"]


def test_padding_in_the_picture_counts_among_its_bits(tmp_path: Path) -> None:
    values = np.array([[0, 819, 3000, 4095]], np.uint16)
    image = read_image(
        save_cr(tmp_path / "a.dcm", values, PixelPaddingValue=3000, PixelPaddingRangeLimit=4095),
        "radiograph",
    )
    np.testing.assert_allclose(image.array[0], values[0] / 4095, atol=1e-6)
    assert [note.code for note in image.notes] == ["N_BITS", "N_PADDING"]


@pytest.mark.parametrize("modality", ["CR", "DX"])
@pytest.mark.parametrize(
    ("photometric", "shape", "shown"),
    [
        ("MONOCHROME2", "IDENTITY", [0, 0.39216, 0.78431, 1]),
        ("MONOCHROME1", "INVERSE", [1, 0.60784, 0.21569, 0]),
    ],
)
def test_the_shape_of_the_presentation_lut_repeats_the_photometric_interpretation(
    tmp_path: Path, modality: str, photometric: str, shape: str, shown: list[float]
) -> None:
    given = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    assert read(tmp_path, Modality=modality, **given) == shown


def test_a_cr_may_call_monochrome1_identical_after_its_inversion(tmp_path: Path) -> None:
    given = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"}
    assert read(tmp_path, **given) == [1, 0.60784, 0.21569, 0]


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=["RLE", "JPEG 2000"])
def test_compressed_pixels(tmp_path: Path, syntax: str) -> None:
    large = np.kron(grey_values().astype(np.uint16) * 257, np.ones((2, 2), np.uint16))
    image = cr_image(large)
    image.compress(syntax)
    image.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert np.array_equal(read_image(tmp_path / "a.dcm", "radiograph").array[::2, ::2], truth())


@pytest.mark.parametrize("modality", ["CR", "DX", "DR", "RG", "OT"])
def test_kinds_of_radiographs(tmp_path: Path, modality: str) -> None:
    path = save_cr(tmp_path / "a.dcm", Modality=modality, SOPClassUID=SecondaryCaptureImageStorage)
    assert np.array_equal(read_image(path, "radiograph").array, truth())


def test_facts_name_no_person(tmp_path: Path) -> None:
    facts = read_image(
        save_cr(tmp_path / "a.dcm", Manufacturer="Phantom Works"), "radiograph"
    ).facts
    assert facts == {
        "format": "DICOM",
        "stored_dtype": "uint8",
        "Modality": "CR",
        "ViewPosition": "PA",
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsStored": 8,
        "TransferSyntax": "Explicit VR Little Endian",
        "Manufacturer": "Phantom Works",
    }


def test_a_fact_that_cannot_be_read_is_no_fault(tmp_path: Path) -> None:
    path = save_cr(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"\x18\0\x01\x51CS", b"\x18\0\x01\x51C\x81"))
    image = read_image(path, "radiograph")
    assert np.array_equal(image.array, truth())
    assert image.facts["ViewPosition"] == "?"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def no_syntax(path: Path) -> None:
    image = cr_image()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG2
    image.PixelData = encapsulate([image.PixelData])
    image["PixelData"].is_undefined_length = True
    image.save_as(path, enforce_file_format=True)


def report(path: Path) -> None:
    image = cr_image(Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(image, name)
    image.save_as(path, enforce_file_format=True)


def no_mark(path: Path) -> None:
    path.write_bytes(save_cr(path).read_bytes()[150:])


def changed(**values: Any) -> Callable[[Path], object]:
    return lambda path: save_cr(path, **values)


def of_values(values: np.ndarray, **more: Any) -> Callable[[Path], object]:
    return lambda path: save_cr(path, values, **more)


FRAMES = {
    "SOPClassUID": MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    "NumberOfFrames": 2, "Rows": 10,
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "CT": (changed(Modality="CT"), "E_MODALITY", "says CT; a radiograph is expected"),
    "MR": (changed(Modality="MR"), "E_MODALITY", "says MR"),
    "raw": (
        changed(Modality="DX", PresentationIntentType="FOR PROCESSING"), "E_MODALITY", "raw image",
    ),
    "turned round and not": (
        changed(PresentationLUTShape="INVERSE"), "E_VALUES", "whether bones are white or black",
    ),
    "not turned round and turned": (
        changed(
            PresentationLUTShape="IDENTITY",
            PhotometricInterpretation="MONOCHROME1",
            SOPClassUID=DigitalXRayImageStorageForPresentation,
        ),
        "E_VALUES", "MONOCHROME1 with a PresentationLUTShape of IDENTITY",
    ),
    "shifted bits": (
        of_values(np.full((8, 8), 65280, np.uint16), BitsStored=12, HighBit=15),
        "E_CORRUPT", "BitsStored 12 and HighBit 15",
    ),
    "no mark": (no_mark, "E_FORMAT", "lacks the DICM mark"),
    "frames": (changed(**FRAMES), "E_DIMS", "2 frames"),
    "report": (report, "E_FORMAT", "DICOM without a picture (SR)"),
    "no rows": (changed(Rows=None), "E_TRUNCATED", "has no Rows, as if the file ended inside it"),
    "too large": (changed(Rows=60000, Columns=60000), "E_TOO_BIG", "60000 x 60000"),
    "cut": (lambda p: cut(save_cr(p)), "E_TRUNCATED", "430 bytes of pixels"),
    "no decoder": (no_syntax, "E_DECODER", "MPEG2"),
    "palette": (
        changed(PhotometricInterpretation="PALETTE COLOR"), "E_VALUES", "a palette",
    ),
    "strong colours": (
        of_values(np.tile(np.uint8([250, 0, 0]), (8, 8, 1))), "E_VALUES", "strongly coloured",
    ),
    "deep colours": (of_values(np.zeros((8, 8, 3), np.uint16)), "E_VALUES", "kept as uint16"),
    "slope 0": (
        changed(RescaleSlope=0, RescaleIntercept=7), "E_VALUES", "makes every value 7",
    ),
    "one value": (of_values(np.full((8, 8), 9, np.uint8)), "E_VALUES", "same grey"),
    "window beside all values": (
        changed(WindowCenter=5000, WindowWidth=10), "E_VALUES", "same grey, 0 of white",
    ),
    "window without width": (
        changed(WindowCenter=100, WindowWidth=0), "E_CORRUPT", "how to show it",
    ),
    "window that is no number": (
        lambda p: put_bytes(save_cr(p, WindowCenter=9, WindowWidth=9), "WindowWidth", b"6,00"),
        "E_CORRUPT", "no number in WindowWidth",
    ),
    "two slopes": (
        changed(RescaleSlope=[1, 2], RescaleIntercept=0), "E_CORRUPT", "no number in RescaleSlope",
    ),
    "unknown window": (
        changed(WindowCenter=9, WindowWidth=9, VOILUTFunction="CURVED"), "E_CORRUPT", "CURVED",
    ),
    "table that is cut": (
        changed(ModalityLUTSequence=[Dataset()]), "E_CORRUPT", "how to show it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_code_and_file(tmp_path: Path, case: str) -> None:
    write, code, reason = REFUSED[case]
    path = tmp_path / "a.dcm"
    write(path)
    error = refused_by(lambda: read_image(path, "radiograph"), code)
    assert error.path == str(path)
    assert reason in error.reason, error.reason
    assert error.remedy.endswith(".")
