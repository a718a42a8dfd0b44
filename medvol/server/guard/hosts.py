# SPDX-License-Identifier: Apache-2.0
"""Under which names the server may be asked: a page elsewhere cannot turn its own name to here."""

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from ..settings import Settings
from .asgi import headers_of, refuse

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")
LOCAL = "localhost"
TOLD = (
    "E_ORIGIN", "it was sent to a name that is not this server's.",
    "Use the address that the server printed when it started.",
)  # fmt: skip


def names_of(settings: Settings) -> frozenset[str]:
    """The names of a server, beside every address in numbers."""
    return frozenset(
        name.lower() for name in (LOCAL, settings.host, socket.gethostname(), *settings.names)
    )


def is_own(host: str, names: Iterable[str]) -> bool:
    """Whether a `Host` header names the server.

    An address in numbers is always its own: only a name can be made to mean another address.

    Args:
        host: the header.
        names: of the server, in small letters.

    Example:
        >>> [is_own(host, {"localhost"}) for host in ("localhost:80", "[::1]:80", "evil.test")]
        [True, True, False]
    """
    found = HOST.fullmatch(host)
    if not found:
        return False
    name = found["name"].strip("[]").lower().rstrip(".")
    try:
        ip_address(name)
    except ValueError:
        return name in names
    return True


class Hosts:
    """Refuses requests to other names.

    Args:
        app: that answers the others.
        settings: of the server.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.names = app, names_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            hosts = headers_of(scope, b"host")
            if len(hosts) != 1 or not is_own(hosts[0], self.names):
                await refuse(scope, receive, send, 421, TOLD)
                return
        await self.app(scope, receive, send)
