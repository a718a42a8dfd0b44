# SPDX-License-Identifier: Apache-2.0
"""The series of a DICOM archive: known to a server, fetched for a job, and results back into it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..dicomweb.client import Archive
from ..dicomweb.found import SeriesFound, StudyFound
from ..dicomweb.store import Stored as Sent
from ..images.dicom import RADIOGRAPHY
from ..progress import Step
from ..scratch import prefix
from .images import ARCHIVE, Images, Stored
from .studies import Ids

MOST_STUDIES = 200  # that are shown, the newest first; an archive may hold a million
DAYS = (7, 90, 0)  # that are asked for, until there are enough studies; 0 for all
DATE = "%Y%m%d"
HOLD = "slices"


class Archived:
    """An archive that a server shows and asks.

    Args:
        archive: that is asked.
        images: that get its series.
        ids: of a server.
        modalities: that bundles take, as `Spec.modality` has them.
    """

    def __init__(
        self, archive: Archive, images: Images, ids: Ids, modalities: Collection[str]
    ) -> None:  # fmt: skip
        self.archive, self.images, self.ids = archive, images, ids
        self.wanted = {*modalities, *(RADIOGRAPHY if "XR" in modalities else ())}
        self.known: dict[StudyFound, list[SeriesFound]] = {}
        self.counts: dict[str, int | None] = {}  # id to how many images its series has, if known
        self.held: dict[str, int | None] = {}  # the same when it was fetched

    def look(self) -> None:
        """Know the series of the newest studies that a bundle may take.

        Raises:
            InputError: E_ARCHIVE, it does not answer.
        """
        possible: list[StudyFound] = []
        for days in DAYS:
            first = f"{datetime.now(UTC) - timedelta(days):{DATE}}-" if days else ""
            possible = [
                x for x in self.archive.studies({"StudyDate": first} if first else {})
                if not x.modalities or self.wanted.intersection(x.modalities)
            ]  # fmt: skip
            if len(possible) >= MOST_STUDIES:
                break
        possible.sort(key=lambda study: study.date, reverse=True)
        known = {study: self._series(study) for study in possible[:MOST_STUDIES]}
        self.known = known
        self.images.list_anew(
            ARCHIVE, [self._stored(study, one) for study, one in self._taken(known.items())]
        )

    def fetched(self, stored: Stored, hear: Callable[[Step], None]) -> Stored:
        """A series with its slices on the disk; fetched anew when the archive has more of it.

        Args:
            stored: of this archive.
            hear: is called now and then; what it raises ends the fetching.

        Raises:
            InputError: E_ARCHIVE, E_TOO_BIG or E_NOSPACE, as for `dicomweb.fetch`.
        """
        place, count = self.images.folder / stored.id / HOLD, self.counts.get(stored.id)
        if place.is_dir() and self.held.get(stored.id) != count:
            _delete(place)
        if not place.is_dir():
            self._fetch(stored, place, hear)
            self.held[stored.id] = count
            self.images.update(stored.id, sha256="")  # they may be others than last time
        files = sorted(place.iterdir())
        path = files[0] if stored.modalities == ("XR",) and len(files) == 1 else place
        size = sum(file.stat().st_size for file in files)
        return self.images.update(stored.id, path=path, size_bytes=size)

    def let_go(self, *, before: float, used: Collection[str]) -> None:
        """Delete slices that were fetched long ago.

        Args:
            before: when, in s since 1970.
            used: ids of images that a job has which is not over.
        """
        for stored in self.images.all():
            place = self.images.folder / stored.id / HOLD
            may_go = stored.origin == ARCHIVE and stored.id not in used and place.is_dir()
            if may_go and place.stat().st_mtime < before:
                _delete(place)
                with suppress(OSError):  # it is fetched again at this moment
                    place.parent.rmdir()

    def store(self, files: Sequence[Path]) -> Sent:
        """Send results to the archive.

        Args:
            files: DICOM files, at least one.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or stored nothing.
        """
        return self.archive.store(files)

    def _series(self, study: StudyFound) -> list[SeriesFound]:
        """The series of a study, asked for where it may have changed."""
        known = self.known.get(study, []) if study.instances is not None else []
        return known or self.archive.series(study.uid)

    def _fetch(self, stored: Stored, place: Path, hear: Callable[[Step], None]) -> None:
        place.parent.mkdir(exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=prefix(), dir=place.parent))
        try:
            self.archive.fetch(
                stored.study, stored.series, scratch,
                heard=lambda done, total: hear(Step("read", done, total, "slice")),
            )  # fmt: skip
            try:
                os.replace(scratch, place)
            except OSError:
                if not place.is_dir():  # else another worker fetched it meanwhile
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _taken(
        self, known: Collection[tuple[StudyFound, list[SeriesFound]]]
    ) -> Iterator[tuple[StudyFound, SeriesFound]]:
        for study, series in known:
            yield from ((study, one) for one in series if one.modality in self.wanted)

    def _stored(self, study: StudyFound, one: SeriesFound) -> Stored:
        id_ = self.ids.of(ARCHIVE, one.uid)
        self.counts[id_] = one.instances
        words = one.description or study.description
        number = "" if one.number is None else f"series {one.number}"
        name = " ".join(filter(None, (one.modality, number, words))) or "series"
        kind = "XR" if one.modality in RADIOGRAPHY else one.modality
        stored = Stored(
            id_, self.images.folder / id_ / HOLD, name, "", 0, _seconds(study.date), one.uid,
            ARCHIVE, study.uid, (kind,), words,
        )  # fmt: skip
        return self.images.known_as(stored)


def _delete(place: Path) -> None:
    """Delete slices all at once: what is left of a series would pass for a shorter one."""
    gone = Path(tempfile.mkdtemp(prefix=prefix(), dir=place.parent))
    with suppress(OSError):
        os.replace(place, gone / HOLD)
    shutil.rmtree(gone, ignore_errors=True)


def _seconds(date: str) -> float:
    """Seconds since 1970 of a date of DICOM; 0 where it is none."""
    try:
        return datetime.strptime(date, DATE).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
