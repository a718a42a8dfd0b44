# SPDX-License-Identifier: Apache-2.0
"""What went wrong, as HTTP has it: a status, and the code, reason and remedy as JSON."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ...errors import InputError
from ...failures import failure, raised_by_us
from ..refusals import Missing

STATUS = {
    "E_TOO_BIG": 413, "E_NOSPACE": 507, "E_UNTRUSTED": 403, "E_PATH": 404, "E_BUSY": 429,
    "E_ARCHIVE": 502,
}  # fmt: skip
UNUSABLE = 422  # of an image that a reader refuses
RETRY_S = 30
SHOWN = 200  # letters of what a client sent wrong


def add_problems(app: FastAPI) -> None:
    """Answer what is raised by a route: never with a traceback or a path on the server."""

    @app.exception_handler(InputError)
    def refused(_: Request, error: InputError) -> JSONResponse:
        answer = problem(STATUS.get(error.code, UNUSABLE), error.code, error.reason, error.remedy)
        if error.code == "E_BUSY":
            answer.headers["Retry-After"] = str(RETRY_S)
        return answer

    @app.exception_handler(Missing)
    def missing(_: Request, error: Missing) -> JSONResponse:
        reason = f"there is no such {error.what}, or not any more."
        return problem(404, "E_PATH", reason, "Look at the list again.")

    @app.exception_handler(RequestValidationError)
    def misused(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(UNUSABLE, "E_REQUEST", _words(error.errors()), "Look at /docs.")

    @app.exception_handler(HTTPException)
    def other(_: Request, error: HTTPException) -> JSONResponse:
        code = "E_PATH" if error.status_code == 404 else "E_REQUEST"
        reason = f"{str(error.detail)[:SHOWN].rstrip('.')}."
        answer = problem(error.status_code, code, reason, "Look at /docs.")
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(ValueError)
    def senseless(_: Request, error: ValueError) -> JSONResponse:
        if not raised_by_us(error):
            raise error  # a fault of the server
        return problem(UNUSABLE, "E_REQUEST", f"{str(error).rstrip('.')}.", "Look at /docs.")

    @app.exception_handler(OSError)
    def full(_: Request, error: OSError) -> JSONResponse:
        refusal = failure(error, "server")
        if refusal.code != "E_NOSPACE":
            raise error  # what stands before the routes answers it
        reason = "the server's disk is full."
        return problem(507, refusal.code, reason, "Delete jobs, or ask who runs the server.")


def problem(status: int, code: str, reason: str, remedy: str) -> JSONResponse:
    """An answer that says what is wrong.

    Args:
        status: of HTTP.
        code, reason, remedy: as of an `InputError`.
    """
    return JSONResponse({"code": code, "reason": reason, "remedy": remedy}, status)


def _words(errors: Sequence[Any]) -> str:
    """What does not fit, the first of it, without what was sent."""
    first = errors[0]
    place = ".".join(str(part) for part in first.get("loc", ())[:6])
    return f"{place[:SHOWN]}: {str(first.get('msg', 'it does not fit'))[:SHOWN].rstrip('.')}."
