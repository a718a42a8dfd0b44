# SPDX-License-Identifier: Apache-2.0
"""Whether the disk has room for what a run will write: looked at before a network runs."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..failures import FULL, write_error
from ..files import made
from ..scratch import prefix

if TYPE_CHECKING:
    from ..images.image import Image

MIB = 1 << 20
# Bytes a voxel, by format: label maps are compressed, to less than a tenth of a byte even where
# they are noisy; the scene holds the image too, compressed to between a third and nine tenths.
MASK_BYTES = 0.1
MASKS = {"nii": 1, "seg": 1, "scene": 1, "masks": 1, "errors-seg": 1}  # format -> label maps in it
# a bit a voxel and label of slices where it marks something, or a byte a voxel
SEGMENTS_BYTES = {"dicom-seg": 1}
PICTURES = {
    "html": 4, "png": 1, "profile": 1, "attention": 1, "errors": 1, "preview": 1,
    "dicom-sc": 5,  # not compressed
}  # fmt: skip
PICTURE_BYTES = 2 * MIB  # a figure as PNG; a page holds some
SMALL_BYTES = 64 << 10  # a table, a record
ROW_BYTES = {"index": 16 << 10}  # of a case in a file for all cases: with a small picture
TABLE_ROW_BYTES = 1 << 10


def room_bytes(image: "Image", formats: Sequence[str]) -> int:
    """Bytes that the files of one case will take at most, before there is an answer.

    Args:
        image: of the case.
        formats: names of `registry.OUTPUTS` that may be written.
    """
    voxels = image.array.size
    small = np.can_cast(image.array.dtype, np.int16)
    volume = voxels * (2 if small else 4) if "scene" in formats else 0
    segments = sum(SEGMENTS_BYTES.get(name, 0) * voxels for name in formats)
    maps = sum(MASKS.get(name, 0) for name in formats)
    pictures = sum(PICTURES.get(name, 0) for name in formats)
    each = SMALL_BYTES * len(formats)
    return int(volume + segments + maps * MASK_BYTES * voxels + pictures * PICTURE_BYTES + each)


def check_room(folder: Path, needed: int, *, path: Path, promised: int = 0) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: that is written into, or will be made.
        path: of the image, for the message.
        needed: bytes that will be written.
        promised: bytes that will be written for other images before.

    Raises:
        InputError: E_NOSPACE, less is free.
    """
    free = free_bytes(folder)
    if free is not None and (free := max(0, free - promised)) < needed:
        raise InputError(
            "E_NOSPACE", path,
            f"its results may take {needed / MIB:.0f} MiB, and {folder} has {free / MIB:.0f} free.",
            "Free some space, choose another output folder, or write less with --format.",
        )  # fmt: skip


class PromisedRoom:
    """Room on the disk that is promised to results of images, until they are written.

    Args:
        folder: that is written into, or will be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._promised: dict[str, int] = {}
        self._lock = Lock()  # images are read by several threads

    def promise(self, case: str, needed: int, *, path: Path) -> None:
        """Keep room for a case beside those that are not written yet.

        Args:
            case: its name.
            needed: bytes that will be written.
            path: of the image, for the message.

        Raises:
            InputError: E_NOSPACE, less is free.
        """
        with self._lock:
            self._promised.pop(case, None)
            check_room(self.folder, needed, path=path, promised=sum(self._promised.values()))
            self._promised[case] = needed

    def settle(self, case: str) -> None:
        """Promise nothing more to a case: its files are written, or never will be."""
        with self._lock:
            self._promised.pop(case, None)


def free_bytes(folder: Path) -> int | None:
    """Bytes that may still be written below a folder, or where it will be; None if not known."""
    for place in (folder, *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def is_full(folder: Path) -> bool:
    """Whether not even a MiB can be written into a folder: a full disk, a quota that is used up."""
    place = next((x for x in (folder, *folder.absolute().parents) if x.is_dir()), folder)
    try:
        with tempfile.TemporaryFile(prefix=prefix(), dir=place) as file:
            file.write(bytes(MIB))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in FULL
    return False


@contextmanager
def reserved(folder: Path, formats: Sequence[str], cases: int) -> Iterator[Callable[[], None]]:
    """Keep room on the disk for the tables of a run, until what is given here is called.

    So a disk that fills up meanwhile costs no case that was computed.

    Args:
        folder: of the run; where it was not there before and stays empty it goes again.
        formats: names of the files for all cases together; nothing is kept for none.
        cases: how many.

    Raises:
        InputError: E_NOSPACE, there is no such room.
    """
    size = sum(SMALL_BYTES + cases * ROW_BYTES.get(name, TABLE_ROW_BYTES) for name in formats)
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    kept: list[Path] = []

    def release() -> None:
        while kept:
            kept.pop().unlink(missing_ok=True)

    try:
        try:
            with made(folder):
                if size:
                    handle, name = tempfile.mkstemp("-reserve", prefix(), folder)
                    kept.append(Path(name))
                    with os.fdopen(handle, "wb") as file:
                        for begin in range(0, size, MIB):
                            file.write(bytes(min(MIB, size - begin)))
        except OSError as error:
            raise write_error(folder, error) from error
        yield release
    finally:
        release()
        for place in new:
            with suppress(OSError):  # there are results in it
                place.rmdir()
