# SPDX-License-Identifier: Apache-2.0
"""Headers that tell a browser how little an answer may do."""

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# of the page and of everything that is not named below
STRICT = (
    "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# a result is never a page of this server's own: no scripts, no forms, and no origin
RESULT = (
    "sandbox; default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# OHIF makes its styles as it runs and starts workers from blobs; the glue of its decoders, which
# are WebAssembly, makes functions of text
VIEWER = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
POLICIES = (
    (re.compile(r"/api/jobs/[^/]*/files/"), RESULT),
    (re.compile(r"/ohif(/|$)"), VIEWER),
)
ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def policy_of(path: str) -> str:
    """The content security policy of a path."""
    return next((policy for begin, policy in POLICIES if begin.match(path)), STRICT)


class Headers:
    """Adds the headers to every answer; what a route says of its caching stays.

    Args:
        app: that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy_of(scope["path"])
                for name, value in ALWAYS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)
