# SPDX-License-Identifier: Apache-2.0
"""A route that fails unexpectedly answers with a reason, and is logged once, without names."""

import logging
import traceback
from pathlib import PurePath

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .asgi import refuse

LOG = logging.getLogger("medvol.server")
TOLD = (
    "E_FAILED", "the server failed at this.",
    "Tell who runs the server; its log says where it failed.",
)  # fmt: skip
MOST_PLACES = 12


def places(error: BaseException) -> str:
    """Where an error came from: files and lines, the last first, and nothing of its message.

    A message may hold a path or the name of a patient.
    """
    frames = traceback.extract_tb(error.__traceback__)[::-1][:MOST_PLACES]
    return " < ".join(f"{PurePath(x.filename).name}:{x.lineno} {x.name}" for x in frames)


class Failing:
    """Catches what a route lets through.

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
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            return  # nobody is there to hear an answer
        except Exception as error:
            LOG.error("%s of a request failed: %s", type(error).__name__, places(error))
            if not started:
                await refuse(scope, receive, send, 500, TOLD)
            # an answer that was begun cannot be ended; uvicorn closes the connection
