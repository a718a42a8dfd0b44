# SPDX-License-Identifier: Apache-2.0
"""What went wrong, as HTTP has it: a status, and the code, reason and remedy as JSON."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from ...errors import InputError
from ..service import Busy

STATUS = {"E_TOO_BIG": 413, "E_NOSPACE": 507, "E_UNTRUSTED": 403, "E_PATH": 404, "E_ARCHIVE": 502}
UNUSABLE = 422  # of an image that a reader refuses
RETRY_S = 30


def add_problems(app: FastAPI) -> None:
    """Answer what is raised by a route: never with a traceback or a path on the server."""

    @app.exception_handler(InputError)
    def refused(_: Request, error: InputError) -> JSONResponse:
        return problem(STATUS.get(error.code, UNUSABLE), error.code, error.reason, error.remedy)

    @app.exception_handler(KeyError)
    def missing(_: Request, _error: KeyError) -> JSONResponse:
        return problem(404, "E_PATH", "there is nothing of this name.", "Look at the list again.")

    @app.exception_handler(ValueError)
    def misused(_: Request, error: ValueError) -> JSONResponse:
        return problem(422, "E_VALUES", f"{error}.", "Look at the OpenAPI page.")

    @app.exception_handler(Busy)
    def busy(_: Request, error: Busy) -> JSONResponse:
        answer = problem(429, "E_BUSY", f"{error}.", "Try again later.")
        answer.headers["Retry-After"] = str(RETRY_S)
        return answer


def problem(status: int, code: str, reason: str, remedy: str) -> JSONResponse:
    """An answer that says what is wrong.

    Args:
        status: of HTTP.
        code, reason, remedy: as of an `InputError`.
    """
    return JSONResponse({"code": code, "reason": reason, "remedy": remedy}, status)
