# SPDX-License-Identifier: Apache-2.0
"""What the system and the packages raise, as refusals with a code, a file and a remedy."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from .errors import InputError, causes, printable, refusal_behind

# what a case may raise without stopping the others: a reader or a bundle may also end its program
FAILURES = (Exception, SystemExit)
MORE_MEMORY = (
    "Close other programs, give --batch-size 1 for radiographs, crop the image, take a bundle that "
    "works slice by slice, or use a machine with more memory."
)
_NO_MEMORY = (  # in what torch, NumPy, OpenBLAS, C++, the loader of libraries and CUDA's say
    "allocate memory", "Unable to allocate", "bad_alloc", "failed to map segment", "enough memory",
    "out of memory", "STATUS_ALLOC_FAILED",
)  # fmt: skip
DEBUG = "MEDVOL_DEBUG"  # environment variable; with it the traceback of a failure is printed too
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
AWAY = {  # the disk, the share or the card reader that a path lies on does not answer
    errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET, getattr(errno, "EREMOTEIO", errno.EIO),
}  # fmt: skip
NAMES = {  # a path that leads to nothing that can be opened
    errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ,
}  # fmt: skip


def path_error(path: str | os.PathLike[str], error: OSError | ValueError) -> InputError:
    """E_PATH for what the system says about a name: missing, link loop, permission, bad name.

    Args:
        path: that was to be opened.
        error: that came of it; a ValueError is a name that no system takes.
    """
    number = error.errno if isinstance(error, OSError) else None
    words = (error.strerror if isinstance(error, OSError) else "") or str(error)
    if isinstance(error, FileNotFoundError):
        reason, remedy = "no such file or folder.", "Check the name and the folder."
    elif isinstance(error, PermissionError):
        reason = "you may not open it, or not look into a folder above it."
        remedy = "Ask for permission to read it, or copy it."
    elif number in AWAY:
        reason = f"the disk or network share does not answer ({words})."
        remedy = "Connect it again, or copy the files to a local disk."
    else:
        reason, remedy = f"it cannot be opened ({words}).", "Name a file that can be opened."
    return InputError("E_PATH", path, reason, remedy)


def write_error(path: str | os.PathLike[str], error: OSError) -> InputError:
    """E_NOSPACE for what the system says when a file is written: full, read-only, no such place.

    Args:
        path: that was to be written.
        error: that came of it.
    """
    remedy = "Choose another output folder."
    if error.errno in FULL:
        remedy = "Free some space, or choose another output folder."
    elif isinstance(error, PermissionError):
        remedy = "Ask for permission, close it in other programs, or choose another output folder."
    return InputError(
        "E_NOSPACE", path, f"it could not be written ({error.strerror or error}).", remedy
    )


def failure(error: BaseException, path: str | os.PathLike[str]) -> InputError:
    """The refusal that an error is; with MEDVOL_DEBUG set its traceback goes to stderr.

    A refusal among its causes is taken as it is. What the system says of a file names that file.
    Out of memory is E_TOO_BIG. Anything else is E_FAILED, with the line where it was raised.

    Args:
        error: whatever a piece of work raised.
        path: of the image, bundle or other file that was worked on.

    Example:
        >>> print(failure(FileNotFoundError(2, "No such file or directory"), "ct.nii.gz"))
        E_PATH ct.nii.gz: no such file or folder. Check the name and the folder.
        >>> print(failure(MemoryError(), "ct.nii.gz").code)
        E_TOO_BIG
    """
    if os.environ.get(DEBUG):
        traceback.print_exception(error, file=sys.stderr)
    if refusal := refusal_behind(error):
        return refusal
    if out_of_memory(error):
        return InputError(
            "E_TOO_BIG", path, "the memory of this machine did not suffice.", MORE_MEMORY
        )  # fmt: skip
    if said := next((cause for cause in causes(error) if isinstance(cause, OSError)), None):
        named = said.filename if isinstance(said.filename, str | os.PathLike) else path
        if said.errno in FULL | {errno.EROFS}:
            return write_error(named, said)
        if isinstance(said, FileNotFoundError | PermissionError) or said.errno in AWAY | NAMES:
            return path_error(named, said)
    return InputError(
        "E_FAILED", path, f"{_words(error)} (at {_place(error)}).",
        f"Run it again with {DEBUG}=1 to see more, and report it.",
    )  # fmt: skip


@contextmanager
def refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make whatever is raised inside a refusal, see `failure`.

    Args:
        path: that is worked on.

    Raises:
        InputError: in place of anything of `FAILURES`.
    """
    try:
        yield
    except InputError:
        raise
    except FAILURES as error:
        raise failure(error, path) from error


def listed(refused: Sequence[InputError], cases: int) -> str:
    """What a run of several cases ends with: how many failed, and for each a line that says why.

    Args:
        refused: why each was.
        cases: of the whole run.

    Example:
        >>> print(listed([InputError("E_EMPTY", "b.nii", "it has 0 bytes.", "Copy it.")], 3))
        medvol: 1 of 3 failed:
          E_EMPTY b.nii: it has 0 bytes.
    """
    names = (printable(f"{error.code} {error.path}: {error.reason}") for error in refused)
    return "\n  ".join([f"medvol: {len(refused)} of {cases} failed:", *names])


def out_of_memory(error: BaseException) -> bool:
    """Whether an error or a cause of it says that memory ended: Python's, torch's of any device, or
    that of a library."""
    return any(
        isinstance(cause, MemoryError)
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        or type(cause).__name__ == "OutOfMemoryError"  # torch's, without importing torch
        or (
            isinstance(cause, RuntimeError | ImportError)
            and any(words in str(cause) for words in _NO_MEMORY)
        )
        for cause in causes(error)
    )


def of_the_system(error: BaseException) -> bool:
    """Whether an error or a cause of it says that memory, disk or network share failed: that is not
    the fault of the file that was read, or of the bundle that ran."""
    return out_of_memory(error) or any(
        isinstance(cause, OSError) and cause.errno in AWAY | FULL | {errno.EROFS}
        for cause in causes(error)
    )


def raised_by_us(error: BaseException) -> bool:
    """Whether medvol's own code raised an error, and not a package that it called."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and _module(frames[-1]) is not None


def _words(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    words = lines[0].strip().rstrip(".") if lines else ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _place(error: BaseException) -> str:
    """Module and line of medvol's own code where an error passed last, else of whatever raised."""
    steps = list(traceback.walk_tb(error.__traceback__))
    own = [(name, line) for frame, line in steps if (name := _module(frame))]
    if own:
        return "{}:{}".format(*own[-1])
    return f"{steps[-1][0].f_globals.get('__name__')}:{steps[-1][1]}" if steps else "unknown"


def _module(frame: FrameType) -> str | None:
    """Name of a module of medvol, such as "medvol.images.nifti"; None for another."""
    name = str(frame.f_globals.get("__name__"))
    return name if name.startswith(f"{__package__}.") else None
