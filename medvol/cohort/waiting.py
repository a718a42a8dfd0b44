# SPDX-License-Identifier: Apache-2.0
"""Waiting for what is nobody's fault: a full disk, an output folder that is gone, an archive."""

import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import InputError

Found = TypeVar("Found")
PATIENCE_S = 3600.0
FIRST_S, LONGEST_S = 1.0, 60.0  # between two tries
AWAY = "does not answer"  # in what `failures.path_error` says of a network share


class Away(InputError):
    """Something that is not there at present, whatever its code: an archive, the output folder."""


def is_passing(error: InputError) -> bool:
    """Whether a refusal is about the place of the work, not about a case.

    Args:
        error: that came of a case, or of writing about it.

    Example:
        >>> is_passing(InputError("E_NOSPACE", "out", "it could not be written.", "Free some."))
        True
        >>> is_passing(InputError("E_PATH", "ct.nii", "no such file or folder.", "Check it."))
        False
    """
    away = error.code == "E_PATH" and AWAY in error.reason
    return isinstance(error, Away) or error.code == "E_NOSPACE" or away


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
            action: that may raise an `InputError`.

        Raises:
            InputError: another one, or still one that passes, after all this time.
        """
        while True:
            try:
                found = action()
            except InputError as error:
                if not is_passing(error):
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
