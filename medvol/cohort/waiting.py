# SPDX-License-Identifier: Apache-2.0
"""Waiting for what is nobody's fault: a full disk, a folder that is gone, an archive."""

import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ..dicomweb.address import is_address
from ..errors import InputError

Found = TypeVar("Found")
PATIENCE_S = 3600.0
FIRST_S, LONGEST_S = 1.0, 60.0  # between two tries
AWAY = "does not answer"  # in what `failures.path_error` says of a network share
# in what `failures.write_error` says of one name, which waiting does not mend
UNFIT = tuple(os.strerror(number) for number in (
    errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL,
))  # fmt: skip


class Away(InputError):
    """Something that is not there at present, whatever its code: an archive, a folder."""


def is_passing(error: InputError) -> bool:
    """Whether a refusal is about the place of the work, not about a case.

    Args:
        error: that came of a case, or of writing its files.

    Example:
        >>> is_passing(InputError("E_NOSPACE", "out", "it could not be written.", "Free some."))
        True
        >>> is_passing(InputError("E_PATH", "ct.nii", "no such file or folder.", "Check it."))
        False
        >>> reason = "it could not be written (File exists)."
        >>> is_passing(InputError("E_NOSPACE", "out/b/case", reason, "Choose another folder."))
        False
    """
    if error.code == "E_NOSPACE":
        return not any(f"({words})" in error.reason for words in UNFIT)
    return isinstance(error, Away) or (error.code == "E_PATH" and AWAY in error.reason)


def folder_around(paths: Iterable[str]) -> Path | None:
    """The inmost folder that holds all images of a plan; None where none is on a disk.

    Args:
        paths: of images, absolute; addresses of archives do not count.

    Example:
        >>> paths = ["/data/north/1.nii", "/data/south/1.nii", "dicomweb+http://x/studies/1"]
        >>> folder_around(paths).as_posix()
        '/data'
    """
    folders = {os.path.dirname(path) for path in paths if not is_address(path)}
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # there is none, or they are on several drives
        return None


def check_images(folder: Path) -> None:
    """Tell a disk or a share that is not mounted from one image that is missing.

    Args:
        folder: around all images of the plan.

    Raises:
        Away: E_PATH, it is not there or holds nothing, as a place where nothing is mounted.
    """
    try:
        with os.scandir(folder) as entries:
            is_gone = next(entries, None) is None
    except OSError as error:
        is_gone = not isinstance(error, PermissionError)
    if is_gone:
        remedy = "Connect the disk or the network share again."
        raise Away("E_PATH", folder, "the folder of the images is not there, or empty.", remedy)


class Patience:
    """Tries again what fails in passing, says so once, and gives up in the end.

    Args:
        most_s: seconds, after which it is given up.
        say: prints a line.
    """

    def __init__(self, most_s: float, say: Callable[[str], object]) -> None:
        self.most_s, self.say = most_s, say
        self._since: float | None = None
        self._pause_s = FIRST_S

    def until(self, action: Callable[[], Found]) -> Found:
        """What an action gives when it does no longer fail in passing.

        Args:
            action: that may raise an `InputError`; what it writes is not of a case.

        Raises:
            InputError: another one, or still one that passes, after all this time.
        """
        while True:
            try:
                found = action()
            except InputError as error:  # no unit is in the way of the cohort's own files
                if error.code != "E_NOSPACE" and not is_passing(error):
                    raise
                self.wait(error)
            else:
                self.over()
                return found

    def wait(self, error: InputError) -> None:
        """Wait a while, longer each time.

        Args:
            error: why.

        Raises:
            InputError: that, after all this time.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self.say(f"{error} It is tried again, for up to {self.most_s / 60:g} minutes.")
        if now - self._since >= self.most_s:
            raise error
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_S)

    def over(self) -> None:
        """What was waited for is there; nothing where nothing was."""
        if self._since is not None:
            self.say("it goes on")
        self._since, self._pause_s = None, FIRST_S
