# SPDX-License-Identifier: Apache-2.0
"""All that stands before the routes, in its order."""

import logging

from fastapi import FastAPI

from ..settings import Settings
from .bodies import Bodies
from .failing import Failing
from .headers import Headers
from .hosts import Hosts
from .login import router
from .origins import Origins
from .shapes import Shapes
from .tickets import Wrong
from .token import Gate


def guard(app: FastAPI, settings: Settings) -> None:
    """Put the guards before an app, and add the routes of logging in.

    Args:
        app: with all its routes.
        settings: that say whom to let in.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # else a line an odd form
    wrong = Wrong()
    app.include_router(router(settings.token, wrong))
    # what is added last stands first
    app.add_middleware(Bodies, largest_bytes=settings.largest_bytes)
    if settings.token:
        app.add_middleware(Gate, token=settings.token, wrong=wrong)
    app.add_middleware(Origins, origins=settings.origins)
    app.add_middleware(Hosts, settings=settings)
    app.add_middleware(Shapes)
    app.add_middleware(Failing)
    app.add_middleware(Headers)
