# SPDX-License-Identifier: Apache-2.0
"""An archive as the rest of medvol sees it: what it holds, images out of it, results into it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dicomweb_client import DICOMwebClient

from .address import Address, parse_address
from .credentials import Credentials, credentials_for
from .fetch import Fetched, fetch
from .found import SeriesFound, StudyFound
from .search import Search
from .session import READ_S, Session, asked
from .store import Stored, store

for _name in ("dicomweb_client", "retrying"):  # else they print beside a refusal
    logging.getLogger(_name).addHandler(logging.NullHandler())


class Archive:
    """An archive that speaks DICOMweb.

    Args:
        address: of the archive, or of a study or series in it, which stands in refusals.
        credentials: that it gets; None for those of the environment or of a file.
        timeout_s: after which one that does not answer is given up.

    Raises:
        InputError: E_ARCHIVE, the address or the credentials cannot be used.

    Example:
        >>> Archive("dicomweb+http://localhost:8042/dicom-web").address.root
        'http://localhost:8042/dicom-web'
    """

    def __init__(
        self,
        address: Address | str,
        credentials: Credentials | None = None,
        *,
        timeout_s: float = READ_S,
    ) -> None:
        self.address = parse_address(address) if isinstance(address, str) else address
        known = credentials_for(self.address) if credentials is None else credentials
        self.session = Session(known, str(self.address), timeout_s)
        self._client = DICOMwebClient(self.address.root, session=self.session, permissive_uid=True)
        self._client.set_http_retry_params(retry=False)  # `asked` tries again, in bounds
        self._search = Search(self._client, self.session)

    def studies(self, filters: Mapping[str, str] | None = None) -> list[StudyFound]:
        """The studies that it holds.

        Args:
            filters: keyword to value, such as ModalitiesInStudy to CT, or StudyDate to 20260101-.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or not in DICOM JSON.
        """
        return list(self._search.studies(filters or {}))

    def check(self) -> None:
        """Ask for one study, to know whether it answers and takes the credentials.

        Raises:
            InputError: E_ARCHIVE, it does not, or not in DICOM JSON.
        """
        asked(self.session, lambda: self._client.search_for_studies(limit=1))

    def series(self, study: str) -> list[SeriesFound]:
        """The series of a study; none where it has no such study.

        Args:
            study: StudyInstanceUID.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or not in DICOM JSON.
        """
        return list(self._search.series(study))

    def count(self, study: str, series: str) -> int:
        """How many instances a series has, where the archive does not say so with the series.

        Args:
            study: StudyInstanceUID.
            series: SeriesInstanceUID.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or not in DICOM JSON.
        """
        return sum(1 for _ in self._search.instances(study, series))

    def fetch(
        self,
        study: str,
        series: str | None,
        folder: Path,
        *,
        wanted: Callable[[Sequence[SeriesFound]], Sequence[SeriesFound]] | None = None,
        heard: Callable[[int, int], None] | None = None,
    ) -> Fetched:
        """Write the images of a study, or of one series of it, into a folder.

        Args:
            study: StudyInstanceUID.
            series: SeriesInstanceUID; None for every series of images.
            folder: that is there and empty.
            wanted, heard: as for `fetch.fetch`.

        Raises:
            InputError: as for `fetch.fetch`.
        """
        address = self.address.of(study, series)
        return fetch(self.session, self._search, address, folder, wanted=wanted, heard=heard)

    def store(self, files: Sequence[Path]) -> Stored:
        """Send DICOM files to it.

        Args:
            files: at least one.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or stored nothing.
        """
        return store(self.session, self.address.root, files)
