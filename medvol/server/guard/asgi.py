# SPDX-License-Identifier: Apache-2.0
"""What the guards share: requests as ASGI has them, and an answer instead of the route's."""

from collections.abc import Iterator

from starlette.types import Receive, Scope, Send

from ..routes.problems import problem

UNSAFE = frozenset(("POST", "PUT", "PATCH", "DELETE"))  # methods that change something


def headers_of(scope: Scope, name: bytes) -> list[str]:
    """All values of a header.

    Args:
        scope: of a request.
        name: of the header, in small letters.
    """
    return [value.decode("latin-1") for key, value in _headers(scope) if key == name]


def header_of(scope: Scope, name: bytes) -> str:
    """The first value of a header, or empty.

    Args:
        scope: of a request.
        name: of the header, in small letters.
    """
    return next(iter(headers_of(scope, name)), "")


def client_of(scope: Scope) -> str:
    """The address of who asks, or empty."""
    return str((scope.get("client") or ("",))[0])


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, told: tuple[str, str, str],
    headers: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Answer instead of the route.

    Args:
        scope, receive, send: of the request.
        status: of HTTP.
        told: code, reason and remedy.
        headers: beside those of JSON.
    """
    answer = problem(status, *told)
    answer.headers.update(headers or {})
    await answer(scope, receive, send)


def _headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    yield from scope["headers"]
