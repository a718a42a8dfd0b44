# SPDX-License-Identifier: Apache-2.0
"""Results of cases that an archive takes: which formats they are, and sending them there."""

from collections.abc import Collection, Sequence
from pathlib import Path

from ..dicomweb import open_archive
from ..dicomweb.address import Address
from ..errors import InputError
from ..failures import FAILURES, failure
from .registry import OUTPUTS, expanded


def formats_to_store(asked: Sequence[str] | None, possible: Sequence[str], task: str) -> list[str]:
    """The formats of results that are stored: those that are asked for, and DICOM.

    Args:
        asked: names of formats, or of groups of them; None for all that every answer has.
        possible: those that the answers of the task can have.
        task: of the bundle.
    """
    from .results import GIVEN_BY  # here: it takes a while

    usual = [
        name for name, x in OUTPUTS.items()
        if x.unasked and not x.together and x.needs in GIVEN_BY[task] and name in possible
    ] if asked is None else list(asked)  # fmt: skip
    usual = expanded(usual, possible)
    if any(OUTPUTS[name].of_dicom for name in usual):
        return usual
    return [*usual, *(name for name in possible if OUTPUTS[name].of_dicom)]


class Storing:
    """Sends the DICOM results of cases to an archive.

    Args:
        address: of the archive.
        folder: of all results.

    Raises:
        InputError: E_ARCHIVE, its credentials cannot be used, or it does not answer.
    """

    def __init__(self, address: Address, folder: Path) -> None:
        self.address, self.folder = address, folder
        self.archive = open_archive(address)
        self.archive.check()

    def files(self, case: str, written: Collection[str]) -> list[Path]:
        """The files of a case that an archive takes.

        Args:
            case: its name.
            written: names of all its files.
        """
        names = [x.file for x in OUTPUTS.values() if x.of_dicom and x.file in written]
        return [self.folder / case / name for name in names]

    def store(self, case: str, written: Collection[str]) -> int:
        """Send the results of a case; they stay where they are, also where that fails.

        Args:
            case: its name.
            written: names of all its files.

        Raises:
            InputError: E_ARCHIVE, one of them could not be stored, or there are none.

        Returns:
            How many objects the archive has of it.
        """
        from ..dicomweb.store import not_stored  # here: it takes a while

        files = self.files(case, written)
        if not files:
            raise InputError(
                "E_ARCHIVE", self.folder / case, "it has no DICOM results that could be stored.",
                "Name some with --format, such as dicom-seg.",
            )  # fmt: skip
        try:
            stored = self.archive.store(files)
        except FAILURES as error:
            raise failure(error, str(self.address)) from error
        if stored.failed:
            raise not_stored(str(self.address), stored.failed)
        return stored.stored

    def series(self, case: str, written: Collection[str]) -> list[str]:
        """SeriesInstanceUIDs of the results of a case."""
        from pydicom import dcmread

        headers = (
            dcmread(x, specific_tags=["SeriesInstanceUID"]) for x in self.files(case, written)
        )
        return sorted({str(header.SeriesInstanceUID) for header in headers})
