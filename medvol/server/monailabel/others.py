# SPDX-License-Identifier: Apache-2.0
"""`/logs/`, `/model/` and `/batch/infer`: what MONAI Label's clients ask for besides."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, PlainTextResponse

from ..jobs import Job
from ..refusals import Missing
from ..service import Service
from .store import FINAL, Store

MOST_LINES = 10_000
Json = dict[str, Any]


def router(service: Service, store: Store) -> APIRouter:
    """The routes.

    Args:
        service: that does the work.
        store: of the images that a batch goes over.
    """
    routes = APIRouter(tags=["MONAI Label"])
    batch: list[str] = []  # ids of the jobs of the last one

    @routes.get("/logs/", response_class=PlainTextResponse)
    def logs(lines: Annotated[int, Query(ge=1, le=MOST_LINES)] = 300) -> str:
        """What was done, a line a job; no name of an image or a file is in it."""
        return "".join(f"{line(job)}\n" for job in service.jobs.all()[-lines:])

    @routes.get("/model/info/{model}")
    def model_info(model: str) -> Json:
        """Checksum and time of a bundle's weights."""
        spec = service.bundles[model]
        modified = int(spec.weights.stat().st_mtime)
        return {"checksum": f"SHA256:{spec.weights_sha256}", "modified_time": modified}

    @routes.get("/model/{model}", response_class=FileResponse)
    def model(model: str) -> FileResponse:
        """The weights of a bundle."""
        return FileResponse(service.bundles[model].weights, filename=f"{model}.pt")

    def state() -> Json:
        if not batch:
            raise Missing("batch")
        known = {job.id: job for job in service.jobs.all()}
        over = sum(id_ not in known or known[id_].is_over for id_ in batch)
        status = "DONE" if over == len(batch) else "RUNNING"
        return {"id": batch[0], "status": status, "details": [f"{over} of {len(batch)} images"]}

    @routes.get("/batch/infer")
    def batch_state(check_if_running: bool = False) -> Json:
        """How far the last batch is; 404 where there was none, or none runs."""
        found = state()
        if check_if_running and found["status"] == "DONE":
            raise Missing("batch")
        return found

    @routes.post("/batch/infer/{model}")
    def run_batch(
        model: str, images: Literal["all", "labeled", "unlabeled"] = "unlabeled"
    ) -> Json:  # fmt: skip
        """Run a bundle on the images of the datastore, so that their answers are there at once.

        Images of another kind than it takes are passed by.
        """
        service.bundles[model]
        chosen = [
            id_ for id_, entry in store.entries().items()
            if model in service.suited(store.image(id_))
            and (images == "all" or (FINAL in entry["labels"]) == (images == "labeled"))
        ]  # fmt: skip
        batch.clear()
        for id_ in chosen:  # those before a refusal can still be looked at and stopped
            batch.append(service.submit(store.image(id_).id, model).id)
        return state()

    @routes.delete("/batch/infer")
    def stop_batch() -> Json:
        """Cancel what the last batch has not come to."""
        for job in service.jobs.all():
            if job.id in batch:
                service.queue.cancel(job.id)
        return state()

    return routes


def line(job: Job) -> str:
    """A job in one line, without names.

    Args:
        job: as it is.
    """
    since = datetime.fromtimestamp(job.since, UTC).strftime("%Y-%m-%d %H:%M:%S")
    took = f" {job.ended - job.started:.1f} s" if job.ended and job.started else ""
    code = f" {job.error['code']}" if job.error else ""
    return f"{since} {job.id} {job.bundle} {job.state}{took}{code}"
