# SPDX-License-Identifier: Apache-2.0
"""What a request may look like at all: its method, and how long its address and headers are."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from .asgi import refuse

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LONGEST_URL_BYTES = 8 * 1024
MOST_HEADERS = 100
LARGEST_HEADERS_BYTES = 16 * 1024  # with a name and a value each
# ids and names of files here have none of these, and no folder is left by its address
ODD = re.compile(r"[\x00-\x1f\x7f\\]|(^|/)\.{1,2}(/|$)")
REMEDY = "Look at the OpenAPI page."


def refusal(scope: Scope) -> tuple[int, str] | None:
    """Status and reason for which a request is refused, or None.

    Args:
        scope: of the request.
    """
    if scope["method"] not in METHODS:
        return 405, "there is no such method here."
    url = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
    if url > LONGEST_URL_BYTES:
        return 414, f"its address has more than {LONGEST_URL_BYTES} bytes."
    headers = scope["headers"]
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > MOST_HEADERS or size > LARGEST_HEADERS_BYTES:
        most = f"{MOST_HEADERS} headers or {LARGEST_HEADERS_BYTES} bytes"
        return 431, f"it has more than {most} of them."
    if ODD.search(scope["path"]):
        return 400, "its address has control characters, or a part that means another folder."
    return None


class Shapes:
    """Refuses requests that no client of ours sends.

    Args:
        app: that answers the others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and (found := refusal(scope)):
            status, reason = found
            headers = {"Allow": ", ".join(METHODS)} if status == 405 else {}
            told = ("E_REQUEST", reason, REMEDY)
            await refuse(scope, receive, send, status, told, headers)
        elif scope["type"] == "websocket":  # nothing here speaks it
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, receive, send)
