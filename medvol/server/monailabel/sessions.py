# SPDX-License-Identifier: Apache-2.0
"""`/session/`: an image that a viewer has open, sent once and asked about several times.

A session is an image that was sent, and ends with it; its id is the image's, which nobody guesses.
"""

from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import FileResponse
from starlette.responses import Response

from ..images import Stored
from ..refusals import Missing
from ..service import Service
from . import forms


def router(service: Service) -> APIRouter:
    """The routes below `/session`.

    Args:
        service: that keeps the images.
    """
    routes = APIRouter(prefix="/session", tags=["MONAI Label"])

    def info(stored: Stored) -> dict[str, Any]:
        since = int(stored.since)
        return {
            "name": stored.id, "path": "", "image": stored.path.name, "meta": {},
            "create_ts": since, "last_access_ts": since,
            "expiry": int(service.settings.keep_h * 3600),
        }  # fmt: skip

    def sent(session: str) -> Stored:
        stored = service.images.get(session)
        if stored.is_lent:
            raise Missing("session")
        return stored

    @routes.put("/")
    def create(files: Annotated[list[UploadFile], File()]) -> dict[str, Any]:
        """Send the image of a session: one file, or the slices of a DICOM series."""
        stored = forms.receive(service, files)
        return {"session_id": stored.id, "session_info": info(stored)}

    @routes.get("/{session}", response_model=None)
    def look(session: str, image: bool = False) -> dict[str, Any] | Response:
        """What a session is; with `image` its image. 404 when it has ended."""
        stored = sent(session)
        return FileResponse(stored.path, filename=stored.path.name) if image else info(stored)

    @routes.delete("/{session}")
    def end(session: str) -> dict[str, Any]:
        """End a session, and delete its image with what was found in it."""
        stored = sent(session)
        for job in service.jobs.all():
            if job.image == stored.id:
                service.remove(job.id)
        service.remove_image(stored.id)
        return info(stored)

    return routes
