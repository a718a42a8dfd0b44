# SPDX-License-Identifier: Apache-2.0
"""The page for people at `/`, and its files below `/page`; they hold no data of anybody."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from ..service import Service
from .files import INDEX, PageFile, page_files

KEEP = "no-cache"  # a browser keeps it, and asks each time whether it is still the same


def router(service: Service) -> APIRouter:  # noqa: ARG001
    """The routes of the page.

    Args:
        service: that the page asks by `/api`.
    """
    routes = APIRouter(include_in_schema=False)
    files = page_files()

    @routes.get("/")
    def index(
        if_none_match: Annotated[str, Header()] = "", accept_encoding: Annotated[str, Header()] = ""
    ) -> Response:
        """The page itself."""
        return _answer(files[INDEX], if_none_match, accept_encoding)

    @routes.get("/page/{name:path}")
    def file(
        name: str,
        if_none_match: Annotated[str, Header()] = "",
        accept_encoding: Annotated[str, Header()] = "",
    ) -> Response:
        """A file of the page."""
        if name not in files:
            return Response("there is no such file", 404, media_type="text/plain")
        return _answer(files[name], if_none_match, accept_encoding)

    return routes


def _answer(file: PageFile, known: str, taken: str) -> Response:
    """A file, packed where the browser takes that; nothing where it has the same already."""
    headers = {"ETag": file.etag, "Cache-Control": KEEP, "Vary": "Accept-Encoding"}
    if file.etag in known:
        return Response(status_code=304, headers=headers)
    if "gzip" in taken:
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, headers=headers, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)
