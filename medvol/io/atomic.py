# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

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
        if error.errno in _NO_SPACE:
            raise InputError(
                "E_NOSPACE",
                final,
                f"the file could not be written ({error.strerror}).",
                "Free some space or choose another output folder.",
            ) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
