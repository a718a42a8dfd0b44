# SPDX-License-Identifier: Apache-2.0
"""Packing and unpacking: the same bytes by ISA-L, by zlib, and by one what the other made."""

import gzip
import zlib

import numpy as np
import pytest

from medvol.images import deflate

NOISE = np.random.default_rng(0).normal(-600, 200, 40_000).astype(np.int16).tobytes()
MASK = np.repeat(np.arange(40, dtype=np.uint8), 3_000).tobytes()


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What packs and unpacks."""
    if request.param == "zlib":
        monkeypatch.setattr(deflate, "isal_zlib", None)
    else:
        pytest.importorskip("isal")


def packed(content: bytes, *, runs: bool = False) -> bytes:
    packer = deflate.gzip_packer(runs=runs)
    half = len(content) // 2
    return packer.compress(content[:half]) + packer.compress(content[half:]) + packer.flush()


@pytest.mark.parametrize(("content", "runs"), [(NOISE, False), (MASK, True), (b"", False)])
def test_what_is_packed_is_unpacked_by_everybody(content: bytes, runs: bool) -> None:
    made = packed(content, runs=runs)
    assert gzip.decompress(made) == content
    assert deflate.unpacked(made) == content
    assert deflate.unpacked(gzip.compress(content)) == content
    assert packed(content, runs=runs) == made
    assert made[4:8] == bytes(4)  # no time
    if content:
        assert len(made) < len(content)


@pytest.mark.parametrize("bits", [deflate.GZIP, deflate.ZLIB])
def test_a_stream_is_unpacked_piece_by_piece(bits: int) -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, bits)
    given = packer.compress(NOISE) + packer.flush() + b"behind"
    unpacker, found = deflate.unpacker(bits), b""
    while not unpacker.eof:
        piece = unpacker.decompress(given, 1000)
        assert len(piece) <= 1000
        found, given = found + piece, unpacker.unconsumed_tail
    assert found == NOISE
    assert unpacker.unused_data == b"behind"


def test_what_is_wrong_is_said_in_the_same_words() -> None:
    broken = bytearray(gzip.compress(NOISE))
    broken[-8] ^= 1
    with pytest.raises(deflate.errors) as caught:
        deflate.unpacker(deflate.GZIP).decompress(bytes(broken), len(NOISE) + 1)
    assert deflate.fault(caught.value) == "incorrect data check"
    with pytest.raises(deflate.errors) as caught:
        deflate.unpacker(deflate.GZIP).decompress(b"no gzip at all", 100)
    assert deflate.fault(caught.value) == "incorrect header check"
