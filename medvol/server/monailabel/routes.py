# SPDX-License-Identifier: Apache-2.0
"""MONAI Label's REST, which 3D Slicer's module and OHIF's plug-in speak."""

from fastapi import APIRouter

from ..images import ARCHIVE, Stored
from ..jobs import Job
from ..refusals import Missing
from ..service import Service
from . import datastore, infer, info, others, sessions, strategies, train
from .desk import Desk
from .reply import mask_path
from .store import ORIGINAL, Store
from .training import Trainings

FOLDER = "datastore"  # in the folder of the server


def router(service: Service) -> APIRouter:
    """All routes, written from what the clients send and take.

    Args:
        service: that does the work.
    """

    def fetched(stored: Stored) -> Stored:
        if service.archived is None or stored.origin != ARCHIVE:
            return stored
        return service.archived.fetched(stored, lambda _: None)

    store = Store(service.settings.folder / FOLDER, service.images, fetched)
    desk, trainings = Desk(service, store), Trainings(service, store)
    more = {
        "datastore": lambda: datastore.stats(store),
        "strategies": strategies.info,
        "trainers": lambda: train.info(service),
        "train_stats": lambda: train.stats(trainings),
    }

    def find(name: str) -> Stored:
        if name in store.entries():
            return store.image(name)
        for stored in service.images.all():
            if name in (stored.id, stored.series):
                return stored
        raise Missing("image")

    def keep(name: str, job: Job) -> None:
        entries = store.entries()
        if name not in entries:  # the client knows it by its series or its id in the server
            name = next((x for x, entry in entries.items() if entry["image"] == job.image), name)
        desk.keep(name, ORIGINAL, mask_path(service, job), job.bundle, {"job": job.id})

    routes = APIRouter()
    for part in (
        info.router(service, more),
        sessions.router(service),
        infer.router(service, find, keep),
        datastore.router(service, desk),
        strategies.router(service, store),
        train.router(service, trainings),
        others.router(service, store),
    ):
        routes.include_router(part)
    return routes
