# SPDX-License-Identifier: Apache-2.0
"""MONAI Label's REST, which 3D Slicer's module and OHIF's plug-in speak."""

from fastapi import APIRouter

from ..images import Stored
from ..service import Service
from . import infer, info, sessions


def router(service: Service) -> APIRouter:
    """All routes, written from what the clients send and take.

    Args:
        service: that does the work.
    """
    routes = APIRouter()

    def find(name: str) -> Stored:
        for stored in service.images.all():
            if name in (stored.id, stored.series):
                return stored
        raise KeyError(name)

    routes.include_router(info.router(service, {}))
    routes.include_router(sessions.router(service))
    routes.include_router(infer.router(service, find, lambda *_: None))
    return routes
