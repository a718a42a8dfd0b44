# SPDX-License-Identifier: Apache-2.0
"""Images out of an archive by WADO-RS: a file for each instance, written as it comes.

Files are called by numbers in the order of the UIDs: the same each time, and no patient is found by
them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests

from ..errors import InputError
from ..failures import write_error
from .address import Address, is_uid
from .found import NO_IMAGES, InstanceFound, SeriesFound
from .multipart import Broken, Cut, boundary_of, parts
from .refusals import refused
from .search import Search
from .session import Session, asked, chunks

MAX_INSTANCES = 20_000  # as many as are read of a folder
MAX_BYTES = 8 << 30  # 16,000 slices of 512 x 512
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MADE_BY = {"SOPClassUID": SECONDARY_CAPTURE, "Manufacturer": "medvol"}  # the picture of an answer
ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
HEARD_EVERY = 25  # instances between two times that who waits hears of it


@dataclass(frozen=True)
class Fetched:
    """What was written of a study or a series.

    Args:
        files: in the order of the UIDs.
        size_bytes: of all.
        passed_by: modalities of series that were not fetched, as they hold no images.
    """

    files: tuple[Path, ...]
    size_bytes: int
    passed_by: tuple[str, ...] = ()


def fetch(
    session: Session,
    search: Search,
    address: Address,
    folder: Path,
    *,
    wanted: Callable[[Sequence[SeriesFound]], Sequence[SeriesFound]] | None = None,
    heard: Callable[[int, int], None] | None = None,
) -> Fetched:
    """Write the images of a study, or of a series of it, into a folder.

    Args:
        session: with the archive.
        search: of the same archive.
        address: of the study or the series.
        folder: that is there and empty.
        wanted: which of the series of images of a study are fetched; None for all.
        heard: is called with how many instances there are, of how many.

    Raises:
        InputError: E_ARCHIVE, the archive does not answer, has no such study or series or no image
            in it, or sends something else than was asked for; E_TOO_BIG; E_NOSPACE, the folder
            cannot be written; what `wanted` raises.
    """
    study = address.study or ""
    series, passed_by = _series(search, address)
    if wanted is not None:
        series = list(wanted(series))
    asked_for = [
        (one.uid, instance)
        for one in series
        for instance in _instances(search, session, study, one)
    ]
    if len(asked_for) > MAX_INSTANCES:
        reason = f"it has {len(asked_for)} instances, more than {MAX_INSTANCES}."
        raise InputError("E_TOO_BIG", str(address), reason, "Give the address of one series.")
    asked_for.sort(key=lambda pair: pair[1].uid)
    files: list[Path] = []
    size = 0
    for number, (uid, instance) in enumerate(asked_for, start=1):
        path = folder / f"{len(files) + 1:06d}.dcm"
        url = f"{address.root}/studies/{study}/series/{uid}/instances/{instance.uid}"
        get = partial(_written, session, url, path, MAX_BYTES - size)
        written = asked(session, get)
        try:
            own = _check(path, session.where, study, uid, instance.uid)
        except InputError:
            path.unlink(missing_ok=True)
            raise
        if own:  # else the picture of an answer would be taken for a radiograph
            path.unlink()
        else:
            files.append(path)
            size += written
        if heard is not None and (number % HEARD_EVERY == 0 or number == len(asked_for)):
            heard(number, len(asked_for))
    if not files:
        reason = "there is nothing in it but what medvol made."
        raise refused(session.where, reason, "Give the study or series that was scanned.")
    return Fetched(tuple(files), size, passed_by)


def _series(search: Search, address: Address) -> tuple[list[SeriesFound], tuple[str, ...]]:
    """The series of images that an address names, and the modalities of its other series."""
    where = search.session.where
    found = list(search.series(address.study or ""))
    if not found:
        raise refused(where, "it has no such study, or none that these credentials may see.",
                      "Check the UID of the study, and the credentials.")  # fmt: skip
    if address.series:
        found = [one for one in found if one.uid == address.series]
        if not found:
            raise refused(where, "the study has no such series.", "Check the UID of the series.")
    images = [one for one in found if one.modality not in NO_IMAGES]
    others = tuple(one.modality for one in found if one.modality in NO_IMAGES)
    if not images:
        kinds = ", ".join(sorted(set(others)))
        reason = f"there is no series of images in it, only {kinds}."
        raise refused(where, reason, "Give the study or series that was scanned.")
    return images, others


def _instances(
    search: Search, session: Session, study: str, series: SeriesFound
) -> list[InstanceFound]:
    """All instances of a series; refused where the archive lists fewer than it says it has."""
    found = list(search.instances(study, series.uid))
    if not all(is_uid(one.uid) for one in found):
        reason = "it lists an image under what cannot be a UID."
        raise refused(session.where, reason, "Ask who runs the archive.")
    if not found or (series.instances or 0) > len(found):
        of = "" if series.instances is None else f" of {series.instances}"
        reason = f"it lists only {len(found)}{of} instances of a series."
        raise refused(session.where, reason, "Ask who runs the archive, and try again.")
    return found


def _written(session: Session, url: str, path: Path, limit_bytes: int) -> int:
    """Write one instance into a file; nothing stays of one that is cut.

    Returns:
        Its size in bytes.
    """
    response = session.get(url, headers={"Accept": ACCEPT}, stream=True)
    with response:
        response.raise_for_status()
        body = chunks(response, session.where, limit_bytes)
        size = 0
        try:
            line = boundary_of(response.headers.get("Content-Type", ""))
            with path.open("wb") as file:
                for part in [body] if line is None else parts(body, line):
                    if size:
                        raise Broken("it answers with several instances where one was asked for")
                    for piece in part:
                        size += file.write(piece)
            if not size:
                raise Broken("it answers with an instance of 0 bytes")
        except Broken as error:
            path.unlink(missing_ok=True)
            if isinstance(error, Cut):  # it may come whole when it is asked for again
                raise ConnectionResetError(str(error)) from error
            raise refused(session.where, f"{error}.") from error
        except BaseException as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            connection = requests.RequestException | ConnectionError
            if isinstance(error, OSError) and not isinstance(error, connection):
                raise write_error(path.parent, error) from error
            raise
    return size


def _check(path: Path, where: str, study: str, series: str, instance: str) -> bool:
    """Refuse a file that is not the instance that was asked for: another patient's may be.

    Returns:
        Whether medvol made it.
    """
    from ..images.dicom.dataset import read_dataset  # here: pydicom takes a while

    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            raise refused(where, "it answers with what is not a DICOM file.")
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    try:
        header = read_dataset(path, stop_before_pixels=True, specific_tags=[*uids, *MADE_BY])
        found = tuple(str(header.get(uid, "")) for uid in uids)
    except InputError as error:
        raise InputError(error.code, where, error.reason, error.remedy) from error
    except Exception as error:  # pydicom raises errors of many kinds of a damaged header
        raise refused(where, "it answers with a damaged DICOM file.") from error
    if not any(found):
        raise refused(where, "it answers with a damaged DICOM file.")
    if found != (study, series, instance):
        reason = "it answers with another instance than was asked for."
        raise refused(where, reason, "Do not use it; tell who runs the archive.")
    return all(header.get(name, "") == value for name, value in MADE_BY.items())
