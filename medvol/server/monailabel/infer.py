# SPDX-License-Identifier: Apache-2.0
"""`/infer/{model}`: a bundle run on an image, answered with a mask, what it means, or both."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ..images import Stored
from ..jobs import Job
from ..service import Service
from ..waiting import ended
from . import forms, reply

Output = Literal["image", "json", "all", "dicom_seg", "dicom_sr"]
Find = Callable[[str], Stored]
Keep = Callable[[str, Job], None]


def router(service: Service, find: Find, keep: Keep) -> APIRouter:
    """The route.

    Args:
        service: that does the work.
        find: the image of a name that clients give; raises Missing.
        keep: stores the answer of a job as a label of an image of the datastore.
    """
    routes = APIRouter(prefix="/infer", tags=["MONAI Label"])

    @routes.post("/{model}", response_model=None, responses={200: {"content": {
        "multipart/form-data": {}, "application/json": {}, "application/octet-stream": {},
        "application/dicom": {}}}})  # fmt: skip
    async def infer(
        request: Request,
        model: str,
        image: str = "",
        session_id: str = "",
        output: Output = "all",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        """Run a bundle on an image: of a session, sent along, or known by its name.

        Of `params` count `result_extension` (.nrrd, .seg.nrrd, .nii.gz, .nii), `result_dtype`,
        `result_compress`, `restore_label_idx` (the bundle's own values in place of 1 to N) and
        `save_label` (keep the answer in the datastore, tag `original`). Others are passed by.
        """
        said = forms.said(params)
        wish = reply.Wish.of(said)
        service.bundles[model]
        stored = await run_in_threadpool(_image, session_id, file, image)
        formats = reply.formats_for(service.bundles[model], output)
        job = service.submit(stored.id, model, formats=formats)
        job = await ended(service, job, request)
        if said.get("save_label") in (True, "true") and image:
            await run_in_threadpool(keep, image, job)
        return await run_in_threadpool(_answer, job, wish, output)

    def _image(session: str, file: UploadFile | None, image: str) -> Stored:
        if session:
            return service.images.get(session)
        if file is not None:
            return forms.receive(service, [file])
        if not image:
            raise ValueError("neither an image, a session nor a file is named")
        return find(image)

    def _answer(job: Job, wish: reply.Wish, output: Output) -> Response:
        meaning = reply.meaning(service, job, wish)
        if output in reply.DICOM:
            path = reply.dicom_of(service, job, output)
            return FileResponse(path, media_type="application/dicom", filename=path.name)
        if output == "json" or (output == "all" and not meaning["label_names"]):
            return JSONResponse(meaning)
        name, content = reply.mask_of(service, job, wish)
        if output == "image":
            return as_file(name, content)
        body, kind = reply.multipart(meaning, name, content)
        return Response(body, media_type=kind)

    return routes


def as_file(name: str, content: Any) -> Response:
    """Bytes as a file to be saved."""
    said = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/octet-stream", headers=said)
