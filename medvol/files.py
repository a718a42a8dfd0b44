# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

_NO_SPACE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),  # full
    *(errno.EROFS, errno.EACCES, errno.EPERM),  # not allowed
    *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG),  # no place of that name
}


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes `path`'s place.

    The temporary name keeps the suffixes of `path`, since many writers choose the format by them.
    When the block raises, the temporary file is removed and an older file at `path` stays.

    Raises:
        InputError: E_NOSPACE, the disk is full or the folder cannot be written.
    """
    final = Path(path)
    suffix = "".join(final.suffixes[-2:])
    temporary: Path | None = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=suffix, prefix=".medvol-", dir=final.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, final)
        temporary = None
    except OSError as error:
        raise _refusal(error, final) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def filling(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder in `folder`; when the block ends well all that is in it moves up.

    What it is called there replaces what had that name, a folder with all its files; folders move
    first. When the block raises, older files in `folder` stay as they were.

    Raises:
        InputError: E_NOSPACE, the disk is full or the folder cannot be written.
    """
    final = Path(folder)
    scratch: Path | None = None
    try:
        final.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".medvol-", dir=final))
        yield scratch
        for made in sorted(scratch.iterdir(), key=Path.is_file):
            target = final / made.name
            if made.is_dir() and target.is_dir():
                os.replace(target, scratch / f".old-{made.name}")  # goes with the scratch folder
            os.replace(made, target)
    except OSError as error:
        raise _refusal(error, final) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def remove(path: str | os.PathLike[str]) -> None:
    """Take a file away that may be there, such as one of an older run.

    Raises:
        InputError: E_NOSPACE, the folder cannot be written.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise _refusal(error, Path(path)) from error


def _refusal(error: OSError, path: Path) -> Exception:
    """What to raise for a failed write: a refusal that names the remedy, or the error itself."""
    if error.errno not in _NO_SPACE:
        return error
    return InputError(
        "E_NOSPACE",
        path,
        f"it could not be written ({error.strerror}).",
        "Free some space or choose another output folder.",
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
