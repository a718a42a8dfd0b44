# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with an archive, as one line each: who does not answer, what it refuses."""

from http import HTTPStatus

import requests
import urllib3

from ..errors import InputError, causes, refusal_behind
from .credentials import CA, WAYS

AGAIN = "Try again; where it stays so, ask who runs the archive."
PATH = "Check the path of the address, which often ends in /dicom-web, /rs or /wado-rs."
REMEDIES = {
    401: ("it asks for credentials, or does not accept those that it got", WAYS),
    403: ("it does not allow this", "Ask who runs the archive for the permission."),
    404: ("it has no such thing: no such study or series, or no DICOMweb at this path", PATH),
    405: ("it does not take this at that path", PATH),
    406: ("it cannot send this as DICOM", "Ask who runs the archive for DICOMweb's usual forms."),
    413: ("it finds what is sent too large", "Raise the limit of the archive or of its proxy."),
    429: ("it is asked too often", AGAIN),
}
MOVED = "Give the address that it leads to, if you trust it; no credentials go there by themselves."


def refused(where: str, reason: str, remedy: str = AGAIN) -> InputError:
    """E_ARCHIVE of an archive.

    Args:
        where: address, as the user gave it.
        reason: what is wrong, one sentence.
        remedy: what the user can do, one sentence.
    """
    return InputError("E_ARCHIVE", where, reason, remedy)


def of_status(where: str, response: requests.Response) -> InputError:
    """The refusal that an answer with this status is.

    Args:
        where: address, as the user gave it.
        response: of another status than success.
    """
    code = response.status_code
    if 300 <= code < 400:
        return refused(where, f"it sends on to another address ({code}).", MOVED)
    reason, remedy = REMEDIES.get(code, ("it answers with an error", AGAIN))
    names = {status.value: f" {status.phrase}" for status in HTTPStatus}
    return refused(where, f"{reason} ({code}{names.get(code, '')}).", remedy)


def of_error(where: str, error: BaseException, timeout_s: float) -> InputError:
    """The refusal that an error of the connection is; one of the disk goes its own way.

    Args:
        where: address, as the user gave it.
        error: that was raised.
        timeout_s: after which one who does not answer is given up.

    Raises:
        BaseException: the error, where it does not come of the connection.
    """
    if (known := refusal_behind(error)) is not None:
        return known
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return of_status(where, error.response)
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return refused(
            where, f"its certificate is not accepted ({_innermost(error)}).",
            f"Name the certificate of who signed it in {CA}; it is never left unchecked.",
        )  # fmt: skip
    refusing = urllib3.exceptions.NewConnectionError  # which is a TimeoutError of urllib3, too
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if any(isinstance(x, timeouts) and not isinstance(x, refusing) for x in _all(error)):
        reason = f"it does not answer within {timeout_s:g} s."
        return refused(where, reason, "Check host and port, and whether the archive runs.")
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return refused(where, "it answers with what is not DICOM JSON.", PATH)
    cut = (
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.IncompleteRead,
        urllib3.exceptions.ProtocolError,
    )
    if isinstance(error, cut) or any(isinstance(x, ConnectionResetError) for x in _all(error)):
        return refused(where, "it ends its answer before it is whole.")
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):
        reason = f"it cannot be reached ({_innermost(error)})."
        return refused(where, reason, "Check host and port, and whether the archive runs.")
    raise error


def _all(error: BaseException) -> list[BaseException]:
    """An error and what it comes of, also where a package keeps that in its arguments."""
    found = [*causes(error)]
    for cause in [*found]:
        inner = getattr(cause, "reason", None) or next(iter(cause.args), None)
        if isinstance(inner, BaseException) and inner not in found:
            found += _all(inner)
        if cause.__context__ is not None and cause.__cause__ is None:
            found.append(cause.__context__)
    return found


def _innermost(error: BaseException) -> str:
    """What the system says of an error, without the address, which packages put into it."""
    words = [x.strerror for x in _all(error) if isinstance(x, OSError) and x.strerror]
    words += [str(getattr(x, "verify_message", "")) for x in _all(error)]
    return next((word for word in reversed(words) if word), type(error).__name__)
