# SPDX-License-Identifier: Apache-2.0
"""The way of a browser to the archive: what DICOMweb reads, with credentials that stay here."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter

from ...dicomweb.address import Address, parse_address
from ...dicomweb.credentials import Credentials, credentials_for
from ...dicomweb.refusals import of_error, of_status
from ...dicomweb.session import MAX_JSON_BYTES, Session, chunks

UID = r"[0-9][0-9.]{0,63}"  # not of dots alone, which could lead elsewhere
READ = re.compile(
    rf"(studies|series|instances)"
    rf"|studies/{UID}(/(series|instances|metadata|rendered|thumbnail))?"
    rf"|studies/{UID}/series/{UID}(/(instances|metadata|rendered|thumbnail))?"
    rf"|studies/{UID}/series/{UID}/instances/{UID}"
    rf"(/(metadata|rendered|thumbnail|frames/[0-9,]+(/(rendered|thumbnail))?|bulkdata(/\w[\w.-]*)+))?"
    rf"|studies/{UID}(/series/{UID}(/instances/{UID})?)?/bulkdata(/\w[\w.-]*)+"
)
STORE = re.compile(rf"studies(/{UID})?")
PASSED_ON = ("accept", "content-type", "range")
JSON = re.compile(r"application/(dicom\+)?json\b")
MOST_BYTES = 4 << 30  # of one answer
UNAUTHORISED = 401
POOLED = 32  # connections that stay open; a browser asks for so many frames at once


class Body:
    """What a browser sends, as `requests` takes a stream.

    Args:
        parts: as they come.
        size_bytes: of all, where it is known; 0 sends it in chunks.
    """

    def __init__(self, parts: Iterator[bytes], size_bytes: int) -> None:
        self.parts, self.len = parts, size_bytes

    def __iter__(self) -> Iterator[bytes]:
        return self.parts


class Answered(NamedTuple):
    """What the archive answers.

    Args:
        status: of HTTP.
        media_type: of the body.
        parts: of the body.
    """

    status: int
    media_type: str
    parts: Iterator[bytes]


class Gateway:
    """Passes requests on to one archive; safe to use from several threads.

    Args:
        archive: its address.
        credentials: that it gets; None for those of the environment or of a file.
        takes: what is sent by STOW is passed on too.

    Raises:
        InputError: E_ARCHIVE, the address or the credentials cannot be used.
    """

    def __init__(
        self, archive: str, credentials: Credentials | None = None, *, takes: bool = False
    ) -> None:
        self.address: Address = parse_address(archive).archive
        known = credentials_for(self.address) if credentials is None else credentials
        self.session, self.takes = Session(known, "archive"), takes
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=POOLED))

    def allows(self, method: str, path: str) -> bool:
        """Whether a request is one that a viewer needs.

        Args:
            method: of HTTP.
            path: behind the root of DICOMweb, decoded.
        """
        if method == "POST":
            return self.takes and STORE.fullmatch(path) is not None
        return method == "GET" and READ.fullmatch(path) is not None

    def ask(
        self, method: str, path: str, query: str, headers: Mapping[str, str], root: str,
        body: Body | None = None,
    ) -> Answered:  # fmt: skip
        """Pass a request on.

        Args:
            method, path: that `allows` allows.
            query: behind the path, still coded.
            headers: of the request; only what says which form is sent and wanted is passed on.
            root: address of DICOMweb on this server, which takes the place of the archive's own in
                answers that name addresses.
            body: of the request.

        Raises:
            InputError: E_ARCHIVE, the archive cannot be reached; E_TOO_BIG.
        """
        url = f"{self.address.root}/{path}" + (f"?{query}" if query else "")
        passed = {name: headers[name] for name in PASSED_ON if name in headers}
        data: Any = body
        try:
            response = self.session.request(method, url, headers=passed, data=data, stream=True)
            if response.status_code == UNAUTHORISED:  # else a browser asks its user for a password
                response.close()
                raise of_status("archive", response)
            kind = response.headers.get("Content-Type", "application/octet-stream")
            parts = _parts(response, MOST_BYTES)
            if JSON.match(kind):
                text = b"".join(_parts(response, MAX_JSON_BYTES))
                parts = iter([text.replace(self.address.root.encode(), root.encode())])
        except Exception as error:
            raise of_error("archive", error, self.session.timeout_s) from error
        return Answered(response.status_code, kind, parts)


def _parts(response: requests.Response, limit_bytes: int) -> Iterator[bytes]:
    """The body of an answer as it comes; the connection is free when it ends or is left."""
    with response:
        yield from chunks(response, "archive", limit_bytes)
