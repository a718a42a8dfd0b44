# SPDX-License-Identifier: Apache-2.0
"""Which pages may ask: the server's own, and those of origins that it was told of (CORS)."""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .asgi import UNSAFE, header_of, headers_of, refuse
from .shapes import METHODS

TOLD = (
    "E_ORIGIN", "it came from a page of another origin.",
    "Ask who runs the server to allow that origin.",
)  # fmt: skip
ALLOWED_HEADERS = "Authorization, Content-Type, X-File-Name"
EXPOSED_HEADERS = "Content-Disposition, Retry-After, X-Total-Count"
PREFLIGHT_S = 600
OWN_SITES = ("", "same-origin", "none")  # of Sec-Fetch-Site, where a browser gives no Origin


def is_own(scope: Scope, origin: str) -> bool:
    """Whether an origin is the server itself, as the client reached it.

    The scheme is not compared: a proxy before the server may speak TLS.

    Args:
        scope: of the request.
        origin: that the browser says.
    """
    scheme, _, place = origin.partition("://")
    port = {"http": ":80", "https": ":443"}.get(scheme, "")
    host = header_of(scope, b"host").lower()
    return bool(port) and place.lower().removesuffix(port) == host.removesuffix(port)


class Origins:
    """Answers browsers' questions before requests, and refuses changes from elsewhere.

    Args:
        app: that answers the others.
        origins: other than the server's own, which may ask.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self.app, self.origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        named = headers_of(scope, b"origin")
        allowed = named[0] if len(named) == 1 and named[0] in self.origins else ""
        is_asking = scope["method"] == "OPTIONS" and bool(
            header_of(scope, b"access-control-request-method")
        )
        if (scope["method"] in UNSAFE or is_asking) and not allowed and self._is_foreign(scope):
            await refuse(scope, receive, send, 403, TOLD)
            return
        if not allowed:
            await self.app(scope, receive, send)
        elif is_asking:
            await self._preflight(allowed)(scope, receive, send)
        else:
            await self.app(scope, receive, _with_origin(send, allowed))

    @staticmethod
    def _is_foreign(scope: Scope) -> bool:
        named = headers_of(scope, b"origin")
        if named:
            return len(named) > 1 or not is_own(scope, named[0])
        return header_of(scope, b"sec-fetch-site") not in OWN_SITES

    @staticmethod
    def _preflight(origin: str) -> Response:
        headers = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": ", ".join(METHODS),
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_S),
            "Vary": "Origin",
        }
        return Response(status_code=204, headers=headers)


def _with_origin(send: Send, origin: str) -> Send:
    """What sends an answer that a page of another origin may read."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["access-control-allow-origin"] = origin
            headers["access-control-expose-headers"] = EXPOSED_HEADERS
            headers["cross-origin-resource-policy"] = "cross-origin"
            headers.add_vary_header("Origin")
        await send(message)

    return sent
