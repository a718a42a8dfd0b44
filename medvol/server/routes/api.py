# SPDX-License-Identifier: Apache-2.0
"""`/api`: send an image, run a bundle on it, see how far it is, take the files."""

from typing import Annotated, Literal
from urllib.parse import unquote

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from ...tasks.task import task_of
from ..jobs import STATES, Job
from ..refusals import Misused
from ..service import Service
from ..waiting import over
from .answers import BundleShown, ImageShown, JobShown, Problem, SourceShown, StoredShown, Wanted

LONGEST_WAIT_S = 30.0
PAGE, LARGEST_PAGE = 100, 1000  # jobs or images that are listed at a time
TOTAL = "X-Total-Count"
ANSWERS = {
    404: {"model": Problem, "description": "There is no such bundle, image, job or file."},
    422: {"model": Problem, "description": "The request makes no sense."},
}
State = Literal["", "waiting", "running", "done", "refused", "cancelled"]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]  # entries that are listed
Offset = Annotated[int, Query(ge=0)]  # entries that are left out before them


def router(service: Service) -> APIRouter:
    """The routes below `/api`.

    Args:
        service: that does the work.
    """
    routes = APIRouter(prefix="/api", responses=ANSWERS)  # type: ignore[arg-type]
    _bundles(routes, service)
    _images(routes, service)
    _jobs(routes, service)
    return routes


def _bundles(routes: APIRouter, service: Service) -> None:
    @routes.get("/bundles", tags=["bundles"])
    def bundles() -> list[BundleShown]:
        """The bundles that are served."""
        return [BundleShown.of(spec, task_of(spec).takes) for spec in service.bundles.values()]


def _images(routes: APIRouter, service: Service) -> None:
    @routes.get("/images", tags=["images"])
    def images(
        response: Response, limit: Limit = PAGE, offset: Offset = 0, origin: str = ""
    ) -> list[ImageShown]:
        """The images that were sent, and those of the server's studies or archive, newest first.

        `X-Total-Count` says how many there are. `bundles` are those that may take an image.
        """
        found = [x for x in service.images.all() if origin in ("", x.origin)]
        response.headers[TOTAL] = str(len(found))
        some = found[offset : offset + limit]
        return [ImageShown.of(stored, service.suited(stored)) for stored in some]

    @routes.get("/sources", tags=["images"])
    def sources() -> list[SourceShown]:
        """The server's studies and archive, and whether they can be looked at."""
        return [SourceShown.of(looking) for looking in service.looking]

    @routes.post("/images", status_code=201, tags=["images"], openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": {
            "schema": {"type": "string", "format": "binary"}}}},
    })  # fmt: skip
    async def send(
        request: Request, x_file_name: Annotated[str, Header(
            description="name of the file, percent-encoded UTF-8", examples=["ct%201.nii.gz"]
        )] = "image",
        content_length: Annotated[int, Header(ge=0, include_in_schema=False)] = 0,
    ) -> ImageShown:  # fmt: skip
        """Send one image as the body: NIfTI, NRRD, MHA, a radiograph, or a .zip of DICOM slices.

        It is written to disk as it comes, and read when a bundle runs on it.
        """
        name = unquote(x_file_name, errors="replace")
        with service.images.receiving(name, expected_bytes=content_length) as coming:
            async for part in request.stream():
                if part:
                    await run_in_threadpool(coming.write, part)
        if coming.stored is None:
            raise RuntimeError("an image was received, and is not there")
        return ImageShown.of(coming.stored, service.suited(coming.stored))

    @routes.delete("/images/{image}", status_code=204, tags=["images"])
    def forget_image(image: str) -> None:
        """Delete an image that was sent; those of studies and archives are not deleted here."""
        if service.images.get(image).is_lent:
            raise Misused("this image was not sent to the server.")
        service.images.remove(image)


def _jobs(routes: APIRouter, service: Service) -> None:
    def shown(job: Job) -> JobShown:
        return JobShown.of(job, service.jobs.before().get(job.id, 0))

    @routes.get("/jobs", tags=["jobs"])
    def jobs(
        response: Response, limit: Limit = PAGE, offset: Offset = 0, state: State = "",
        image: str = "",
    ) -> list[JobShown]:  # fmt: skip
        """All jobs, the newest first; `X-Total-Count` says how many there are."""
        states, before = (state,) if state else STATES, service.jobs.before()
        found = [
            job for job in reversed(service.jobs.all())
            if job.state in states and image in ("", job.image)
        ]  # fmt: skip
        response.headers[TOTAL] = str(len(found))
        return [JobShown.of(job, before.get(job.id, 0)) for job in found[offset : offset + limit]]

    @routes.post("/jobs", status_code=201, tags=["jobs"], responses={429: {"model": Problem}})
    def submit(wanted: Wanted) -> JobShown:
        """Run a bundle on an image; what was done before is there at once."""
        return shown(service.submit(wanted.image, wanted.bundle, wanted.options, wanted.formats))

    @routes.get("/jobs/{job}", tags=["jobs"])
    async def look(
        job: str, wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 0.0
    ) -> JobShown:  # fmt: skip
        """How far a job is, and what it found.

        `wait` is how many seconds the answer may take while the job is not over.
        """
        return shown(await over(service.jobs, job, wait))

    @routes.post("/jobs/{job}/cancel", tags=["jobs"])
    def cancel(job: str) -> JobShown:
        """Stop a job; one that is over stays as it is."""
        return shown(service.queue.cancel(job))

    @routes.post("/jobs/{job}/store", tags=["jobs"], responses={502: {"model": Problem}})
    def store(job: str) -> StoredShown:
        """Send the DICOM results of a job to the server's archive."""
        sent = service.store(service.jobs.get(job))
        return StoredShown(stored=sent.stored, failed=sorted(set(sent.failed.values())))

    @routes.delete("/jobs/{job}", status_code=204, tags=["jobs"])
    def remove(job: str) -> None:
        """Stop a job, and delete it with its results and its image."""
        service.remove(job)

    @routes.get("/jobs/{job}/files/{name:path}", response_class=FileResponse, tags=["jobs"])
    def file(job: str, name: str) -> FileResponse:
        """One of the files of a job that is done."""
        return FileResponse(service.file(service.jobs.get(job), name), filename=name.split("/")[-1])
