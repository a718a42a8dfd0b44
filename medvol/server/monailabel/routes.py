# SPDX-License-Identifier: Apache-2.0
"""MONAI Label's REST, which 3D Slicer's module and OHIF's plug-in speak."""

from fastapi import APIRouter

from ..images import Stored
from ..jobs import Job
from ..service import Service
from . import datastore, infer, info, sessions
from .desk import Desk
from .reply import mask_path
from .store import ORIGINAL, Store

FOLDER = "datastore"  # in the folder of the server


def router(service: Service) -> APIRouter:
    """All routes, written from what the clients send and take.

    Args:
        service: that does the work.
    """
    store = Store(service.settings.folder / FOLDER, service.images)
    desk = Desk(service, store)

    def find(name: str) -> Stored:
        if name in store.entries():
            return store.image(name)
        for stored in service.images.all():
            if name in (stored.id, stored.series):
                return stored
        raise KeyError(name)

    def keep(name: str, job: Job) -> None:
        desk.keep(name, ORIGINAL, mask_path(service, job), job.bundle, {"job": job.id})

    routes = APIRouter()
    routes.include_router(info.router(service, {"datastore": lambda: datastore.stats(store)}))
    routes.include_router(sessions.router(service))
    routes.include_router(infer.router(service, find, keep))
    routes.include_router(datastore.router(service, desk))
    return routes
