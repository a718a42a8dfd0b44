# SPDX-License-Identifier: Apache-2.0
"""How much a client may send: little, but where images come; counted as it comes."""

import re

from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .asgi import header_of, refuse

SMALL_BYTES = 1 << 20
AROUND_BYTES = 1 << 20  # of a form, beside its image
MOST_PARTS = 64  # of a form; each field of it is held in memory
MOST_SLICES = 4096  # where a series may come with a part for each slice
IMAGES = re.compile(r"/api/images/?")  # written to disk as they come, of whatever type
FORMS = re.compile(r"/(api|session|infer|datastore|dicom-web)(/|$)")
SLICES = re.compile(r"/(session|dicom-web)(/|$)")
TOO_BIG = (
    "E_TOO_BIG", "it is larger than this server takes here.",
    "Send one series alone, or ask who runs the server.",
)  # fmt: skip
TOO_MANY = ("E_TOO_BIG", "it has too many parts.", "Send fewer at a time.")
UNCLEAR = ("E_REQUEST", "its Content-Length is not a number.", "Look at the OpenAPI page.")


def most_bytes(scope: Scope, largest_bytes: int) -> int:
    """Bytes that the body of a request may have.

    Args:
        scope: of the request.
        largest_bytes: of an image.
    """
    if scope["method"] == "POST" and IMAGES.fullmatch(scope["path"]):
        return largest_bytes
    if FORMS.match(scope["path"]) and boundary_of(scope):
        return largest_bytes + AROUND_BYTES
    return SMALL_BYTES


def boundary_of(scope: Scope) -> bytes:
    """What stands between the parts of a form, or empty where the body is none.

    It is read by what reads the form later: where two readers found two boundaries, the parts
    between one of them would not be counted.
    """
    kind, said = parse_options_header(header_of(scope, b"content-type"))
    boundary = said.get(b"boundary", b"")
    return b"--" + boundary if kind.startswith(b"multipart/") and boundary else b""


class Counter:
    """Counts a body's bytes, and its parts where it is a form.

    Args:
        most_bytes: that it may have.
        boundary: between its parts; empty where it has none.
        most_parts: that it may have.
    """

    def __init__(self, most_bytes: int, boundary: bytes, most_parts: int = MOST_PARTS) -> None:
        self.most_bytes, self.boundary, self.most_parts = most_bytes, boundary, most_parts
        self.size_bytes = self.parts = 0
        self.tail = b""
        self.refusal: tuple[str, str, str] | None = None

    def take(self, body: bytes) -> None:
        """Count the next bytes; `refusal` says from then on if they are too many."""
        self.size_bytes += len(body)
        if self.boundary:
            seen = self.tail + body
            self.parts += seen.count(self.boundary)
            kept = min(len(seen), len(self.boundary) - 1)
            self.tail = seen[len(seen) - kept :] if kept else b""
        if self.size_bytes > self.most_bytes:
            self.refusal = TOO_BIG
        elif self.parts > self.most_parts + 1:  # the last one ends the form
            self.refusal = TOO_MANY


class Bodies:
    """Refuses bodies that are too large, before and while they come.

    Args:
        app: that answers the others.
        largest_bytes: of an image.
    """

    def __init__(self, app: ASGIApp, largest_bytes: int) -> None:
        self.app, self.largest_bytes = app, largest_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most_parts = MOST_SLICES if SLICES.match(scope["path"]) else MOST_PARTS
        counter = Counter(most_bytes(scope, self.largest_bytes), boundary_of(scope), most_parts)
        claimed = header_of(scope, b"content-length") or "0"
        if not claimed.isascii() or not claimed.isdigit():
            await refuse(scope, receive, send, 400, UNCLEAR)
            return
        # MONAI Label's client says the length of its last upload with the next GET
        is_body = scope["method"] not in ("GET", "HEAD")
        if is_body and (len(claimed) > 18 or int(claimed) > counter.most_bytes):
            await refuse(scope, receive, send, 413, TOO_BIG)
            return
        started = False

        async def counted() -> Message:
            message = await receive()
            counter.take(message.get("body", b""))
            if counter.refusal:
                raise HTTPException(413)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            if counter.refusal and not started:
                return  # what the route says of a body that it did not get
            started = True
            await send(message)

        try:
            await self.app(scope, counted, watched)
        except Exception:
            if not counter.refusal or started:
                raise
        if counter.refusal and not started:
            await refuse(scope, receive, send, 413, counter.refusal)
