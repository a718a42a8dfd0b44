"""Requests to an app as they are: no client that mends addresses on the way."""

import asyncio
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """Status, headers and content."""

    status: int
    headers: dict[str, str]
    content: bytes


def ask(
    app: Any, method: str, path: str, *, query: bytes = b"", body: bytes = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Answer:  # fmt: skip
    """The answer of an app to a request for a decoded path, which may hold anything."""
    sent: list[Any] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": query, "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000), "headers": [(b"host", b"127.0.0.1"), *headers],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    told = {key.decode(): value.decode("latin-1") for key, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(x.get("body", b"") for x in sent[1:]))
