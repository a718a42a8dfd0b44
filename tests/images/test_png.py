# SPDX-License-Identifier: Apache-2.0
"""A PNG with fewer rows than its header promises is refused, plain and interlaced."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from mutants import with_checksums
from radiographs import grey_values, save_picture
from refusals import refused

from medvol.images import read_image
from medvol.images.png import ADAM7

SMALL = np.arange(11 * 13, dtype=np.uint8).reshape(11, 13)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def interlaced(path: Path, *, left_out: int) -> Path:
    """`SMALL`, 13 wide and 11 high, in seven passes, without the last bytes of the last one."""
    passes = [SMALL[top::down, left::right] for left, top, right, down in ADAM7]
    lines = b"".join(b"\0" + row.tobytes() for each in passes for row in each if each.size)
    head = struct.pack(">IIBBBBB", 13, 11, 8, 0, 0, 0, 1)
    data = zlib.compress(lines[: len(lines) - left_out])
    chunks = [(b"IHDR", head), (b"IDAT", data[:20]), (b"IDAT", data[20:]), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rows_that_are_promised_and_not_there(tmp_path: Path, dtype: type[np.generic]) -> None:
    path = save_picture(tmp_path / "a.png", grey_values().astype(dtype))
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 24, 40)  # 20 rows are there; Pillow makes 20 black ones
    path.write_bytes(with_checksums(bytes(content)))
    refused(path, "E_TRUNCATED", "24 x 40 pixels; 50 %", "again", kind="radiograph")


def test_an_interlaced_picture(tmp_path: Path) -> None:
    whole = interlaced(tmp_path / "a.png", left_out=0)
    np.testing.assert_array_equal(
        read_image(whole, "radiograph").array, SMALL.astype(np.float32) / 255
    )
    refused(interlaced(whole, left_out=1), "E_TRUNCATED", "13 x 11", "again", kind="radiograph")


@pytest.mark.parametrize("colours", [1, 2, 7, 200])
def test_few_bits_a_pixel(tmp_path: Path, colours: int) -> None:
    from PIL import Image

    picture = Image.fromarray(SMALL % colours).convert("P")
    picture.save(tmp_path / "a.png", bits=max(1, (colours - 1).bit_length()))
    if colours > 1:
        assert read_image(tmp_path / "a.png", "radiograph").array.shape == (11, 13)
    else:
        refused(tmp_path / "a.png", "E_VALUES", "the same grey", "", kind="radiograph")
