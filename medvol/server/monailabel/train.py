# SPDX-License-Identifier: Apache-2.0
"""`/train/`: fine-tune a bundle on the submitted labels, look at it, stop it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body

from ..refusals import Missing
from ..service import Service
from .training import EPOCHS, RUNNING, Task, Trainings, is_trainable

Json = dict[str, Any]
Params = Annotated[Json | None, Body()]


def router(service: Service, trainings: Trainings) -> APIRouter:
    """The routes below `/train`.

    Args:
        service: that has the bundles.
        trainings: that does it.
    """
    routes = APIRouter(prefix="/train", tags=["MONAI Label"])

    @routes.get("/")
    def status(check_if_running: bool = False) -> Json:
        """The training that runs, or was last; 404 when none runs, or never did."""
        task = trainings.current if check_if_running else trainings.last
        if task is None:
            raise Missing("training")
        return shown(task, trainings)

    @routes.post("/", include_in_schema=False)
    def start_any(params: Params = None) -> Json:
        """Begin a training of the first bundle that can be trained, or of the one that is named."""
        names = [name for name, spec in service.bundles.items() if is_trainable(spec)]
        named = [name for name in names if name in (params or {})] or names
        if not named:
            raise Missing("training")
        own = (params or {}).get(named[0])
        task = trainings.start(named[0], own if isinstance(own, dict) else params or {})
        return shown(task, trainings)

    @routes.post("/{model}")
    def start(model: str, params: Params = None) -> Json:
        """Begin a training of a bundle; 429 when one runs."""
        return shown(trainings.start(model, params or {}), trainings)

    @routes.delete("/")
    def stop() -> Json:
        """End the training that runs; 404 when none does."""
        task = trainings.stop()
        if task is None:
            raise Missing("training")
        return shown(task, trainings)

    return routes


def info(service: Service) -> Json:
    """The bundles that can be trained, as `/info/` lists them."""
    return {
        name: {"description": f"goes on from {name}", "config": {"epochs": EPOCHS}}
        for name, spec in service.bundles.items()
        if is_trainable(spec)
    }


def stats(trainings: Trainings) -> Json:
    """How far the last training is, as `/info/` has it."""
    task = trainings.last
    return {task.model: trainings.progress(task)} if task else {}


def shown(task: Task, trainings: Trainings) -> Json:
    """A training as MONAI Label's clients read it; `details` always has a line."""
    progress = trainings.progress(task)
    said: Json = {
        "id": task.id, "status": task.status, "model": task.model,
        "start_ts": _time(task.started), "end_ts": _time(task.ended) if task.ended else "",
        "details": [
            f"{task.labels} labels, epoch {progress['epoch']} of {progress['total_epochs']}",
            *([task.said] if task.said else []),
        ],
    }  # fmt: skip
    if task.status != RUNNING:
        said["result"] = {"bundle": task.name, **progress}
    return said


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
