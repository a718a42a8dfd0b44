# SPDX-License-Identifier: Apache-2.0
"""Who may ask: who shows the token, or a ticket that was given for it."""

import re

from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .asgi import client_of, header_of, headers_of, refuse
from .tickets import BEARER, COOKIE, Wrong, is_ticket, is_token

COOKIE_NAME = "medvol"
# what holds no data: the page itself, how to log in, and whether the server is well
OPEN = re.compile(r"/|/(page/.*|favicon\.ico|healthz|login|logout|auth|auth/|auth/token)")
TOLD = ("E_TOKEN", "it needs the server's token.", "Log in, or ask who runs the server for it.")
TOO_OFTEN = ("E_TOKEN", "too many wrong tokens came from this address.", "Wait a minute.")


class Gate:
    """Lets in who shows the token.

    Args:
        app: that answers them.
        token: of the server.
        wrong: counter of wrong tokens, which the login has too.
    """

    def __init__(self, app: ASGIApp, token: str, wrong: Wrong) -> None:
        self.app, self.token, self.wrong = app, token, wrong

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or OPEN.fullmatch(scope["path"]) or self._has_ticket(scope):
            await self.app(scope, receive, send)
            return
        address, shown = client_of(scope), bearer_of(scope)
        if shown and (wait_s := self.wrong.wait_s(address)):
            headers = {"Retry-After": f"{wait_s:.0f}"}
            await refuse(scope, receive, send, 429, TOO_OFTEN, headers)
        elif shown and is_token(self.token, shown):
            await self.app(scope, receive, send)
        else:
            if shown:
                self.wrong.add(address)
            await self._refuse(scope, receive, send)

    def _has_ticket(self, scope: Scope) -> bool:
        cookies = cookie_parser("; ".join(headers_of(scope, b"cookie")))
        return is_ticket(self.token, COOKIE, cookies.get(COOKIE_NAME, "")) or is_ticket(
            self.token, BEARER, bearer_of(scope)
        )

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        """Send a browser that opens a page to the login, and tell a program what it lacks."""
        if scope["method"] == "GET" and header_of(scope, b"sec-fetch-mode") == "navigate":
            await RedirectResponse("/", 303)(scope, receive, send)
        else:
            await refuse(scope, receive, send, 401, TOLD, {"WWW-Authenticate": "Bearer"})


def bearer_of(scope: Scope) -> str:
    """What a client shows in the header `Authorization: Bearer`, or empty."""
    scheme, _, shown = header_of(scope, b"authorization").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""
