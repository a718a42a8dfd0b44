# SPDX-License-Identifier: Apache-2.0
"""`/api`: send an image, run a bundle on it, see how far it is, take the files."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from ...tasks.task import task_of
from ..jobs import WAITING, Job
from ..service import Service
from .answers import BundleShown, ImageShown, JobShown, Problem, Wanted

LONGEST_WAIT_S = 30.0


def router(service: Service) -> APIRouter:
    """The routes below `/api`.

    Args:
        service: that does the work.
    """
    routes = APIRouter(prefix="/api", tags=["medvol"], responses={422: {"model": Problem}})

    def shown(job: Job) -> JobShown:
        before = (x for x in service.jobs.all() if x.state == WAITING and x.since < job.since)
        return JobShown.of(job, sum(1 for _ in before) if job.state == WAITING else 0)

    @routes.get("/bundles")
    def bundles() -> list[BundleShown]:
        """The bundles that are served."""
        return [BundleShown.of(spec, task_of(spec).takes) for spec in service.bundles.values()]

    @routes.get("/images")
    def images() -> list[ImageShown]:
        """The images that were sent, the newest first."""
        return [ImageShown.of(stored) for stored in service.images.all()]

    @routes.post("/images", status_code=201, openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": {
            "schema": {"type": "string", "format": "binary"}}}},
    })  # fmt: skip
    async def send(request: Request, name: str = "image") -> ImageShown:
        """Send one image as the body: NIfTI, NRRD, MHA, a radiograph, or a .zip of DICOM slices.

        It is written to disk as it comes, and read when a bundle runs on it.
        """
        with service.images.receiving(name) as coming:
            async for part in request.stream():
                await run_in_threadpool(coming.write, part)
        if coming.stored is None:
            raise KeyError(name)
        return ImageShown.of(coming.stored)

    @routes.delete("/images/{image}", status_code=204)
    def forget_image(image: str) -> None:
        """Delete an image."""
        service.images.remove(image)

    @routes.get("/jobs")
    def jobs() -> list[JobShown]:
        """All jobs, the newest first."""
        return [shown(job) for job in reversed(service.jobs.all())]

    @routes.post("/jobs", status_code=201)
    def submit(wanted: Wanted) -> JobShown:
        """Run a bundle on an image; what was done before is there at once."""
        return shown(service.submit(wanted.image, wanted.bundle, wanted.options))

    @routes.get("/jobs/{job}")
    def look(
        job: str, wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 0.0
    ) -> JobShown:  # fmt: skip
        """How far a job is, and what it found.

        `wait` is how many seconds the answer may take while the job is not over.
        """
        return shown(service.jobs.wait(job, wait) if wait else service.jobs.get(job))

    @routes.post("/jobs/{job}/cancel")
    def cancel(job: str) -> JobShown:
        """Stop a job; one that is over stays as it is."""
        return shown(service.queue.cancel(job))

    @routes.delete("/jobs/{job}", status_code=204)
    def remove(job: str) -> None:
        """Stop a job, and delete it with its results and its image."""
        service.remove(job)

    @routes.get("/jobs/{job}/files/{name:path}", response_class=FileResponse)
    def file(job: str, name: str) -> FileResponse:
        """One of the files of a job that is done."""
        return FileResponse(service.file(service.jobs.get(job), name), filename=name.split("/")[-1])

    return routes
