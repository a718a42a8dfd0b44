# SPDX-License-Identifier: Apache-2.0
"""Tickets: what a client shows after it has shown the token once; they end by themselves."""

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable

LASTS_S = 12 * 3600  # a working day
TICKET = re.compile(r"(\d{1,12})\.([0-9a-f]{64})")
COOKIE, BEARER = "cookie", "bearer"
MOST_WRONG = 10  # tries of one address in the time below
WRONG_S = 60.0
MOST_ADDRESSES = 1000


def is_token(token: str, shown: str) -> bool:
    """Whether what a client shows is the token, in a time that says nothing of where it differs.

    Args:
        token: of the server.
        shown: by the client.
    """
    return hmac.compare_digest(_digest(token), _digest(shown))


def ticket(token: str, use: str, *, now: float | None = None) -> str:
    """A ticket, which the server need not remember.

    Args:
        token: of the server; with another one the ticket is worth nothing.
        use: `COOKIE` or `BEARER`; it is good for no other.
        now: seconds since 1970; None for this moment.
    """
    ends = int((time.time() if now is None else now) + LASTS_S)
    return f"{ends}.{_mark(token, use, ends)}"


def is_ticket(token: str, use: str, shown: str, *, now: float | None = None) -> bool:
    """Whether what a client shows is a ticket that is good still.

    Args:
        token, use: as for `ticket`.
        shown: by the client.
        now: seconds since 1970; None for this moment.
    """
    found = TICKET.fullmatch(shown)
    if not found:
        return False
    ends = int(found[1])
    is_marked = hmac.compare_digest(found[2].encode(), _mark(token, use, ends).encode())
    return is_marked and ends > (time.time() if now is None else now)


class Wrong:
    """Counts wrong tokens, so that nobody tries many.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.times: OrderedDict[str, list[float]] = OrderedDict()

    def add(self, address: str) -> None:
        """Count a wrong token of an address."""
        self.times.setdefault(address, []).append(self.clock())
        self.times.move_to_end(address)
        del self.times[address][:-MOST_WRONG]
        while len(self.times) > MOST_ADDRESSES:
            self.times.popitem(last=False)

    def wait_s(self, address: str) -> float:
        """Seconds that an address has to wait before its next try; 0 for none."""
        times = self.times.get(address, [])
        if len(times) < MOST_WRONG:
            return 0.0
        return max(0.0, times[0] + WRONG_S - self.clock())


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _mark(token: str, use: str, ends: int) -> str:
    return hmac.new(token.encode(), f"{use} {ends}".encode(), hashlib.sha256).hexdigest()
