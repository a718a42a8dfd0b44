# SPDX-License-Identifier: Apache-2.0
"""The app: every face of the server on one port, behind the same guards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from .. import __version__
from ..text import NOTICE
from .auto3dseg import router as auto3dseg
from .guard.guarded import guard
from .monailabel.routes import router as monailabel
from .ohif.routes import router as ohif
from .page.routes import router as page
from .routes.api import router as api
from .routes.docs import router as docs
from .routes.health import router as health
from .routes.problems import add_problems
from .service import Service

# FastAPI can report requests and errors to where variables of the environment say
TELL_NOBODY: Any = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False,
    "auto_configure": False,
}  # fmt: skip
FACES = (api, health, docs, monailabel, auto3dseg, ohif, page)


def create_app(service: Service) -> FastAPI:
    """The app of a service, which it closes when it ends.

    Args:
        service: that does the work.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="medvol", version=__version__, description=NOTICE, lifespan=life,
                  docs_url=None, redoc_url=None, telemetry=TELL_NOBODY)  # fmt: skip
    for face in FACES:
        app.include_router(face(service))
    add_problems(app)
    guard(app, service.settings)
    return app
