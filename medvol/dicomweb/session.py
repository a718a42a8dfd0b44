# SPDX-License-Identifier: Apache-2.0
"""Connections to one archive: bounded in time and size, to nobody else, and tried again if safe."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import requests
from requests.auth import AuthBase

from ..errors import InputError
from .credentials import Credentials
from .refusals import of_error, of_status, refused

CONNECT_S, READ_S = 10.0, 60.0  # a loaded archive answers in seconds; a disk on tape in a minute
WHOLE_S = 900.0  # of one answer: an instance of 500 MB at 600 kB/s
WAITS_S = (0.5, 2.0)  # before a second and a third try
BUSY = (429, 502, 503, 504)  # of what is asked now nothing was done
MAX_JSON_BYTES = 64 << 20  # a list of 1,000 studies has 1 MB
CHUNK_BYTES = 1 << 16
Answer = TypeVar("Answer")


class _Authorised(AuthBase):
    """Puts the header in each request.

    Args:
        header: value of Authorization; empty for none.
    """

    def __init__(self, header: str) -> None:
        self.header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.header:
            request.headers["Authorization"] = self.header
        return request


class Session(requests.Session):
    """Requests to an archive, of `requests`, made strict.

    Nothing of the surroundings counts: no proxy, no .netrc, no other list of certificates. It
    follows no redirect, so that neither credentials nor images go elsewhere. Certificates are
    always checked. A body that is not asked for as a stream is read here, up to `MAX_JSON_BYTES`.

    Args:
        credentials: that are sent.
        where: address for refusals, as the user gave it.
        timeout_s: for each wait for the archive.
    """

    def __init__(self, credentials: Credentials, where: str, timeout_s: float = READ_S) -> None:
        super().__init__()
        self.trust_env = False
        self.auth = _Authorised(credentials.header)
        self.verify = credentials.ca or True
        self.where, self.timeout_s = where, timeout_s
        # nothing is inflated that could be a bomb
        self.headers.update({"Accept-Encoding": "identity", "User-Agent": "medvol"})

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send one request.

        Raises:
            InputError: E_ARCHIVE, it is sent elsewhere, or the answer is packed; E_TOO_BIG.
            requests.RequestException: there is no answer.
        """
        whole = not options.get("stream")
        timeout = (min(CONNECT_S, self.timeout_s), self.timeout_s)
        strict = {"allow_redirects": False, "verify": self.verify, "timeout": timeout}
        response = super().send(request, **{**options, **strict, "stream": True})
        if 300 <= response.status_code < 400:  # which requests takes for a success
            response.close()
            raise of_status(self.where, response)
        if whole:
            with response:
                parts = chunks(response, self.where, MAX_JSON_BYTES)
                response._content = b"".join(parts)
                response._content_consumed = True
        return response


def chunks(response: requests.Response, where: str, limit_bytes: int) -> Iterator[bytes]:
    """The body of an answer as it comes.

    Args:
        response: of a request for a stream.
        where: address for refusals.
        limit_bytes: after which it is given up.

    Raises:
        InputError: E_ARCHIVE, it is packed, or takes too long; E_TOO_BIG, it is too large.
        urllib3.exceptions.HTTPError: it ends before it is whole.
    """
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise refused(where, "it packs its answer, though it was asked not to.")
    read, until = 0, time.monotonic() + WHOLE_S
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
        read += len(chunk)
        if read > limit_bytes:
            raise InputError(
                "E_TOO_BIG", where, f"it answers with more than {limit_bytes >> 20} MiB.",
                "Give the address of one series; if it is one, it is too large to be read.",
            )  # fmt: skip
        if time.monotonic() > until:
            raise refused(where, f"its answer is not whole after {WHOLE_S:g} s.")
        yield chunk


def asked(session: Session, get: Callable[[], Answer], *, tries: bool = True) -> Answer:
    """What an archive answers to a question that changes nothing, so that it may be asked again.

    Args:
        session: that asks.
        get: asks once.
        tries: whether it is asked again where the connection fails or the archive is busy.

    Raises:
        InputError: E_ARCHIVE, it does not answer, or refuses; what else `get` raises.
    """
    waits_s = list(WAITS_S if tries else ())
    while True:
        try:
            return get()
        except Exception as error:
            refusal = of_error(session.where, error, session.timeout_s)
            if not waits_s or not passing(error):
                raise refusal from error
        time.sleep(waits_s.pop(0))


def passing(error: BaseException) -> bool:
    """Whether what went wrong may be gone at the next try: busy, cut, no connection."""
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in BUSY
    lasting = (
        InputError, ValueError, requests.exceptions.SSLError, requests.Timeout,
    )  # fmt: skip
    return not isinstance(error, lasting)
