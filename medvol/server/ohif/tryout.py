# SPDX-License-Identifier: Apache-2.0
"""`medvol serve --ohif`: OHIF, an archive and bundles together, by one command."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pydicom import dcmread

from ...dicomweb.client import Archive
from ...dicomweb.credentials import FILE, PASSWORD, TOKEN, USER
from ...errors import printable
from ...images.dicom import is_dicom
from ...images.files import walk
from ...scratch import TEMPORARY, prefix
from ..settings import Settings
from .build import Build
from .orthanc import orthanc

FETCHED = Path(__file__).parent.joinpath("node_modules", "@ohif", "app", "dist")  # `make ohif`
SENT_AT_ONCE = 50  # files
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@contextmanager
def viewer(settings: Settings, build: Path | None, kept: Path | None) -> Iterator[Settings]:
    """The settings of a server with OHIF, and an archive of its own where none was named.

    Args:
        settings: of the server; DICOM files of its studies go into its own archive.
        build: folder of OHIF; None for the one that `make ohif` fetched.
        kept: folder for what the server's own archive holds; None for one that ends with it.

    Raises:
        InputError: E_PATH, there is no build; E_ARCHIVE, Orthanc is not installed, or does not
            start.
    """
    folder = FETCHED if build is None else build
    Build(folder)
    with ExitStack() as ends:
        if not settings.archive:
            if kept is None:
                made = tempfile.TemporaryDirectory(
                    prefix=prefix(TEMPORARY), ignore_cleanup_errors=True
                )
                kept = Path(ends.enter_context(made))
            running = ends.enter_context(orthanc(kept))
            ends.enter_context(_known(running.credentials.user, running.credentials.password))
            if settings.studies is not None:
                feed(Archive(running.url), settings.studies)
            settings = replace(settings, archive=running.url, archive_takes=True, studies=None)
        yield replace(settings, ohif=folder)


def feed(archive: Archive, folder: Path) -> int:
    """Send all DICOM files below a folder to an archive; others are passed by.

    Files without the UIDs by which an archive keeps them, as some programs for removing names
    leave, are passed by too, with a line on stderr: it would refuse all that come with them.

    Args:
        archive: that takes them.
        folder: to look through.

    Returns:
        How many it took.

    Raises:
        InputError: E_PATH, no such folder; E_ARCHIVE, the archive does not take any.
    """
    found = [path for path in walk(folder) if is_dicom(path)]
    files = [path for path in found if _has_uids(path)]
    if without := len(found) - len(files):
        words = f"{without} of {len(found)} DICOM files have no UID of study, series or image"
        print(printable(f"medvol: {folder}: {words}; OHIF does not show them."), file=sys.stderr)
    groups: Sequence[Sequence[Path]] = [
        files[start : start + SENT_AT_ONCE] for start in range(0, len(files), SENT_AT_ONCE)
    ]
    return sum(archive.store(group).stored for group in groups)


def _has_uids(path: Path) -> bool:
    """Whether a file has what an archive keeps it by; so also what cannot be read to its end."""
    try:
        header = dcmread(path, force=True, specific_tags=[*UIDS])
        return all(header.get(name) for name in UIDS)
    except Exception:  # pydicom may raise nearly anything; the archive says what it thinks of it
        return True


@contextmanager
def _known(user: str, password: str) -> Iterator[None]:
    """The credentials of the server's own archive, where all who ask it look for them."""
    wanted = {USER: user, PASSWORD: password, TOKEN: "", FILE: ""}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
