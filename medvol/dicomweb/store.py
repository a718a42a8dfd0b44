# SPDX-License-Identifier: Apache-2.0
"""Results into an archive by STOW-RS, and what it says of each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import requests

from ..errors import InputError
from ..text import counted
from .multipart import Body
from .refusals import refused
from .session import Session, asked

FAILED, REFERENCED, REASON, INSTANCE = "00081198", "00081199", "00081197", "00081155"
THERE_ALREADY = 0x0111  # PS3.4 and PS3.7: duplicate SOP instance
REASONS = {
    0x0110: "it could not process it",
    0x0122: "it takes no such class of objects",
    0xA700: "it has no room",
    0xA900: "it is not of the class that it says",
    0xC000: "it does not understand it",
    0xC122: "it does not take its transfer syntax",
}
ANSWERS = (200, 202, 409)  # all, some, none of them were stored; each with a list
ACCEPT = "application/dicom+json"


@dataclass(frozen=True)
class Stored:
    """What became of files that were sent.

    Args:
        stored: how many the archive has now.
        failed: SOPInstanceUID of each that it did not take, to the reason in words.
    """

    stored: int
    failed: Mapping[str, str] = field(default_factory=dict)


def store(session: Session, root: str, files: Sequence[Path]) -> Stored:
    """Send files.

    They are sent once more only where nothing of them can have arrived; files that the archive has
    already count as stored.

    Args:
        session: with the archive.
        root: URL of its DICOMweb.
        files: DICOM files, at least one.

    Raises:
        InputError: E_ARCHIVE, it does not answer, or refuses all; E_PATH, a file cannot be read.
        ValueError: no file is given.
    """
    if not files:
        raise ValueError("there is no file to store; give at least one")
    response = asked(session, lambda: _sent(session, root, files), tries=False)
    listed = list(_listed(response))
    if any(uid == "" for uid, _ in listed):
        raise refused(session.where, "its answer about what was stored cannot be read.")
    failed = {
        uid: _reason(code)
        for uid, code in listed
        if code is not None and code != THERE_ALREADY
    }  # fmt: skip
    if response.status_code == 409 and not listed:
        raise refused(session.where, "it stored nothing, and does not say why (409 Conflict).")
    if len(failed) == len(files):
        raise not_stored(session.where, failed)
    return Stored(len(files) - len(failed), failed)


def not_stored(where: str, failed: Mapping[str, str]) -> InputError:
    """The refusal of files that an archive did not take.

    Args:
        where: address, as the user gave it.
        failed: of `Stored`.
    """
    words = "; ".join(dict.fromkeys(failed.values()))
    return refused(
        where, f"it did not store {counted(len(failed), 'object')}: {words}.",
        "The files are kept; ask who runs the archive, and run the same command again.",
    )  # fmt: skip


def _sent(session: Session, root: str, files: Sequence[Path]) -> requests.Response:
    with closing(Body(files)) as body:
        headers = {
            "Content-Type": body.content_type,
            "Accept": ACCEPT,
            "Content-Length": str(len(body)),
        }
        response = session.post(f"{root}/studies", data=body, headers=headers)
    if response.status_code not in ANSWERS:
        response.raise_for_status()
    return response


def _listed(response: requests.Response) -> Iterator[tuple[str, int | None]]:
    """Each object that an answer speaks of: SOPInstanceUID, and why it was not stored, or None."""
    if not response.content.strip():
        return
    try:
        if response.content.lstrip()[:1] in (b"<", b"\xef"):
            yield from _of_xml(response.content)
        else:
            yield from _of_json(json.loads(response.content))
    except (ValueError, ElementTree.ParseError, AttributeError, TypeError, KeyError, IndexError):
        yield "", None


def _of_json(content: Any) -> Iterator[tuple[str, int | None]]:
    content = content[0] if isinstance(content, list) else content
    for sequence in (REFERENCED, FAILED):
        for item in content.get(sequence, {}).get("Value", []):
            reasons = item.get(REASON, {}).get("Value", [])
            code = int(reasons[0]) if reasons else 0
            yield str(item[INSTANCE]["Value"][0]), code if sequence == FAILED else None


def _of_xml(content: bytes) -> Iterator[tuple[str, int | None]]:
    """The same of the native DICOM model, which some archives answer with whatever is asked for."""
    for element in ElementTree.fromstring(content):
        tag = element.get("tag")
        for item in element if tag in (REFERENCED, FAILED) else ():
            values = {
                inner.get("tag"): "".join(inner.itertext()).strip()
                for inner in item
                if inner.get("tag") in (INSTANCE, REASON)
            }
            yield values[INSTANCE], int(values.get(REASON) or 0) if tag == FAILED else None


def _reason(code: int) -> str:
    """A FailureReason in words; some codes stand for all that begin as they do."""
    start = code & (0xFF00 if code < 0xC000 else 0xF000)
    words = REASONS.get(code) or REASONS.get(start) or "it does not say why"
    return f"{words} ({code:04X})" if code else words
