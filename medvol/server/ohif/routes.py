# SPDX-License-Identifier: Apache-2.0
"""The stock OHIF viewer at `/ohif/`, beside the archive that it looks at, at `/dicom-web/`."""

from collections.abc import Iterator

import anyio.from_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.staticfiles import StaticFiles

from ..refusals import Missing
from ..routes.problems import problem
from ..service import Service
from .build import CONFIG, HASHED, PLACE, Build, config_js, media_type
from .gateway import Body, Gateway

ROOT = "/dicom-web"
NOT_PASSED = "this server does not pass this on to the archive."
FOR_EVER, ASK = "public, max-age=31536000, immutable", "no-cache"


def router(service: Service) -> APIRouter:
    """The viewer's files and the way to the archive; nothing where the server has none.

    Args:
        service: that does the work.

    Raises:
        InputError: E_PATH, there is no build of OHIF where the settings say so.
    """
    routes = APIRouter(include_in_schema=False)
    settings = service.settings
    if settings.archive:
        add_gateway(routes, Gateway(settings.archive, takes=settings.archive_takes))
    if settings.ohif is not None:
        add_viewer(routes, Build(settings.ohif), takes=settings.archive_takes)
    return routes


def add_viewer(routes: APIRouter, build: Build, *, takes: bool) -> None:
    """The files of the viewer.

    Args:
        routes: that they are added to.
        build: of the viewer.
        takes: the archive takes what is sent to it through this server.
    """
    static = StaticFiles(directory=build.folder)
    changed = {**build.changed, CONFIG: config_js(ROOT, takes=takes).encode()}

    @routes.get(PLACE)
    def no_slash() -> Response:
        return RedirectResponse(f"{PLACE}/")

    @routes.get(PLACE + "/{path:path}")
    def viewer(path: str, request: Request) -> Response:
        name = path.rsplit("/", 1)[-1]
        headers = {"cache-control": FOR_EVER if HASHED.search(name) else ASK}
        if path in changed:
            return Response(changed[path], media_type=media_type(name), headers=headers)
        if path == "index.html" or (path not in build.files and "." not in name):
            return HTMLResponse(build.index, headers=headers)  # whichever page of the viewer
        if path not in build.files:
            raise Missing("file of the viewer")
        file = build.files[path]
        answer = static.file_response(file, file.stat(), request.scope)
        answer.headers.update({**headers, "content-type": media_type(name)})
        return answer


def add_gateway(routes: APIRouter, gateway: Gateway) -> None:
    """The way to the archive.

    Args:
        routes: that it is added to.
        gateway: to the archive.
    """

    @routes.api_route(ROOT + "/{path:path}", methods=["GET", "POST"])
    async def archive(path: str, request: Request) -> Response:
        if not gateway.allows(request.method, path):
            return problem(403, "E_ARCHIVE", NOT_PASSED, "Ask the archive itself.")
        # the address by which the browser came, which the guards have looked at
        root = f"{request.url.scheme}://{request.headers['host']}{ROOT}"
        body = _body_of(request) if request.method == "POST" else None
        asked = await run_in_threadpool(
            gateway.ask, request.method, path, request.url.query, request.headers, root, body
        )
        parts = iterate_in_threadpool(asked.parts)
        headers = {"content-type": asked.media_type, "cache-control": "no-store"}
        return StreamingResponse(parts, asked.status, headers)


def _body_of(request: Request) -> Body:
    """What comes with a request, to be read from another thread."""
    stream = request.stream()

    async def following() -> bytes | None:
        return await anext(stream, None)

    def parts() -> Iterator[bytes]:
        while (part := anyio.from_thread.run(following)) is not None:
            yield part

    return Body(parts(), int(request.headers.get("content-length", "0")))
