# SPDX-License-Identifier: Apache-2.0
"""One radiograph kept in many ways is read as one; what is none is refused; folders."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from radiographs import COLUMNS, MARK, ROWS, grey_values, save_cr, save_picture, save_png_16, truth
from refusals import refused_by

from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.find import find_radiographs, is_radiograph
from medvol.images.image import Image as Volume
from medvol.images.writing import write_volume

GREY = grey_values()
DEEP = GREY.astype(np.uint16) * 257  # 255 becomes 65535
TWELVE = np.rint(GREY / 255 * 4095).astype(np.uint16)
COLOURS = np.repeat(GREY[..., None], 3, axis=2)
WHITE_IS_ZERO = {262: 0}  # TIFF tag PhotometricInterpretation

Write = Callable[[Path], Path]


def picture(name: str, mode: str = "L", **options: object) -> Write:
    return lambda folder: _saved(Image.fromarray(GREY).convert(mode), folder / name, **options)


def stored(name: str, values: np.ndarray, **options: object) -> Write:
    return lambda folder: save_picture(folder / name, values, **options)


def dicom(values: np.ndarray, **changed: object) -> Write:
    return lambda folder: save_cr(folder / "a.dcm", values, **changed)


def _saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


EXACT: dict[str, Write] = {
    "PNG": picture("a.png"),
    "PNG, colours": picture("a.png", "RGB"),
    "PNG, colours and opaque": picture("a.png", "RGBA"),
    "PNG, grey and opaque": picture("a.png", "LA"),
    "PNG, palette": picture("a.png", "P"),
    "PNG, 16 bits": stored("a.png", DEEP),
    "PNG, 16 bits a colour": lambda d: save_png_16(
        d / "a.png", np.repeat(DEEP[..., None], 3, 2), colour_type=2
    ),
    "PNG, 16 bits, opaque": lambda d: save_png_16(
        d / "a.png", np.dstack([DEEP, np.full_like(DEEP, 65535)]), colour_type=4
    ),
    "TIFF": picture("a.tif"),
    "TIFF, LZW": picture("a.tiff", compression="tiff_lzw"),
    "TIFF, deflated": picture("a.tiff", compression="tiff_adobe_deflate"),
    "TIFF, colours": picture("a.tif", "RGB"),
    "TIFF, CMYK": picture("a.tif", "CMYK"),
    "TIFF, palette": picture("a.tif", "P"),
    "TIFF, 16 bits": stored("a.tif", DEEP),
    "TIFF, 16 bits, deflated": stored("a.tif", DEEP, compression="tiff_adobe_deflate"),
    "TIFF, 16 bits, big-endian": lambda d: _saved(
        Image.frombytes("I;16B", (COLUMNS, ROWS), DEEP.astype(">u2").tobytes()), d / "a.tif"
    ),
    "TIFF, 32 bits": stored("a.tif", DEEP.astype(np.int32)),
    "TIFF, fractions": stored("a.tif", truth()),
    "TIFF, 0 is white": stored("a.tif", GREY, tiffinfo=WHITE_IS_ZERO),
    "TIFF, 16 bits, 0 is white": stored("a.tif", 65535 - DEEP, tiffinfo=WHITE_IS_ZERO),
    "BMP": picture("a.bmp"),
    "GIF": picture("a.gif"),
    "DICOM": dicom(GREY),
    "DICOM, 16 bits": dicom(DEEP),
    "DICOM, 0 is white": dicom(255 - GREY, PhotometricInterpretation="MONOCHROME1"),
    "DICOM, colours": dicom(COLOURS),
    "DICOM, window of all": dicom(GREY, WindowCenter=128, WindowWidth=256),
}
NEARLY: dict[str, tuple[Write, float]] = {
    "PNG, 12 of 16 bits": (stored("a.png", TWELVE), 0.5 / 4095),
    "TIFF, 12 of 16 bits": (stored("a.tif", TWELVE), 0.5 / 4095),
    "DICOM, 12 bits": (dicom(TWELVE, BitsStored=12), 0.5 / 4095),
    "DICOM, 12 of 16 bits": (dicom(TWELVE), 0.5 / 4095),
    "JPEG": (picture("a.jpg", quality=100), 4 / 255),
    "JPEG, colours": (picture("a.jpeg", "RGB", quality=100), 4 / 255),
    "JPEG, CMYK": (picture("a.jpg", "CMYK", quality=100, subsampling=0), 6 / 255),
}


@pytest.mark.parametrize("kind", EXACT)
def test_twins_give_equal_pixels(tmp_path: Path, kind: str) -> None:
    read = read_image(EXACT[kind](tmp_path), "radiograph")
    assert read.array.dtype == np.float32
    np.testing.assert_allclose(read.array, truth(), atol=1e-7 * ("white" in kind), rtol=0)
    assert read.array[MARK] == 1
    assert read.notes == ()


@pytest.mark.parametrize("kind", NEARLY)
def test_twins_of_other_bits_are_equal_within_their_rounding(tmp_path: Path, kind: str) -> None:
    write, tolerance = NEARLY[kind]
    np.testing.assert_allclose(
        read_image(write(tmp_path), "radiograph").array, truth(), atol=tolerance * 1.01, rtol=0
    )


def test_a_file_of_16_bits_that_uses_12_is_told_by_its_highest_value(tmp_path: Path) -> None:
    values = np.array([[0, 1024], [2048, 4095]], np.uint16)
    below = read_image(save_picture(tmp_path / "a.png", values), "radiograph")
    assert below.array.tolist() == (values / np.float32(4095)).tolist()
    assert [str(note) for note in below.notes] == [
        "N_BITS its highest value is 4095, so its 16 bits were read as 12."
    ]
    values[1, 1] = 4096
    above = read_image(save_picture(tmp_path / "b.png", values), "radiograph")
    assert above.array[1, 1] == np.float32(4096) / np.float32(65535)
    assert above.notes == ()
    eight = read_image(save_picture(tmp_path / "c.png", values // 17), "radiograph")
    assert eight.array[1, 0] == np.float32(2048 // 17) / 255
    assert [note.code for note in eight.notes] == ["N_BITS"]


def test_a_picture_of_one_bit_is_black_and_white(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", np.eye(4, dtype=bool))
    assert read_image(path, "radiograph").array.tolist() == np.eye(4).tolist()


@pytest.mark.parametrize("alpha", [0, 1, 128, 254])
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_must_not_change_values(tmp_path: Path, alpha: int, channels: int) -> None:
    """Of 2 x 2 pixels one is black; it may be transparent, as around a round field."""
    values = np.full((2, 2, channels), 200, np.uint8)
    values[0, 0], values[..., -1] = 0, 255
    values[0, 0, -1] = alpha
    read = read_image(save_picture(tmp_path / "a.png", values), "radiograph")
    np.testing.assert_allclose(read.array, np.float32([[0, 200], [200, 200]]) / 255)
    assert read.notes == ()
    values[0, 1, -1] = alpha
    save_picture(tmp_path / "a.png", values)
    error = refused_by(lambda: read_image(tmp_path / "a.png", "radiograph"), "E_VALUES")
    assert "transparent in places" in error.reason


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_transparent_colour_must_not_be_seen(tmp_path: Path, mode: str) -> None:
    """A colour that no pixel has, black, or a grey that pixels have."""
    image = Image.fromarray(np.uint8([[0, 100], [200, 100]])).convert(mode)
    for grey, allowed in ((7, True), (0, True), (100, False)):
        colour = (grey,) * 3 if mode == "RGB" else grey
        image.save(path := tmp_path / "a.png", transparency=colour)
        if allowed:
            array = read_image(path, "radiograph").array
            assert array.tolist() == (np.float32([[0, 100], [200, 100]]) / np.float32(255)).tolist()
        else:
            refused_by(lambda: read_image(tmp_path / "a.png", "radiograph"), "E_VALUES")


def test_of_a_photograph_with_previews_the_first_picture_counts(tmp_path: Path) -> None:
    first, preview = Image.fromarray(GREY), Image.fromarray(GREY // 2)
    first.save(
        tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview], quality=100
    )
    read = read_image(tmp_path / "a.jpg", "radiograph")
    assert (read.facts["format"], read.notes) == ("MPO", ())
    np.testing.assert_allclose(read.array, truth(), atol=4 / 255)


def test_brightness_of_a_tinted_picture(tmp_path: Path) -> None:
    values = np.array([[[100, 110, 120], [0, 0, 0]]], np.uint8)
    pixels = read_image(save_picture(tmp_path / "a.png", values), "radiograph").array
    assert pixels[0, 0] == np.float32(108) / 255  # 29.9 + 64.57 + 13.68 = 108.15


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_it_is_turned_upright_as_exif_asks(tmp_path: Path, name: str) -> None:
    """Orientation 6: the first stored row is the right column of what is meant."""
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = np.zeros((16, 32), np.uint8)
    lying[:8] = 255
    read = read_image(save_picture(tmp_path / name, lying, exif=exif), "radiograph")
    assert read.array.shape == (32, 16)
    assert read.array[:, 8:].min() == 1
    assert read.array[:, :8].max() == 0
    assert [note.code for note in read.notes] == ["N_EXIF"]


def test_16_bits_are_turned_too_and_an_upright_mark_is_no_remark(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = read_image(save_picture(tmp_path / "a.png", DEEP, exif=exif), "radiograph")
    assert np.array_equal(turned.array, truth()[::-1, ::-1])
    exif[0x0112] = 1
    assert read_image(save_picture(tmp_path / "b.png", exif=exif), "radiograph").notes == ()


def test_damaged_exif_leaves_a_sound_picture(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", exif=b"Exif\0\0MM no directory at all")
    assert np.array_equal(read_image(path, "radiograph").array, truth())


@pytest.mark.parametrize(
    ("write", "name", "content"),
    [
        (picture("a.png"), "a.jpg", "PNG"),
        (picture("a.jpg"), "a.png", "JPEG"),
        (picture("a.tif"), "a.nii.gz", "TIFF"),
        (picture("a.png"), "a.dcm", "PNG"),
        (picture("a.png"), "a", "PNG"),
        (dicom(GREY), "a.png", "DICOM"),
    ],
)
def test_another_suffix_is_a_remark(tmp_path: Path, write: Write, name: str, content: str) -> None:
    path = write(tmp_path).rename(tmp_path / name)
    (note,) = read_image(path, "radiograph").notes
    assert str(note) == f"N_FORMAT its content is {content} whatever its name says."


@pytest.mark.parametrize("name", ["a.DCM", "IM0001", "1.2.840.7", "a.ima"])
def test_dicom_goes_by_many_names(tmp_path: Path, name: str) -> None:
    assert read_image(save_cr(tmp_path / name), "radiograph").notes == ()


def header_only(path: Path, side: int) -> Path:
    """A PNG whose header claims side x side pixels, without them."""
    save_png_16(path, np.zeros((1, 1, 1)), colour_type=0)
    content = bytearray(path.read_bytes())
    content[16:24] = side.to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def animation(path: Path) -> Path:
    frames = [Image.fromarray(GREY // (k + 1)) for k in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def photograph(path: Path) -> Path:
    values = np.zeros((20, 20, 3), np.uint8)
    values[:, :, 1] = np.arange(20) * 12  # a meadow
    return save_picture(path, values)


def fractions(*values: float) -> Write:
    return lambda d: save_picture(d / "a.tif", np.float32([values] * 10))


def cut(name: str, **options: object) -> Write:
    def write(folder: Path) -> Path:
        noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
        path = save_picture(folder / name, noise, **options)
        path.write_bytes(path.read_bytes()[:2000])
        return path

    return write


def text(name: str, content: bytes) -> Write:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _volume(folder: Path) -> Path:
    write_volume(folder / "ct.nii.gz", np.zeros((4, 4, 4), np.int16), np.eye(4))
    return folder / "ct.nii.gz"


REFUSED: dict[str, tuple[Write, str, str]] = {
    "no file": (lambda d: d / "none.png", "E_PATH", "no such file"),
    "folder": (lambda d: d, "E_PATH", "this is a folder"),
    "0 bytes": (text("a.png", b""), "E_EMPTY", "0 bytes"),
    "text": (text("a.png", b"hello " * 20), "E_FORMAT", "not a picture"),
    "web page": (text("a.dcm", b"<!DOCTYPE html>" * 20), "E_FORMAT", "not a picture"),
    "a volume": (_volume, "E_FORMAT", "NIfTI, which is not read as a radiograph"),
    "vector drawing": (
        text("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9), "E_FORMAT", "not a picture",
    ),
    "unknown TIFF": (
        text("a.tif", b"II*\0\x08\0\0\0" + bytes(80)), "E_FORMAT", "a TIFF of an unusual kind",
    ),
    "PNG cut in its header": (text("a.png", b"\x89PNG\r\n\x1a\n"), "E_TRUNCATED", "its header"),
    "PNG damaged in its header": (
        text("a.png", b"\x89PNG\r\n\x1a\n" + bytes(90)), "E_CORRUPT", "header is damaged",
    ),
    "PNG cut": (cut("a.png"), "E_TRUNCATED", "to its end (Truncated File Read)"),
    "JPEG cut": (cut("a.jpg", quality=95), "E_TRUNCATED", "to its end"),
    "TIFF cut": (cut("a.tif"), "E_TRUNCATED", "to its end"),
    "TIFF with its directory behind": (
        cut("a.tif", compression="tiff_lzw"), "E_TRUNCATED", "ends before its directory",
    ),
    "BMP cut": (cut("a.bmp"), "E_TRUNCATED", "to its end"),
    "GIF of frames": (lambda d: animation(d / "a.gif"), "E_DIMS", "3 frames"),
    "PNG of frames": (lambda d: animation(d / "a.png"), "E_DIMS", "3 frames"),
    "TIFF of pages": (lambda d: animation(d / "a.tif"), "E_DIMS", "3 frames"),
    "too big": (lambda d: header_only(d / "a.png", 9000), "E_TOO_BIG", "9000 x 9000"),
    "far too big": (lambda d: header_only(d / "a.png", 10**6), "E_TOO_BIG", "too many pixels"),
    "one value": (
        stored("a.png", np.full((9, 9), 51, np.uint8)), "E_VALUES", "the same grey, 0.2 of white",
    ),
    "nothing but transparent": (
        stored("a.png", np.dstack([COLOURS, 0 * GREY])), "E_VALUES", "transparent in places",
    ),
    "photograph": (lambda d: photograph(d / "a.png"), "E_VALUES", "75 % of its pixels are strong"),
    "colours of 12 bits": (
        lambda d: save_png_16(d / "a.png", np.repeat(TWELVE[..., None], 3, 2), colour_type=2),
        "E_VALUES", "16 bits a colour",
    ),
    "fractions above 1": (fractions(0, 0.5, 1.5), "E_VALUES", "fractions from 0 to 1.5"),
    "fractions below 0": (fractions(-1, 0, 1), "E_VALUES", "fractions from -1 to 1"),
    "NaN": (fractions(0, np.nan, 1), "E_VALUES", "33.3 % of its voxels are NaN"),
    "infinite": (fractions(0, np.inf, 1), "E_VALUES", "infinite"),
    "negative": (stored("a.tif", np.int32([[-5, 9]])), "E_VALUES", "from -5 to 9"),
    "above 16 bits": (stored("a.tif", np.int32([[0, 70000]])), "E_VALUES", "0 to 70000"),
    "colours of a printer": (
        lambda d: _saved(Image.new("LAB", (9, 9)), d / "a.tif"), "E_VALUES", "of kind LAB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_code_and_file(tmp_path: Path, case: str) -> None:
    write, code, reason = REFUSED[case]
    path = write(tmp_path)
    error = refused_by(lambda: read_image(path, "radiograph"), code)
    assert error.path == str(path)
    assert reason in error.reason, error.reason
    assert error.remedy.endswith(".")


def test_a_few_missing_values_are_filled_with_a_remark(tmp_path: Path) -> None:
    values = np.tile(np.float32([0.25, 0.5, 1]), (100, 1))
    values[0, 2] = np.nan
    read = read_image(save_picture(tmp_path / "a.tif", values), "radiograph")
    assert read.array[0].tolist() == [0.25, 0.5, 0.25]
    assert [note.code for note in read.notes] == ["N_NAN_FILLED"]


def test_a_small_coloured_stamp_is_no_photograph(tmp_path: Path) -> None:
    values = COLOURS.copy()
    values[:4, :5] = (255, 0, 0)  # 20 of 480 pixels are 4 %
    assert read_image(save_picture(tmp_path / "a.png", values), "radiograph").array[
        0, 0
    ] == 76 / np.float32(255)


@pytest.mark.parametrize("kind", ["PNG", "PNG, 16 bits", "TIFF", "TIFF, LZW", "DICOM"])
def test_wherever_it_is_cut_it_is_refused_or_whole(tmp_path: Path, kind: str) -> None:
    path = EXACT[kind](tmp_path)
    content = path.read_bytes()
    refusals: list[str] = []
    for length in range(0, len(content), 13):
        path.write_bytes(content[:length])
        try:
            assert np.array_equal(read_image(path, "radiograph").array, truth()), length
        except InputError as error:
            refusals.append(error.code)
    assert set(refusals) <= {"E_EMPTY", "E_FORMAT", "E_TRUNCATED", "E_CORRUPT"}
    assert len(refusals) > len(content) / 13 - 3


@pytest.mark.parametrize("kind", ["PNG", "PNG, 16 bits"])
def test_each_damaged_byte_of_a_png_is_found_or_harmless(tmp_path: Path, kind: str) -> None:
    path = EXACT[kind](tmp_path)
    content = path.read_bytes()
    refusals = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            assert np.array_equal(read_image(path, "radiograph").array, truth()), place
        except InputError:
            refusals += 1
    assert refusals > len(content) - 15  # the end mark's own checksum is nobody's loss


def test_a_tiff_with_an_empty_directory_behind_is_refused(tmp_path: Path) -> None:
    path = picture("a.tif")(tmp_path)
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, directory)
    struct.pack_into("<I", content, directory + 2 + 12 * entries, len(content))
    path.write_bytes(content + struct.pack("<HI", 0, 0))
    refused_by(lambda: read_image(path, "radiograph"), "E_CORRUPT")


def test_0_is_white_in_the_files_that_say_so(tmp_path: Path) -> None:
    """Pillow inverts 8 bits itself when it writes such a TIFF, and leaves 16 bits alone."""
    eight = EXACT["TIFF, 0 is white"](tmp_path).read_bytes()
    assert (255 - GREY).tobytes() in eight
    assert (65535 - DEEP).tobytes() in EXACT["TIFF, 16 bits, 0 is white"](tmp_path).read_bytes()


def test_a_jpeg_without_its_end_is_refused(tmp_path: Path) -> None:
    path = picture("a.jpg")(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    refused_by(lambda: read_image(path, "radiograph"), "E_TRUNCATED")


def test_a_refusal_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom medvol import read_image\n"
        "for path in sys.argv[1:]:\n    read_image(path, 'radiograph')\n"
        "print({'torch', 'monai', 'matplotlib'} & set(sys.modules))"
    )
    paths = [picture("a.png")(tmp_path), dicom(GREY)(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_a_radiograph_is_two_axes_of_float32() -> None:
    with pytest.raises(ValueError, match=r"the array is float64 of shape \(2, 2\); give 3 axes"):
        Volume(np.eye(2), np.eye(4), Path("a.png"))
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        Volume(np.ones(2, np.float32), np.eye(4), Path("a.png"))
    radiograph = Volume(np.eye(2, dtype=np.float32), np.eye(4), Path("a.png"))
    assert radiograph.seen is radiograph.array


@pytest.mark.parametrize("spacing", [None, [0.5, 0.25], [0, 1]])
def test_the_affine_has_the_spacing_where_it_is_known(tmp_path: Path, spacing: object) -> None:
    path = save_cr(tmp_path / "a.dcm", PixelSpacing=spacing) if spacing else save_cr(tmp_path / "a")
    rows, columns = (0.5, 0.25) if spacing == [0.5, 0.25] else (1, 1)
    affine = read_image(path, "radiograph").affine
    np.testing.assert_array_equal(affine, np.diag([rows, columns, 1, 1]))
    drawn = read_image(picture("a.png")(tmp_path), "radiograph").affine
    np.testing.assert_array_equal(drawn, np.eye(4))


def test_a_pipe_is_no_radiograph(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert not is_radiograph(tmp_path / "a.png")
    refused_by(lambda: read_image(tmp_path / "a.png", "radiograph"), "E_PATH")


def test_real_radiographs_are_read_as_they_are_stored(real_data: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(real_data / "xray_pneumonia" / "chest_xray_val.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")][:8]
        paths = [Path(archive.extract(name, tmp_path)) for name in names]
    assert sorted(paths) == sorted(find_radiographs(tmp_path))
    for path in paths:
        read = read_image(path, "radiograph")
        assert read.notes == ()
        assert np.array_equal(np.rint(read.array * 255), np.asarray(Image.open(path)))
