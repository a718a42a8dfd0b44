# SPDX-License-Identifier: Apache-2.0
"""Waiting for what is nobody's fault: a full disk, a folder that is gone, an archive."""

import errno
import os
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from ..dicomweb.address import is_address
from ..errors import InputError

Found = TypeVar("Found")
PATIENCE_S = 3600.0
FIRST_S, LONGEST_S = 1.0, 60.0  # between two tries
MANY = 20  # images in one folder; a patient's are fewer
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


def check_images(path: str, images: Iterable[str]) -> None:
    """Tell a disk or a share that is not mounted from one image that is missing.

    Args:
        path: of the image that is missing.
        images: paths of all of the plan, absolute; addresses of archives do not count.

    Raises:
        Away: E_PATH, a folder around it is not there or holds nothing, as a place where nothing is
            mounted, in which all images of the plan lay, or so many that they are no patient's.
    """
    if (folder := _gone_around(path)) is None:
        return
    start = os.path.join(folder, "")
    within, others = 0, 0
    for image in images:
        if image.startswith(start):
            within += 1
        elif not is_address(image):
            others += 1
    if within >= MANY or not others:
        remedy = "Connect the disk or the network share again."
        raise Away("E_PATH", folder, "the folder of the images is not there, or empty.", remedy)


def _gone_around(path: str) -> str | None:
    """The outermost folder around a path that is not there or holds nothing; None where there is
    none."""
    gone, folder = None, os.path.dirname(path)
    while _is_gone(folder) and folder != gone:
        gone, folder = folder, os.path.dirname(folder)
    return gone


def _is_gone(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError as error:
        return not isinstance(error, PermissionError)


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
