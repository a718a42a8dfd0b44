# SPDX-License-Identifier: Apache-2.0
"""Whether DICOM can be written of an image: refused before a network runs; light until asked."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...images.image import Image
from ...text import counted
from ..registry import OUTPUTS

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")  # leading zeros are not allowed either, but do no harm
LONGEST_UID = 64
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
_PLACE = "FrameOfReferenceUID"
MARKS = "dicom-seg"  # the output that lies in space, so that its source has to


def check_source(image: Image, formats: Collection[str]) -> None:
    """Refuse an image of which DICOM is to be written and cannot be; before a network runs.

    Args:
        image: as it was read.
        formats: names of `registry.OUTPUTS` that will be written.

    Raises:
        InputError: E_NOT_DICOM, it is not DICOM, or its headers lack what says whose it is; and
            what reading its first header refuses.
    """
    wanted = [name for name in formats if OUTPUTS[name].of_dicom]
    if not wanted:
        return
    names = " and ".join(wanted)
    if not image.instances:
        kind = image.facts.get("format", "an image in memory")
        raise InputError(
            "E_NOT_DICOM", image.path,
            f"it is {kind}, which names no patient, study and images that {names} could be of.",
            f"Give the DICOM files that it was made from, or leave out {names}.",
        )  # fmt: skip
    from ...images.archive import lying
    from .source import header_of  # here: it loads pydicom

    paths = {instance.path for instance in image.instances}
    first = image.instances[0].path
    with lying([first]) as places:
        header = header_of(places[first], first)
    for path, name, uid in _uids(header, first, needs_place=MARKS in wanted):
        _check_uid(path, name, uid, names)
    for instance in image.instances:
        _check_uid(instance.path, "SOPInstanceUID", instance.uid, names)
    if len(paths) != len(image.instances) and len(paths) > 1:
        reason = f"its slices are frames of {counted(len(paths), 'file')}; {names} can be of one."
        raise InputError("E_NOT_DICOM", image.path, reason, f"Leave out {names}.")


def _uids(header: Any, path: Path, *, needs_place: bool) -> Iterable[tuple[Path, str, str]]:
    names = (*_NEEDED, _PLACE) if needs_place or header.get(_PLACE) else _NEEDED
    return ((path, name, str(header.get(name) or "")) for name in names)


def _check_uid(path: Path, name: str, uid: str, wanted: str) -> None:
    """Refuse a UID that is missing, or is one of another kind such as a UUID.

    Raises:
        InputError: E_NOT_DICOM.
    """
    if _UID.fullmatch(uid) and len(uid) <= LONGEST_UID:
        return
    reason = f"its header has no {name}, by which an archive would find it."
    if uid:
        reason = f"its {name} is not a UID of DICOM, which has digits and dots only, at most 64."
    raise InputError(
        "E_NOT_DICOM", path, reason, f"Export it again from the archive, or leave out {wanted}."
    )
