# SPDX-License-Identifier: Apache-2.0
"""Room on the disk: estimated before the work, kept for the tables, and told from a full disk."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from refusals import full_disk, refused_by

from medvol.images.image import Image
from medvol.outputs import room
from medvol.outputs.room import MIB, check_room, free_bytes, is_full, reserved, room_bytes

SHAPE = (100, 100, 50)  # 500,000 voxels


@pytest.mark.parametrize(
    ("dtype", "formats", "expected"),
    [
        (np.int16, ["nii"], 50_000 + 65_536),
        (np.int16, ["scene"], 1_000_000 + 50_000 + 65_536),
        (np.float32, ["scene"], 2_000_000 + 50_000 + 65_536),
        (np.int16, ["png", "json"], 2 * MIB + 2 * 65_536),
    ],
)
def test_bytes_of_the_files_of_a_case(dtype: type, formats: list[str], expected: int) -> None:
    image = Image(np.zeros(SHAPE, dtype), np.eye(4), Path("ct.nii"))
    assert room_bytes(image, formats) == expected


def test_what_the_disk_has_no_room_for_is_refused(tmp_path: Path) -> None:
    free = free_bytes(tmp_path / "not" / "there")
    assert free is not None
    ct = tmp_path / "ct.nii"
    check_room(tmp_path / "not" / "there", 1, path=ct)
    error = refused_by(lambda: check_room(tmp_path / "not", 2 * free, path=ct), "E_NOSPACE")
    assert (error.path, f"and {tmp_path / 'not'} has " in error.reason) == (str(ct), True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "free_bytes", lambda _: 100)
        check_room(tmp_path, 100, path=ct)
        refused_by(lambda: check_room(tmp_path, 101, path=ct), "E_NOSPACE")


def test_a_full_disk_is_known_by_writing_a_little(tmp_path: Path) -> None:
    assert not is_full(tmp_path / "not" / "there")
    with full_disk(MIB - 1):
        assert is_full(tmp_path)
    with full_disk(MIB):
        assert not is_full(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_room_is_kept_for_the_tables_until_they_are_written(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with reserved(out, ["cases", "index"], 100) as release:
        (kept,) = out.iterdir()
        assert kept.stat().st_size == 2 * 65_536 + 100 * (1024 + 16_384)
        release()
        assert [*out.iterdir()] == []
        (out / "cases.csv").write_text("rows")
    assert [path.name for path in out.iterdir()] == ["cases.csv"]
    with reserved(tmp_path / "b" / "out", ["cases"], 1):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]  # nothing came of it


def test_no_room_for_the_tables_is_refused_at_once(tmp_path: Path) -> None:
    def keep() -> None:
        with reserved(tmp_path / "out", ["cases"], 1):
            pytest.fail("there is no room")

    with full_disk(1000):
        error = refused_by(keep, "E_NOSPACE")
    assert error.path == str(tmp_path / "out")
    assert os.strerror(errno.EFBIG) in error.reason
    assert [*tmp_path.iterdir()] == []
