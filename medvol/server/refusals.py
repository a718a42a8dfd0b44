# SPDX-License-Identifier: Apache-2.0
"""What a server cannot do for a client: nothing of that name, too much to do, a senseless wish."""

from ..errors import InputError


class Missing(KeyError):
    """There is nothing of this id or name, or it is not there any more.

    Args:
        what: is missing, such as "image"; its id is not repeated, since a log may show this.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


class Busy(InputError):
    """There is too much to do.

    Args:
        reason: what there is, one sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("E_BUSY", "queue", reason, "Try again later.")


class Misused(InputError):
    """A client asks for what makes no sense; the same request will never do.

    Args:
        reason: what it asked for and what is allowed, one sentence.
    """

    def __init__(self, reason: str) -> None:
        remedy = "Change the request; /docs says what it may hold."
        super().__init__("E_REQUEST", "request", reason, remedy)
