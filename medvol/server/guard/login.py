# SPDX-License-Identifier: Apache-2.0
"""Logging in: the page's way, and the one of MONAI Label's clients (3D Slicer, OHIF)."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ..routes.problems import problem
from .asgi import client_of
from .tickets import BEARER, COOKIE, LASTS_S, Wrong, is_token, ticket
from .token import COOKIE_NAME, TOLD, TOO_OFTEN

LONGEST_TOKEN = 1000  # characters


class Shown(BaseModel):
    """What the page sends to log in."""

    token: str = Field(max_length=LONGEST_TOKEN)


class Access(BaseModel):
    """What a client of MONAI Label gets for a password."""

    access_token: str | None
    token_type: str | None


def router(token: str, wrong: Wrong) -> APIRouter:
    """The routes of logging in and out.

    Args:
        token: of the server; empty where none is asked for.
        wrong: counter of wrong tokens.
    """
    routes = APIRouter(tags=["login"])

    def refusal(request: Request, shown: str) -> JSONResponse | None:
        """Why a token is not taken, or None."""
        address = client_of(request.scope)
        if wait_s := wrong.wait_s(address):
            answer = problem(429, *TOO_OFTEN)
            answer.headers["Retry-After"] = f"{wait_s:.0f}"
            return answer
        if is_token(token, shown):
            return None
        wrong.add(address)
        return problem(401, *TOLD)

    @routes.post("/login", status_code=204)
    async def login(request: Request, shown: Shown) -> Response:
        """Show the token; the cookie that comes back stands for it for twelve hours."""
        if token and (refused := refusal(request, shown.token)):
            return refused
        answer = Response(status_code=204)
        if token:
            is_tls = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
            answer.set_cookie(
                COOKIE_NAME, ticket(token, COOKIE), max_age=LASTS_S, httponly=True,
                samesite="strict", secure=is_tls,
            )  # fmt: skip
        return answer

    @routes.post("/logout", status_code=204)
    async def logout() -> Response:
        """Forget the cookie."""
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE_NAME, httponly=True, samesite="strict")
        return answer

    @routes.get("/auth/")
    async def auth() -> dict[str, Any]:
        """Whether a client has to log in."""
        return {"enabled": bool(token), "client_id": "medvol", "realm": "medvol"}

    @routes.post("/auth/token", response_model=Access)
    async def access(
        request: Request,
        password: Annotated[str, Form(max_length=LONGEST_TOKEN)] = "",
        username: Annotated[str, Form(max_length=LONGEST_TOKEN)] = "",  # noqa: ARG001
    ) -> Any:
        """Show the token as the password of any user, as OAuth2 has it."""
        if not token:
            return Access(access_token=None, token_type=None)
        if refused := refusal(request, password):
            return refused
        return Access(access_token=ticket(token, BEARER), token_type="bearer")

    @routes.get("/auth/token/valid")
    async def valid() -> dict[str, Any]:
        """Whether what the client shows is good still: else 401 comes instead of this."""
        return {"username": "user", "email": None, "name": None, "roles": []}

    return routes
