# SPDX-License-Identifier: Apache-2.0
"""The checksum of an image's files as they were read: refused where they change meanwhile."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..failures import path_error
from ..files import sha256_of
from .files import walk
from .image import Image

HEADERS = (".hdr", ".img", ".nhdr", ".mhd")  # of files whose data or header lies beside them
Stamps = dict[Path, tuple[int, int]]


def read_unchanged(path: Path, read: Callable[[], Image]) -> Image:
    """Read an image with the checksum of its files: those that were read, not later ones.

    Args:
        path: of the file or folder.
        read: reads it.

    Raises:
        InputError: E_CHANGED, a file came, went or changed meanwhile; E_PATH, one cannot be read;
            and what `read` refuses.
    """
    before = _stamps(path)
    try:
        image = read()
        digest = input_sha256(path, image.pair)
    except (InputError, OSError):
        _check(path, before, before)
        raise
    _check(path, before, image.pair or (before if path.is_dir() else [path]))
    return replace(image, sha256=digest)


def check_unchanged(image: Image) -> None:
    """Refuse an image whose files are others now than when they were read.

    Raises:
        InputError: E_CHANGED, they are; E_PATH, one cannot be read any more.
    """
    if image.sha256 and input_sha256(image.path, image.pair) != image.sha256:
        raise _changed(image.path, "it changed since it was read first.")


def input_sha256(path: Path, pair: Iterable[Path] = ()) -> str:
    """SHA-256 of a file, of a header with its data, or of all files that `walk` finds in a folder.

    Raises:
        InputError: E_PATH, one cannot be read.
    """
    try:
        inside = [x for x in walk(path) if x.is_file()] if path.is_dir() else []
        return sha256_of(path, [*pair] or inside)
    except OSError as error:
        raise path_error(error.filename or path, error) from error


def _stamps(path: Path) -> Stamps:
    """Size and time of change of all files that may be part of an image, now.

    Not their numbers, which some network disks give anew each time.
    """
    files: Iterable[Path] = [path]
    try:
        if os.path.isdir(path):
            files = [*walk(path)]
        elif path.suffix.lower() in HEADERS:
            files = [*path.parent.iterdir()]
    except (OSError, InputError):  # what cannot be looked into is refused when it is read
        files = []
    stamps: Stamps = {}
    for file in files:
        with suppress(OSError, ValueError):
            status = file.stat()
            stamps[file] = status.st_size, status.st_mtime_ns
    return stamps


def _check(path: Path, before: Stamps, own: Iterable[Path]) -> None:
    """Refuse an image of which a file is not as it was before.

    Raises:
        InputError: E_CHANGED, names the file.
    """
    after = _stamps(path)
    came = {*after}.difference(before) if os.path.isdir(path) else ()
    for file in sorted({*own, *came}):
        if (old := before.get(file)) != (new := after.get(file)):
            what = "vanished" if new is None else "changed" if old else "came"
            raise _changed(file, f"it {what} while {path.name} was read.")


def _changed(path: Path, reason: str) -> InputError:
    remedy = "Wait until nothing writes there, or copy the input elsewhere, and run again."
    return InputError("E_CHANGED", path, reason, remedy)
